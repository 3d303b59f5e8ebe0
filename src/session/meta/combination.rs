//! A meta-latent as what its members contribute together. Not here: what is done with it (`session::steer`).

use crate::analysis::intervention::Combination;
use crate::report::Report;
use crate::session::failure;
use crate::session::meta::Scope;

impl Scope<'_> {
    /// A meta-latent m: latent i writes f_i·‖w_i‖·a_{i,m} of the meta-SAE's row, in the SAE's units.
    ///
    /// # Errors
    /// That there is no such meta-latent.
    pub fn combination(&self, meta_latent: u32) -> Result<Combination, Report> {
        let cannot = |error| failure::of_sae(self.cannot(&format!("take meta-latent {meta_latent}")), &error);
        let (meta, of) = (&self.opened.meta, self.of());
        let direction = meta.decoder_row(meta_latent as usize).map_err(cannot)?.into_owned();
        let members = self.opened.table.as_ref().map(|table| table.members_of(meta_latent as usize));
        let mut weighted = Vec::new();
        for (latent, amount) in members.transpose().map_err(cannot)?.unwrap_or_default() {
            let norm = of.decoder_norm(latent as usize).map_err(cannot)?;
            weighted.push((latent, amount * norm * of.decode_gain(latent as usize)));
        }
        weighted.sort_unstable_by_key(|(latent, _)| *latent);
        let name = format!("meta-latent {meta_latent} of meta-SAE {}", self.meta.id);
        Ok(Combination { name, sae: self.meta.sae.clone(), members: weighted, direction })
    }
}
