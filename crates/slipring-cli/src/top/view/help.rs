//! The keys, in a line and in full, and what the figures mean.

use ratatui::{
    Frame,
    layout::{Constraint, Flex, Layout, Rect},
    style::Stylize,
    text::Line,
    widgets::{Clear, Padding, Paragraph},
};

use super::pane;
use crate::top::keys;

const KEYS: &str = " q quit   ↑↓ station   tab ring   p pause   ? help";

const FIGURES: [(&str, &str); 11] = [
    ("rate", "events handled in a second"),
    ("lag", "events it could handle and has not"),
    ("busy", "share of time in which it did not wait"),
    ("batch", "events at a time, on average"),
    ("retried", "calls made again after a failure"),
    ("conflated", "events passed unhandled to keep up"),
    ("late", "how often it exceeded its lag limit"),
    ("sleeps", "how often it fell asleep"),
    ("others", "what the program tells of the station"),
    ("stalls", "how often a producer had to wait"),
    ("fill", "slots not yet passed by all stations"),
];

const NAME_COLUMNS: usize = 18;
const COLUMNS: u16 = 62;

pub fn draw_keys(frame: &mut Frame<'_>, area: Rect) {
    frame.render_widget(Line::from(KEYS).dim(), area);
}

pub fn draw(frame: &mut Frame<'_>, area: Rect) {
    let line = |(name, text): &(&str, &str)| Line::from(format!("{name:NAME_COLUMNS$}{text}"));
    let mut lines: Vec<Line<'_>> = keys::HELP.iter().map(line).collect();
    lines.push(Line::default());
    lines.extend(FIGURES.iter().map(line));
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let [middle] = Layout::vertical([Constraint::Max(rows)]).flex(Flex::Center).areas(area);
    let [middle] = Layout::horizontal([Constraint::Max(COLUMNS)]).flex(Flex::Center).areas(middle);
    frame.render_widget(Clear, middle);
    let pane = pane(" help ").padding(Padding::horizontal(1));
    frame.render_widget(Paragraph::new(lines).block(pane), middle);
}
