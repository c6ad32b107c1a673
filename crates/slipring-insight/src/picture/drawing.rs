//! The graph in lines of text, from left to right.

use super::{
    canvas::Canvas,
    graph::{Edge, Graph, Node, lag},
    layout::{Item, Layout, Line},
};
use crate::{columns, fitted};

/// What a drawing leaves out to be narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Whether lines have their figures, and nodes what they are.
    pub is_labelled: bool,
    /// Names are cut behind so many columns.
    pub name_columns: usize,
}

impl Style {
    pub const FULL: Self = Self { is_labelled: true, name_columns: 40 };
    /// What is tried one after the other when room is short.
    pub const NARROWING: [Self; 5] = [
        Self::FULL,
        Self { is_labelled: true, name_columns: 12 },
        Self { is_labelled: false, name_columns: 40 },
        Self { is_labelled: false, name_columns: 12 },
        Self { is_labelled: false, name_columns: 6 },
    ];

    /// Lines of text for a row, and the one among them in which its name stands.
    fn row(self) -> (usize, usize) {
        if self.is_labelled { (3, 1) } else { (1, 0) }
    }
}

/// Labels have at least so many columns, those of `lag 99.9k`: as figures come and go, nothing moves.
const LABEL_COLUMNS: usize = 9;

/// A gap between two columns of nodes: where its lines begin, turn and end.
struct Gap {
    start: usize,
    /// The first track.
    tracks: usize,
    /// Where labels at the targets begin.
    targets: usize,
    /// Where the arrows' heads are.
    end: usize,
}

/// What is written at one line's ends.
struct Labels {
    /// Below, at the node that the line comes from.
    source: String,
    /// Above and below, at each node that it leads to.
    targets: Vec<(String, String)>,
}

pub(super) fn draw(graph: &Graph, style: Style) -> Vec<String> {
    let layout = Layout::of(graph.nodes.len(), &graph.edges);
    let mut canvas = Canvas::default();
    let (height, middle) = style.row();
    let mut left = 0;
    for (index, items) in layout.columns.iter().enumerate() {
        let names = items.iter().filter(|item| !item.is_pass);
        let width = names.map(|item| node_columns(&graph.nodes[item.node], style)).max();
        let right = left + width.unwrap_or(0);
        for item in items {
            let line = item.row * height + middle;
            if item.is_pass {
                canvas.across(line, left, right);
                continue;
            }
            let node = &graph.nodes[item.node];
            canvas.word(line, left, &name(node, style));
            if style.is_labelled {
                canvas.word(line + 1, left, &kind(node));
            }
        }
        let (Some(lines), Some(next)) = (layout.lines.get(index), layout.columns.get(index + 1))
        else {
            break;
        };
        let labels: Vec<Labels> =
            lines.iter().map(|line| labels(graph, items, next, line)).collect();
        let gap = gap(right + 1, lines, &labels, style);
        for (line, labels) in lines.iter().zip(&labels) {
            let from = &items[line.from];
            let start =
                if from.is_pass { right } else { end_of(left, &graph.nodes[from.node], style) };
            draw_line(&mut canvas, &gap, (start, from.row), line, next, style);
            if style.is_labelled {
                write_labels(&mut canvas, &gap, (from.row, line, labels), next);
            }
        }
        left = gap.end + 2;
    }
    canvas.lines().into_iter().skip_while(String::is_empty).collect()
}

/// Where the line behind a name begins.
fn end_of(left: usize, node: &Node, style: Style) -> usize {
    left + columns(&name(node, style)) + 1
}

