//! Where everything stands in a drawing: columns by who follows whom, rows so that few lines cross.
//!
//! Each node is in the column behind the last one that it follows. A line to a node further right
//! passes the columns between as a *pass*, one for each node that the lines come from. Between two
//! columns each node, or pass, whose lines leave its row has a *track*, a column of its own to go up
//! and down in. Lines that have nothing to do with each other never share a stretch.

use super::graph::Edge;

/// What stands in a column: a node, or the lines of one passing by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The node, or the one that the lines come from.
    pub node: usize,
    pub is_pass: bool,
    pub row: usize,
}

/// Lines from an item of one column to items of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The item's place in its column.
    pub from: usize,
    /// Places in the next column.
    pub to: Vec<usize>,
    /// Its track, from 0 on; `None` if it goes straight on.
    pub track: Option<usize>,
}

/// A drawing's plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub columns: Vec<Vec<Item>>,
    /// Between each column and the next.
    pub lines: Vec<Vec<Line>>,
}

impl Layout {
    pub fn of(nodes: usize, edges: &[Edge]) -> Self {
        let column_of = columns_of(nodes, edges);
        let last = column_of.iter().copied().max().unwrap_or(0);
        let ends: Vec<usize> = (0..nodes).map(|node| end_of(node, edges, &column_of)).collect();
        let mut layout = Self::default();
        for column in 0..=last {
            let own = (0..nodes).filter(|node| column_of[*node] == column);
            let own = own.map(|node| Item { node, is_pass: false, row: 0 });
            let passing =
                (0..nodes).filter(|node| column_of[*node] < column && column < ends[*node]);
            let passing = passing.map(|node| Item { node, is_pass: true, row: 0 });
            layout.add(own.chain(passing).collect(), edges);
        }
        layout
    }

    fn add(&mut self, mut items: Vec<Item>, edges: &[Edge]) {
        let Some(before) = self.columns.last() else {
            for (row, item) in items.iter_mut().enumerate() {
                item.row = row;
            }
            self.columns.push(items);
            return;
        };
        let rows_before = |item: &Item| -> Vec<usize> {
            let leads = before.iter().filter(|earlier| leads_to(earlier, item, edges));
            leads.map(|earlier| earlier.row).collect()
        };
        items.sort_by_key(|item| {
            let rows = rows_before(item);
            let middle = rows.iter().sum::<usize>() * 1_000 / rows.len().max(1);
            (middle, item.is_pass, item.node)
        });
        let mut free = 0;
        for item in &mut items {
            item.row = rows_before(item).into_iter().min().unwrap_or(0).max(free);
            free = item.row + 1;
        }
        let lines = lines(before, &items, edges).or_else(|| {
            // Below everything before it nothing is in the way.
            let below = before.iter().map(|item| item.row + 1).max().unwrap_or(0);
            for (row, item) in (below..).zip(&mut items) {
                item.row = row;
            }
            lines(before, &items, edges)
        });
        self.lines.push(lines.unwrap_or_default());
        self.columns.push(items);
    }
}

/// Behind whom it follows, whoever is the last. A circle, which no ring has, ends the search.
fn columns_of(nodes: usize, edges: &[Edge]) -> Vec<usize> {
    let mut columns = vec![0; nodes];
    for _ in 0..nodes {
        let before = columns.clone();
        for edge in edges {
            columns[edge.to] = columns[edge.to].max(columns[edge.from] + 1).min(nodes);
        }
        if columns == before {
            break;
        }
    }
    columns
}

/// The last column that lines of this node lead to.
fn end_of(node: usize, edges: &[Edge], column_of: &[usize]) -> usize {
    let ends = edges.iter().filter(|edge| edge.from == node).map(|edge| column_of[edge.to]);
    ends.max().unwrap_or(0)
}

fn leads_to(earlier: &Item, later: &Item, edges: &[Edge]) -> bool {
    if later.is_pass {
        earlier.node == later.node
    } else {
        edges.iter().any(|edge| edge.from == earlier.node && edge.to == later.node)
    }
}

/// The lines with their tracks, or `None` if the rows leave no order of tracks in which no two
/// lines that have nothing to do with each other share a stretch.
fn lines(before: &[Item], after: &[Item], edges: &[Edge]) -> Option<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    for (from, earlier) in before.iter().enumerate() {
        let to: Vec<usize> =
            (0..after.len()).filter(|to| leads_to(earlier, &after[*to], edges)).collect();
        if !to.is_empty() {
            lines.push(Line { from, to, track: None });
        }
    }
    let row = |line: &Line| before[line.from].row;
    let turns = |line: &Line| line.to.iter().any(|to| after[*to].row != row(line));
    let mut waiting: Vec<usize> = (0..lines.len()).filter(|line| turns(&lines[*line])).collect();
    // Whoever starts in the row of a stranger's target has to be gone before that one's line comes.
    let goes_first = |first: &Line, second: &Line| {
        let strange = second.to.iter().filter(|to| !first.to.contains(to));
        strange.into_iter().any(|to| after[*to].row == row(first))
    };
    let mut track = 0;
    while !waiting.is_empty() {
        let is_free = |line: usize| {
            let mut others = waiting.iter().filter(|other| **other != line);
            !others.any(|other| goes_first(&lines[*other], &lines[line]))
        };
        let next = waiting.iter().copied().filter(|line| is_free(*line)).max_by_key(|line| {
            // Those that lead up leave first, from the top on; those that lead down from below on:
            // that saves crossings.
            let line = &lines[*line];
            let leads_up = line.to.iter().any(|to| after[*to].row < row(line));
            let distance = if leads_up { usize::MAX - row(line) } else { row(line) };
            (leads_up, distance)
        })?;
        waiting.retain(|line| *line != next);
        lines[next].track = Some(track);
        track += 1;
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(nodes: usize, edges: &[(usize, usize)]) -> Layout {
        let edge = |&(from, to): &(usize, usize)| Edge { from, to, rate: None, lag: 0 };
        Layout::of(nodes, &edges.iter().map(edge).collect::<Vec<_>>())
    }

    fn places(layout: &Layout) -> Vec<Vec<(usize, usize)>> {
        let column = |column: &Vec<Item>| column.iter().map(|item| (item.node, item.row)).collect();
        layout.columns.iter().map(column).collect()
    }

    #[test]
    fn a_pipeline_is_straight() {
        let layout = layout(3, &[(0, 1), (1, 2)]);
        assert_eq!(places(&layout), [[(0, 0)], [(1, 0)], [(2, 0)]]);
        assert!(layout.lines.iter().flatten().all(|line| line.track.is_none()));
    }

    #[test]
    fn a_long_line_passes_by() {
        let layout = layout(4, &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let passes = layout.columns.iter().flatten().filter(|item| item.is_pass);
        assert_eq!(passes.map(|item| item.node).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn strangers_swap_without_a_shared_stretch() {
        // Both lead to the other's row; only fresh rows can help.
        let before = [0, 1].map(|node| Item { node, is_pass: false, row: node });
        let after = [(3, 0), (2, 1)].map(|(node, row)| Item { node, is_pass: false, row });
        let edge = |from, to| Edge { from, to, rate: None, lag: 0 };
        assert_eq!(lines(&before, &after, &[edge(0, 2), edge(1, 3)]), None);
    }

    #[test]
    fn a_circle_ends() {
        assert!(!layout(3, &[(1, 2), (2, 1)]).columns.is_empty());
    }
}
