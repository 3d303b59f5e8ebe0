//! Where the map's nodes stand: the latent in the middle, its meta-latents left and right of it, their strongest members
//! outside. Not here: drawing them.

use ratatui::layout::Rect;

/// A place of the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Node {
    /// The latent.
    #[default]
    Centre,
    /// One of its meta-latents, by rank.
    Part(usize),
    /// A member of one of them, by rank.
    Member(usize, usize),
}

/// Cells between two columns.
const GAP: u16 = 3;

/// The nodes that fit, each with one row; `members` says how many each part has, by rank. The strongest parts stand in
/// the order in which one reads: left, right, left …
#[must_use]
pub fn layout(members: &[usize], area: Rect) -> Vec<(Node, Rect)> {
    if area.width < 40 || area.height < 3 {
        return Vec::new();
    }
    let centre = (area.width / 5).clamp(12, 28);
    let side = (area.width - centre) / 2;
    let part = (side.saturating_sub(2 * GAP) * 45 / 100).max(8);
    let member = side.saturating_sub(2 * GAP + part);
    let middle = area.y + area.height / 2;
    let at = |x: u16, y: u16, width: u16| Rect { x, y, width, height: 1 };
    let mut nodes = vec![(Node::Centre, at(area.x + side, middle, centre))];
    let most = usize::from(area.height / 2).clamp(1, 6);
    for right in [false, true] {
        let ranks: Vec<usize> = (usize::from(right)..members.len()).step_by(2).take(most).collect();
        let (part_x, member_x) = if right {
            (area.x + side + centre + GAP, area.x + side + centre + 2 * GAP + part)
        } else {
            (area.x + member + GAP, area.x)
        };
        let count = ranks.len().max(1) as u16;
        for (row, rank) in ranks.into_iter().enumerate() {
            let top = area.y + area.height * row as u16 / count;
            let bottom = area.y + area.height * (row as u16 + 1) / count;
            let band = bottom.saturating_sub(top).max(1);
            nodes.push((Node::Part(rank), at(part_x, top + (band - 1) / 2, part)));
            // A row stays free between the members of one part and those of the next.
            let room = if band > 2 { band - 1 } else { band };
            let shown = members[rank].min(usize::from(room)).min(6);
            let first = top + (band - 1) / 2 - (shown.max(1) as u16 - 1) / 2;
            nodes.extend(
                (0..shown).map(|m| (Node::Member(rank, m), at(member_x, (first + m as u16).min(bottom - 1), member))),
            );
        }
    }
    nodes
}

/// The node that one reaches from another by an arrow: across by columns, down within a column.
#[must_use]
pub fn towards(nodes: &[(Node, Rect)], from: Node, (across, down): (i32, i32)) -> Node {
    let Some((_, start)) = nodes.iter().find(|(node, _)| *node == from) else { return Node::Centre };
    let middle = |r: &Rect| (i32::from(r.x) + i32::from(r.width) / 2, i32::from(r.y));
    let (x, y) = middle(start);
    let ahead = nodes.iter().filter(|(node, place)| {
        let (to_x, to_y) = middle(place);
        let column = (to_x - x).abs() < 2;
        *node != from
            && if down == 0 { !column && (to_x - x).signum() == across } else { column && (to_y - y).signum() == down }
    });
    // A part's own members are nearer than any others of their column.
    let kin = |node: &Node| match (from, *node) {
        (Node::Part(a), Node::Member(b, _)) | (Node::Member(a, _), Node::Part(b)) => a != b,
        _ => false,
    };
    ahead
        .min_by_key(|(node, place)| {
            let (to_x, to_y) = middle(place);
            (kin(node), (to_x - x).abs() * i32::from(down == 0), (to_y - y).abs())
        })
        .map_or(from, |(node, _)| *node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stay_inside_and_never_lie_on_each_other() {
        for (width, height) in [(60, 4), (78, 13), (118, 30), (198, 50)] {
            let area = Rect::new(2, 5, width, height);
            for parts in 0..14 {
                let nodes = layout(&vec![6; parts], area);
                for (i, (node, place)) in nodes.iter().enumerate() {
                    assert_eq!(place.intersection(area), *place, "{node:?} {width}x{height} {parts}");
                    assert!(
                        nodes[i + 1..].iter().all(|(_, other)| !other.intersects(*place)),
                        "{node:?} {width}x{height} {parts}"
                    );
                }
            }
        }
    }

    #[test]
    fn arrows_reach_every_node() {
        let nodes = layout(&[3, 3, 3, 2, 1], Rect::new(0, 0, 118, 30));
        let mut seen = vec![Node::Centre];
        let mut at = 0;
        while let Some(from) = seen.get(at).copied() {
            at += 1;
            for way in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                let to = towards(&nodes, from, way);
                if !seen.contains(&to) {
                    seen.push(to);
                }
            }
        }
        assert_eq!(seen.len(), nodes.len(), "{seen:?}");
    }
}
