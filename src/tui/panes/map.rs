//! The map: the latent in the middle, its meta-latents beside it, their strongest members outside, and lines between.
//! Not here: where they stand (`tui::meta::map`).

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::hits::{HitTarget, Part};
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef};
use crate::tui::meta::map::{Node, layout};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::update::meta;
use crate::tui::update::meta::map_members;
use crate::tui::view::figures::{name_text, promoted};
use crate::tui::view::plot::Raster;
use crate::tui::view::waiting::waiting;
use crokey::key;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hits.drawn.add(Part::Map);
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    pen.hits.map = area;
    if app.parts().is_none() {
        waiting(app, app.meta.parts.failure(), app.meta.parts.progressed(), "taking the latent apart", area, pen);
        return;
    }
    let nodes = layout(&map_members(app), area);
    lines(app, &nodes, area, pen);
    for (number, (node, place)) in nodes.iter().enumerate() {
        draw_node(app, *node, *place, pen);
        pen.hits.add(*place, HitTarget::Item(Focus::Map, number));
    }
    let shown = nodes.iter().filter(|(node, _)| matches!(node, Node::Part(_))).count();
    let all = app.parts().map_or(0, |entry| entry.components.len());
    if shown < all {
        pen.text(
            area,
            area.height.saturating_sub(1),
            &format!("{} smaller parts not drawn", all - shown),
            pen.theme.quiet(),
        );
    }
}

/// Lines from the latent to its parts and from those to their members; those of the chosen part are bright.
fn lines(app: &App, nodes: &[(Node, Rect)], area: Rect, pen: &mut Canvas<'_>) {
    let chosen = match app.meta.node {
        Node::Part(part) | Node::Member(part, _) => Some(part),
        Node::Centre => None,
    };
    let place = |wanted: Node| nodes.iter().find(|(node, _)| *node == wanted).map(|(_, place)| *place);
    let mut plain = Raster::new(area, pen.theme.charset);
    let mut bright = Raster::new(area, pen.theme.charset);
    let (dots_x, dots_y) = {
        let (x, y) = plain.size();
        (x / usize::from(area.width).max(1), y / usize::from(area.height).max(1))
    };
    let mut connect = |from: Rect, to: Rect, strong: bool| {
        // From the side that looks at the other.
        let (left, right) = if from.x < to.x { (from, to) } else { (to, from) };
        let dot = |x: u16, y: u16| {
            (
                usize::from(x.saturating_sub(area.x)) * dots_x,
                usize::from(y.saturating_sub(area.y)) * dots_y + dots_y / 2,
            )
        };
        let start = dot(left.right(), left.y);
        let end = dot(right.x.saturating_sub(1), right.y);
        if strong { bright.line(start, end) } else { plain.line(start, end) }
    };
    let Some(centre) = place(Node::Centre) else { return };
    for (node, at) in nodes {
        match node {
            Node::Part(part) => connect(centre, *at, chosen == Some(*part)),
            Node::Member(part, _) => {
                if let Some(part_at) = place(Node::Part(*part)) {
                    connect(part_at, *at, chosen == Some(*part));
                }
            }
            Node::Centre => {}
        }
    }
    plain.draw(area, pen.theme.quiet(), pen);
    bright.draw(area, pen.theme.accent(), pen);
}

fn draw_node(app: &App, node: Node, at: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let cells = usize::from(at.width);
    let Some(entry) = app.parts() else { return };
    let sae = app.sae().map(|s| s.id.clone()).unwrap_or_default();
    let latent = |latent: u32, most: usize| {
        let of = LatentRef { sae: sae.clone(), latent };
        format!("{latent} {}", name_text(app, theme, &of, most).unwrap_or_default())
    };
    let most = if cells > 24 { 4 } else { 2 };
    let (said, plain) = match node {
        Node::Centre => (app.latent.map(|l| latent(l, most)).unwrap_or_default(), theme.strong()),
        Node::Part(part) => {
            let Some(c) = entry.components.get(part) else { return };
            let share = format::percent(c.share.into());
            let mark = if c.stable == Some(true) { theme.glyphs().good } else { "" };
            (format!("{}{mark} {share} {}", c.meta_latent, promoted(&c.promoted, most, theme)), theme.accent())
        }
        Node::Member(part, rank) => {
            let members = entry.components.get(part).map_or(&[][..], |c| c.members.as_slice());
            let Some(member) = members.iter().filter(|m| Some(m.latent) != app.latent).nth(rank) else { return };
            let of = LatentRef { sae: sae.clone(), latent: member.latent };
            let style = if app.in_prompt(&of).0 > 0 { theme.bar() } else { Style::new() };
            (latent(member.latent, most), style)
        }
    };
    let here = app.meta.node == node;
    let focused = app.focus == Focus::Map;
    let mark = if here { theme.glyphs().chosen } else { " " };
    // Boxes are padded, so that lines never run into words.
    let said = format!("{mark}{}", text::truncate(said.trim_end(), cells.saturating_sub(1), theme.charset));
    let said = match node {
        Node::Centre => {
            let pad = cells.saturating_sub(text::width(&said)) / 2;
            text::fit(&format!("{}{said}", " ".repeat(pad)), cells, theme.charset)
        }
        _ => text::fit(&said, cells, theme.charset),
    };
    let style = if here && focused { plain.patch(theme.chosen(true)) } else { plain };
    let style = if here && !focused { style.add_modifier(Modifier::UNDERLINED) } else { style };
    pen.buf.set_stringn(at.x, at.y, &said, cells, style);
}

/// The pane.
pub(crate) struct MapPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Map);

impl Pane for MapPane {
    fn focus(&self) -> Focus {
        Focus::Map
    }

    fn name(&self) -> &'static str {
        "Map"
    }

    fn tab(&self) -> Option<&'static str> {
        Some("a Map")
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(260, Action::Left, "map.left", &[key!(left), key!(h)], HERE, "", "To the left on the map"),
                row(
                    270,
                    Action::Right,
                    "map.right",
                    &[key!(right), key!(l)],
                    HERE,
                    "across",
                    "To the right on the map",
                ),
                row(280, Action::Up, "map.up", &[key!(up), key!(k)], HERE, "", "Up on the map"),
                row(290, Action::Down, "map.down", &[key!(down), key!(j)], HERE, "along", "Down on the map"),
                row(
                    340,
                    Action::Accept,
                    "map.open",
                    &[key!(enter)],
                    HERE,
                    "go there",
                    "A member becomes the centre; a meta-latent shows its card",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "The latent in the middle, its meta-latents with their share beside it, and the latents that these are in most outside.",
            "Arrows walk; Enter on a member makes it the middle, on a meta-latent shows its card. b goes back.",
        ]
    }

    fn enter(&self, app: &mut App) {
        meta::enter(app, Focus::Map);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Left => meta::walk(app, (-1, 0)),
            Action::Right => meta::walk(app, (1, 0)),
            Action::Up | Action::Down => meta::step(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => meta::leap(app, action),
            Action::Accept => meta::accept(app),
            Action::Close => meta::leave(app),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        let Some(node) = meta::node_at(app, row) else { return };
        let same = app.focus == Focus::Map && app.meta.node == node;
        app.look_at(Focus::Map);
        meta::choose_node(app, node);
        if same {
            meta::accept(app);
        }
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
