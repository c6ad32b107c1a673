//! How the publish rate and the fill went.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::Line,
    widgets::Sparkline,
};
use slipring_insight::figure;

use super::pane;
use crate::top::{
    history::History,
    state::{Look, RingView},
};

pub fn draw(ring: &RingView, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let pane = pane(" over time ").padding(ratatui::widgets::Padding::horizontal(1));
    let inner = pane.inner(area);
    frame.render_widget(pane, area);
    let [rates, fills] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(inner);
    draw_trend(("published", "/s", &ring.rates), None, frame, rates);
    draw_trend(("in use", "", &ring.fills), Some(look.snapshot.capacity), frame, fills);
}

/// A line of words, and the figures below it, the newest at the right end. They are as high as the largest
/// of them allows, or as a limit does.
fn draw_trend(
    (name, unit, history): (&str, &str, &History),
    limit: Option<u64>,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let [words, figures] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let width = usize::from(figures.width);
    let mut values = history.last(width);
    let most = values.iter().copied().max().unwrap_or(0);
    let now = values.last().copied().unwrap_or(0);
    let text = format!("{name} {}{unit}, most {}{unit}", figure::count(now), figure::count(most));
    frame.render_widget(Line::from(text).dim(), words);
    values.splice(0..0, std::iter::repeat_n(0, width - values.len()));
    let sparkline = Sparkline::default()
        .data(values)
        .max(limit.unwrap_or(most).max(1))
        .style(Style::new().fg(Color::Cyan));
    frame.render_widget(sparkline, figures);
}
