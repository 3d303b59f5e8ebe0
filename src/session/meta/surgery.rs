//! What comes next with a latent's decoder row edited, beside the untouched model and a random edit.
//! Not here: the passes (`analysis::surgery`).

use crate::analysis::surgery::{self, EditContext};
use crate::analysis::{Arm, ArmView, Named, SurgeryEdit, SurgeryView};
use crate::model;
use crate::report::Report;
use crate::sae::{self, meta};
use crate::session::failure;
use crate::session::meta::Scope;
use crate::session::prompt::Typed;
use crate::session::query::{Cx, Query};
use crate::task::Cancel;

/// What comes next with a latent's decoder row edited, beside the untouched model and a random edit.
#[derive(Clone, Debug, PartialEq)]
pub struct SurgeryQuery {
    /// The edit.
    pub operation: SurgeryEdit,
    /// The prompt.
    pub prompt: String,
    /// Likeliest next tokens wanted of each model.
    pub next: usize,
    /// Texts whose log-probability is wanted.
    pub named: Vec<String>,
}

impl Query for SurgeryQuery {
    type Answer = SurgeryView;
    const NAME: &'static str = "surgery";
    const PRIORITY: u8 = 140;

    fn run(&self, cx: &mut Cx<'_>) -> Result<SurgeryView, Report> {
        let (Self { operation, prompt, next, named }, cancel) = (self, cx.cancel);
        let scope = cx.session()?.scope(&operation.sae, &operation.meta, cancel)?;
        scope.surgery(operation, prompt, *next, named, cancel)
    }
}

impl Scope<'_> {
    /// What the latent writes for each unit of its activation, by model in the order of [`Arm::ALL`].
    pub fn rows(&self, operation: &SurgeryEdit, cancel: &Cancel) -> Result<[Vec<f32>; 3], Report> {
        let latent = operation.latent as usize;
        let wrong =
            |error: sae::Error| failure::of_sae(self.cannot(&format!("edit latent {}", operation.latent)), &error);
        let edited = meta::edited(&self.opened.meta, self.of(), latent, &operation.edits, cancel).map_err(wrong)?;
        let row = self.of().decoder_row(latent).map_err(wrong)?;
        let random = meta::random_edit(&row, &edited, operation.seed);
        Ok([row.to_vec(), edited, random])
    }

    pub fn context(&self, latent: u32) -> EditContext<'_> {
        EditContext {
            model: &*self.room.model.model,
            tokenizer: &self.room.model.tokenizer,
            site: self.room.suite.site,
            center: self.room.suite.center,
            sae: self.of(),
            latent,
        }
    }

    fn surgery(
        &self,
        operation: &SurgeryEdit,
        prompt: &str,
        next: usize,
        named: &[String],
        cancel: &Cancel,
    ) -> Result<SurgeryView, Report> {
        let (rows, context) = (self.rows(operation, cancel)?, self.context(operation.latent));
        let (Typed { ids, mut notes }, tokenizer) = (self.room.typed(prompt)?, &self.room.model.tokenizer);
        let wrong = |error: model::Error| failure::of_model("cannot run the prompt", &error);
        let texts = named.iter().map(|text| {
            let spelled = surgery::named(text, tokenizer);
            spelled.map_err(|error| failure::of_model(format!("cannot name {text:?}"), &error))
        });
        let texts: Vec<Vec<u32>> = texts.collect::<Result<_, _>>()?;
        let (mut arms, mut logprobs, mut fires) = (Vec::new(), Vec::new(), Vec::new());
        for (arm, row) in Arm::ALL.into_iter().zip(&rows) {
            let answer = context.ask(&ids, row, next, &texts, cancel).map_err(wrong)?;
            arms.push(ArmView { arm, next: answer.next });
            logprobs.push(answer.logprobs);
            fires = answer.fires;
        }
        let of = |at: usize| std::array::from_fn(|arm: usize| logprobs[arm][at]);
        let row = self.of().decoder_norm(operation.latent as usize).unwrap_or(0.0);
        let change = rows[1].iter().zip(&rows[0]).map(|(new, old)| f64::from(new - old).powi(2));
        let size = change.sum::<f64>().sqrt() as f32 / row;
        if fires.is_empty() {
            notes.push(format!("latent {} fires nowhere in this prompt: the edit changes nothing", operation.latent));
        }
        if size == 0.0 {
            notes.push("these edits change nothing in the decoder row".to_owned());
        }
        Ok(SurgeryView {
            sae: operation.sae.clone(),
            meta: operation.meta.clone(),
            latent: operation.latent,
            size,
            fires,
            arms,
            named: named
                .iter()
                .zip(texts)
                .enumerate()
                .map(|(at, (text, ids))| Named { text: text.clone(), ids, logprobs: of(at) })
                .collect(),
            notes,
        })
    }
}
