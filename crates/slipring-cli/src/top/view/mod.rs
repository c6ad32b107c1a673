//! From what is known to what is seen: nothing here remembers anything.
//!
//! What an operator needs first is at the top: whether the program lives, and the [verdict](super::verdict). Where
//! room is short, the lower panes go before the table of stations does.

mod batches;
mod graph;
mod header;
mod help;
mod ring;
mod stations;
mod trends;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::Line,
    widgets::{Block, BorderType},
};

use super::state::{Look, RingView, Top};

/// The panes below the table have so many rows, and some more if there is room.
const LOWER_ROWS: u16 = 8;
const LOWER_ROWS_MAX: u16 = 12;
/// If one would be narrower, the rightmost is left out.
const PANE_COLUMNS: u16 = 38;

pub fn draw(top: &Top, frame: &mut Frame<'_>) {
    let area = frame.area();
    let header = header::rows(top);
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(header), Constraint::Min(0), Constraint::Length(1)])
            .areas(area);
    header::draw(top, frame, head);
    if let Some((ring, look)) = top.ring().and_then(|ring| Some((ring, ring.shown.as_ref()?))) {
        draw_ring(ring, look, frame, body);
    }
    help::draw_keys(frame, foot);
    if top.shows_help {
        help::draw(frame, area);
    }
}

fn draw_ring(ring: &RingView, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let drawing = graph::drawing(look, area.width);
    let wanted = [rows(drawing.len()) + 2, rows(look.snapshot.stations.len()) + 3, LOWER_ROWS];
    let [graph, table, lower] = share(area.height, wanted);
    let constraints = [graph, table, lower].map(Constraint::Length);
    let [graph_area, table_area, lower_area] = Layout::vertical(constraints).areas(area);
    if graph > 0 {
        graph::draw(&drawing, frame, graph_area);
    }
    if table > 0 {
        stations::draw(ring, look, frame, table_area);
    }
    if lower > 0 {
        draw_lower(ring, look, frame, lower_area);
    }
}

fn draw_lower(ring: &RingView, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let panes = (area.width / PANE_COLUMNS).clamp(1, 3);
    let areas = Layout::horizontal(vec![Constraint::Fill(1); usize::from(panes)]).split(area);
    let draw = [ring::draw, trends::draw, batches::draw];
    for (draw, area) in draw.into_iter().zip(areas.iter()) {
        draw(ring, look, frame, *area);
    }
}

/// How many rows the graph, the table and the lower panes get. First come the stations, up to half of all
/// rows, then the lower panes, then the graph; what is left is the table's, and the lower panes' again.
fn share(rows: u16, [graph, table, lower]: [u16; 3]) -> [u16; 3] {
    let table_min = table.min(rows.div_ceil(2).max(4)).min(rows);
    let mut left = rows - table_min;
    let mut take = |wanted: u16, is_divisible: bool| {
        let taken = if wanted <= left || is_divisible { wanted.min(left) } else { 0 };
        left -= taken;
        taken
    };
    let (lower, graph) = (take(lower, false), take(graph, false));
    let table = table_min + take(table - table_min, true);
    let more = if lower > 0 { take(LOWER_ROWS_MAX - LOWER_ROWS, true) } else { 0 };
    [graph, table, lower + more]
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX - 3)
}

/// A frame with a title.
fn pane<'a>(title: impl Into<Line<'a>>) -> Block<'a> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(Style::new().fg(Color::DarkGray))
        .title(title.into().bold())
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn stations_come_first_and_no_row_is_given_twice() {
        for (rows, given) in [
            (0, [0, 0, 0]),
            (3, [0, 3, 0]),
            (9, [4, 5, 0]),
            (15, [4, 8, 0]),
            (16, [0, 8, 8]),
            (21, [4, 8, 9]),
            (60, [4, 8, 12]),
        ] {
            assert_eq!(share(rows, [4, 8, 8]), given, "{rows}");
            assert!(given.iter().sum::<u16>() <= rows);
        }
    }
}
