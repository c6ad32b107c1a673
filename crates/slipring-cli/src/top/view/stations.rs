//! A row for each station.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::{Color, Modifier, Style, Stylize},
    text::Text,
    widgets::{Cell, Row, Table, TableState},
};
use slipring_insight::{Align, StationTable, columns};

use super::pane;
use crate::top::state::{Look, RingView};

const COLUMNS: usize = StationTable::COLUMNS.len();
/// Columns are at least so wide that ordinary figures do not move their neighbours.
const WIDTHS_MIN: [u16; COLUMNS] = [10, 8, 7, 7, 5, 6, 6, 7, 9, 5, 13, 7, 0, 0];
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
        Row::new(cells(&places, |column| &row[column])).style(style)
    });
    let headings = cells(&places, |column| StationTable::COLUMNS[column].0);
    let table = Table::new(shown, &widths)
        .header(Row::new(headings).dim())
        .column_spacing(SPACING)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(pane(" stations ").padding(ratatui::widgets::Padding::horizontal(1)));
    let mut state = TableState::default().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
}

/// The places and the widths of as many columns as there is room for, from the left.
fn columns_shown(table: &StationTable, room: u16) -> (Vec<usize>, Vec<Constraint>) {
    let (mut places, mut widths) = (Vec::new(), Vec::new());
    let mut used = 0;
    for place in (0..COLUMNS).filter(|place| table.is_shown(*place)) {
        let (heading, _) = StationTable::COLUMNS[place];
        let texts = table.rows().iter().map(|row| columns(&row[place])).chain([columns(heading)]);
        let widest = u16::try_from(texts.max().unwrap_or(0)).unwrap_or(u16::MAX);
        let width = widest.max(WIDTHS_MIN[place]).min(if place == 0 { 24 } else { 60 });
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

fn cells<'a>(places: &[usize], text: impl Fn(usize) -> &'a str) -> Vec<Cell<'a>> {
    let cell = |place: &usize| match StationTable::COLUMNS[*place].1 {
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
