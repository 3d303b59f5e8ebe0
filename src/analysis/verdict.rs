//! A verdict in words: what the two rules say of a latent, and where they disagree.
//! Not here: the measuring.

use super::{Class, Effect, Verdict};

impl Verdict {
    /// Says whether the two rules agree, and all of it in words, from what was measured.
    pub fn conclude(&mut self) {
        let c_star = self.text.and_then(|text| text.c_star).or(self.prompt.c_star);
        self.agrees = self.class.zip(c_star).map(|(class, c)| (class == Class::Novel) == (c > 0.5));
        self.words = self.in_words();
    }

    fn in_words(&self) -> String {
        let Self { small, max_cosine: m, threshold, nearest, .. } = self;
        let near = nearest.latent;
        let Some(class) = self.class else {
            return "its decoder row is zero: it points nowhere, so it is neither novel nor a reconstruction, and putting \
                    it in changes nothing but the decoder bias"
                .to_owned();
        };
        let mut words = match class {
            Class::Novel => {
                format!("novel: nothing in {small} is as near as θ {threshold:.2} (nearest {near}, cosine {m:.3})")
            }
            Class::Reconstruction => {
                format!("reconstruction: latent {near} of {small} is near (cosine {m:.3}, θ {threshold:.2})")
            }
        };
        let (effect, place) = match self.text.filter(|text| text.c_star.is_some()) {
            Some(text) => (text, "the text"),
            None => (self.prompt, "the prompt"),
        };
        let Some(c) = effect.c_star else {
            words.push_str(match self.text {
                Some(_) => ". It fires neither in the prompt nor on the text: its effect is not known",
                None => ". It does not fire in the prompt: its effect is not known yet",
            });
            return words;
        };
        let says = match (class, c > 0.5) {
            (Class::Novel, true) => format!(". Putting it in lowers the error on {place} (c* {c:.2}): the rules agree"),
            (Class::Novel, false) => format!(
                ". The rules disagree: on {place} putting it in would raise the error (c* {c:.2}), so {small} writes \
                 there already what it would write, with latents that point elsewhere"
            ),
            (Class::Reconstruction, false) => {
                format!(". Putting it in as well would raise the error on {place} (c* {c:.2}): the rules agree")
            }
            (Class::Reconstruction, true) => format!(
                ". The rules disagree: on {place} putting it in beside latent {near} lowers the error (c* {c:.2}), so \
                 it adds what {small} lacks although it points the same way"
            ),
        };
        words.push_str(&says);
        words.push_str(&self.bias_in_words(effect, c));
        words
    }

    /// A latent that seldom fires can move the error less than the decoder bias does, which is mixed anew.
    fn bias_in_words(&self, effect: Effect, c: f64) -> String {
        let delta = effect.after.mse - effect.before.mse;
        if delta == 0.0 || (delta < 0.0) == (c > 0.5) || self.reencoded {
            return String::new();
        }
        format!("; measured, the MSE moves by {delta:+.2e} the other way, as the decoder bias moves too")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Measures, Neighbour};

    fn verdict(m: f32, text: Option<f64>, prompt: Option<f64>) -> Verdict {
        let effect = |c_star: f64| Effect {
            tokens: 9,
            fired: 1,
            c_star: Some(c_star),
            before: Measures::default(),
            after: Measures { mse: 0.5 - c_star, ..Measures::default() },
        };
        let mut verdict = Verdict {
            small: "128".into(),
            large: "512".into(),
            latent: 7,
            max_cosine: m,
            nearest: Neighbour { latent: 3, cosine: m },
            threshold: 0.7,
            class: Some(Class::of(m, 0.7)),
            agrees: None,
            prompt: prompt.map(effect).unwrap_or_default(),
            text: text.map(effect),
            reencoded: false,
            words: String::new(),
        };
        verdict.conclude();
        verdict
    }

    #[test]
    fn a_disagreement_is_said_and_the_text_counts_before_the_prompt() {
        let told = |m, text, prompt| {
            let verdict = verdict(m, text, prompt);
            (verdict.agrees, verdict.words.contains("disagree"), verdict.words.contains("on the text"))
        };
        assert_eq!(told(0.3, Some(0.9), Some(0.1)), (Some(true), false, true));
        assert_eq!(told(0.3, Some(0.5), None), (Some(false), true, true));
        assert_eq!(told(0.8, None, Some(0.6)), (Some(false), true, false));
        assert_eq!(told(0.8, None, Some(0.5)), (Some(true), false, false));
        assert_eq!(told(0.8, None, None), (None, false, false));
    }

    #[test]
    fn a_bias_that_moves_the_error_the_other_way_is_named() {
        let mut verdict = verdict(0.3, Some(0.9), None);
        verdict.text = verdict.text.map(|text| Effect { after: Measures { mse: 1e-6, ..text.after }, ..text });
        verdict.conclude();
        assert!(verdict.words.contains("decoder bias"), "{}", verdict.words);
    }
}
