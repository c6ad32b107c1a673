//! A row for each station.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::{Color, Modifier, Style, Stylize},
    text::Text,
    widgets::{Cell, Row, Table, TableState},
};
use slipring_insight::{Align, Column, StationTable, columns};

use super::pane;
use crate::top::state::{Look, RingView};

/// Columns are at least so wide that ordinary figures do not move their neighbours.
const WIDTHS_MIN: [(&str, u16); 13] = [
    ("station", 10),
    ("doing", 8),
    ("rate", 7),
    ("lag", 7),
    ("busy", 5),
    ("batch", 6),
    ("failed", 6),
    ("retried", 7),
    ("skipped", 7),
    ("conflated", 9),
    ("late", 5),
    ("handled", 13),
    ("sleeps", 7),
];
/// The same for figures that stations tell.
const TOLD_WIDTH_MIN: u16 = 5;
const SPACING: u16 = 2;
/// A border and a space at each end.
const FRAME_COLUMNS: u16 = 4;

pub fn draw(ring: &RingView, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let table = look.picture.table();
    let rows = table.rows();
    let (places, widths) = columns_shown(table, area.width.saturating_sub(FRAME_COLUMNS));
    let selected = ring.station().map(|(place, _)| place);
    let shown = rows.iter().enumerate().map(|(place, row)| {
        let style = Style::new().fg(colour(look, place));
        Row::new(cells(table, &places, |column| &row[column])).style(style)
    });
    let headings = cells(table, &places, |column| &table.columns()[column].heading);
    let drawn = Table::new(shown, &widths)
        .header(Row::new(headings).dim())
        .column_spacing(SPACING)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(pane(" stations ").padding(ratatui::widgets::Padding::horizontal(1)));
    let mut state = TableState::default().with_selected(selected);
    frame.render_stateful_widget(drawn, area, &mut state);
}

/// The places and the widths of as many columns as there is room for, from the left.
fn columns_shown(table: &StationTable, room: u16) -> (Vec<usize>, Vec<Constraint>) {
    let (mut places, mut widths) = (Vec::new(), Vec::new());
    let mut used = 0;
    let all = table.columns().iter().enumerate();
    for (place, column) in all.filter(|(place, _)| table.is_shown(*place)) {
        let texts = table.rows().iter().map(|row| columns(&row[place]));
        let texts = texts.chain([columns(&column.heading)]);
        let widest = u16::try_from(texts.max().unwrap_or(0)).unwrap_or(u16::MAX);
        let width = widest.max(width_min(column)).min(if place == 0 { 24 } else { 60 });
        let needed = if place == 0 { width } else { width.saturating_add(SPACING) };
        if place > 0 && used + needed > room {
            break;
        }
        used += needed.min(room);
        places.push(place);
        widths.push(Constraint::Length(width));
    }
    (places, widths)
}

fn width_min(column: &Column) -> u16 {
    if column.is_told {
        return TOLD_WIDTH_MIN;
    }
    let known = WIDTHS_MIN.iter().find(|(heading, _)| *heading == column.heading);
    known.map_or(0, |(_, width)| *width)
}

fn cells<'a>(
    table: &StationTable,
    places: &[usize],
    text: impl Fn(usize) -> &'a str,
) -> Vec<Cell<'a>> {
    let cell = |place: &usize| match table.columns()[*place].align {
        Align::Left => Cell::from(Text::from(text(*place))),
        Align::Right => Cell::from(Text::from(text(*place)).right_aligned()),
    };
    places.iter().map(cell).collect()
}

/// Whoever fails is red; whoever holds up a ring that is half full is yellow.
fn colour(look: &Look, place: usize) -> Color {
    let snapshot = &look.snapshot;
    let has_failed = look.change.as_ref().and_then(|change| change.stations.get(place));
    if has_failed.is_some_and(|change| change.failed > 0) {
        Color::Red
    } else if snapshot.stations[place].lag > snapshot.capacity / 2 {
        Color::Yellow
    } else {
        Color::Reset
    }
}
