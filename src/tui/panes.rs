//! The table of panes: whoever adds one adds a line here.
//! Not here: what a pane is (`pane.rs`).

pub(crate) mod attribution;
mod bench;
mod card;
mod compare;
mod curve;
pub(crate) mod effect;
pub(crate) mod examples;
mod group;
mod index;
mod latents;
mod lens;
mod map;
mod meta_card;
pub(crate) mod parts;
mod prompt;
mod queue;
mod sides;
pub(crate) mod steer;
mod surgery;
mod tokens;

use crate::tui::location::{Focus, Page};
use crate::tui::pane::Pane;

/// All panes; those of a page in the order of the Tab key.
pub static PANES: &[&dyn Pane] = &[
    &prompt::PromptPane,
    &tokens::TokensPane,
    &latents::LatentsPane,
    &card::CardPane,
    &attribution::OriginsPane,
    &examples::ExamplesPane,
    &effect::EffectPane,
    &queue::QueuePane,
    &bench::BenchPane,
    &curve::CurvePane,
    &group::GroupPane,
    &parts::PartsPane,
    &meta_card::MetaCardPane,
    &map::MapPane,
    &surgery::SurgeryPane,
    &index::IndexPane,
    &steer::SteerPane,
    &compare::ComparePane,
    &lens::LensPane,
    &sides::SidesPane,
];

/// A pane.
#[must_use]
pub fn of(focus: Focus) -> &'static dyn Pane {
    let found = PANES.iter().find(|pane| pane.focus() == focus);
    // Every pane is in the table: a test holds it.
    *found.unwrap_or(&PANES[0])
}

/// The panes of a page with their keys and names, for the line over them.
pub fn tabs(page: Page) -> impl Iterator<Item = (Focus, &'static str)> {
    PANES
        .iter()
        .filter(move |pane| pane.focus().page() == Some(page))
        .filter_map(|pane| Some((pane.focus(), pane.tab()?)))
}

/// The panes that the Tab key goes through on a page; of those that stand beside the latents the one that is there.
#[must_use]
pub fn order(page: Page, beside: Focus) -> Vec<Focus> {
    let here = |focus: &Focus| focus.page().is_none_or(|of| of == page) && (!focus.is_beside() || *focus == beside);
    PANES.iter().map(|pane| pane.focus()).filter(here).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pane_is_found_by_its_focus_and_tells_how_to_read_it() {
        for (at, pane) in PANES.iter().enumerate() {
            assert_eq!(of(pane.focus()).name(), pane.name());
            assert_eq!(pane.focus() as usize, at, "the table is in the order of `Focus`");
            assert!(!pane.help().is_empty() && !pane.name().is_empty());
        }
        assert_eq!(PANES.last().map(|pane| pane.focus()), Some(Focus::LAST));
    }
}
