//! Which of Gemma Scope's folders of a layer and width SAELens and Neuronpedia call canonical: the L0 nearest to 100.
//! Not here: other releases, which have one SAE for a site and width.

/// `repository layer width average_l0`, held against the registry by `assets/check_catalogue.py`.
const TABLE: &str = include_str!("../../assets/gemma_scope_canonical.txt");

/// What a folder ends with where its L0 is to be looked up.
const CANONICAL: &str = "canonical";

/// The folder itself; where it ends with `/canonical`, the one of the table, and `None` when the table has none.
pub(super) fn folder(repo: &str, folder: &str) -> Option<String> {
    let Some(place) = folder.strip_suffix(CANONICAL).and_then(|place| place.strip_suffix('/')) else {
        return Some(folder.to_owned());
    };
    let (layer, width) = place.split_once('/')?;
    TABLE.lines().find_map(|line| {
        let mut words = line.split(' ');
        let found = [words.next()?, words.next()?, words.next()?] == [repo, layer, width];
        found.then(|| words.next().map(|l0| format!("{place}/{l0}"))).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_folders_are_those_of_the_table() {
        let of = |repo: &str, place: &str| folder(&format!("google/gemma-scope-{repo}"), place);
        let some = |folder: &str| Some(folder.to_owned());
        assert_eq!(of("2b-pt-res", "layer_12/width_16k/canonical"), some("layer_12/width_16k/average_l0_82"));
        assert_eq!(of("2b-pt-att", "layer_23/width_65k/canonical"), some("layer_23/width_65k/average_l0_140"));
        assert_eq!(of("9b-pt-mlp", "layer_41/width_131k/canonical"), some("layer_41/width_131k/average_l0_99"));
        // Layer 12 has no canonical SAE of this width.
        assert_eq!(of("2b-pt-res", "layer_12/width_131k/canonical"), None);
        assert_eq!(of("2b-pt-res", "canonical"), some("canonical"));
        assert_eq!(of("2b-pt-res", "layer_1/width_16k/average_l0_40"), some("layer_1/width_16k/average_l0_40"));
    }
}