fn draw_line(
    canvas: &mut Canvas,
    gap: &Gap,
    (start, row): (usize, usize),
    line: &Line,
    next: &[Item],
    style: Style,
) {
    let (height, middle) = style.row();
    let text_row = |row: usize| row * height + middle;
    let track = line.track.map(|track| gap.tracks + 2 * track);
    if let Some(track) = track {
        canvas.across(text_row(row), start, track);
        canvas.meet(text_row(row), track);
    }
    for &to in &line.to {
        let target = &next[to];
        let from = if target.row == row { start } else { track.unwrap_or(gap.tracks) };
        let end = if target.is_pass { gap.end + 2 } else { gap.end };
        if let Some(track) = track {
            canvas.along(track, text_row(row), text_row(target.row));
            canvas.meet(text_row(target.row), track);
        }
        canvas.across(text_row(target.row), from, end);
        if !target.is_pass {
            canvas.word(text_row(target.row), gap.end, "▶");
        }
    }
}

fn write_labels(
    canvas: &mut Canvas,
    gap: &Gap,
    (row, line, labels): (usize, &Line, &Labels),
    next: &[Item],
) {
    let (height, middle) = Style::FULL.row();
    canvas.word(row * height + middle + 1, gap.start, &labels.source);
    for (&to, (above, below)) in line.to.iter().zip(&labels.targets) {
        let line = next[to].row * height + middle;
        canvas.word(line - 1, gap.targets, above);
        canvas.word(line + 1, gap.targets, below);
    }
}

fn gap(start: usize, lines: &[Line], labels: &[Labels], style: Style) -> Gap {
    let tracks = lines.iter().filter(|line| line.track.is_some()).count();
    let widest = |labels: &mut dyn Iterator<Item = &String>| {
        let widest = labels.map(|label| columns(label)).max().filter(|widest| *widest > 0);
        widest.filter(|_| style.is_labelled).map_or(0, |widest| widest.max(LABEL_COLUMNS))
    };
    let sources = widest(&mut labels.iter().map(|labels| &labels.source));
    let targets = widest(
        &mut labels
            .iter()
            .flat_map(|labels| &labels.targets)
            .flat_map(|(above, below)| [above, below]),
    );
    let first_track = start + 1 + if sources > 0 { sources } else { 0 };
    let behind = if tracks > 0 { first_track + 2 * tracks } else { first_track };
    Gap { start, tracks: first_track, targets: behind, end: behind + targets.max(1) }
}

/// A lag stands where it cannot be taken for another line's: at the target of a line that comes
/// alone, else at the source if all sources have but that line, else the least of all at the target.
fn labels(graph: &Graph, items: &[Item], next: &[Item], line: &Line) -> Labels {
    let from = items[line.from].node;
    let mut source = String::new();
    let mut targets = Vec::new();
    for &to in &line.to {
        let comes_to = |edge: &&Edge| !next[to].is_pass && edge.to == next[to].node;
        let coming: Vec<&Edge> = graph.edges.iter().filter(comes_to).collect();
        let Some(edge) = coming.iter().find(|edge| edge.from == from) else {
            targets.push((String::new(), String::new()));
            continue;
        };
        let leaves_alone =
            |edge: &&Edge| graph.edges.iter().filter(|other| other.from == edge.from).count() == 1;
        let mut below = String::new();
        if coming.len() > 1 && coming.iter().all(leaves_alone) {
            source = lag(edge.lag);
        } else {
            below = lag(coming.iter().map(|edge| edge.lag).min().unwrap_or(0));
        }
        targets.push((edge.rate.clone().unwrap_or_default(), below));
    }
    Labels { source, targets }
}

fn name(node: &Node, style: Style) -> String {
    let width = columns(&node.name).min(style.name_columns);
    fitted(&node.name, width)
}

/// What is written below a name.
fn kind(node: &Node) -> String {
    let kind = node.kind;
    if kind.is_producers || kind.is_guest || kind.is_team || kind.mutates {
        node.remarks.first().cloned().unwrap_or_default()
    } else {
        String::new()
    }
}

fn node_columns(node: &Node, style: Style) -> usize {
    let kind = if style.is_labelled { columns(&kind(node)) } else { 0 };
    columns(&name(node, style)).max(kind)
}
