//! How full the ring is, and how its producers fare.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::Line,
    widgets::{LineGauge, Paragraph},
};
use slipring_insight::{at_right, figure};

use super::pane;
use crate::top::{
    state::{Look, RingView},
    verdict::stalled_share,
};

/// The width of what figures stand behind.
const NAME_COLUMNS: usize = 10;
/// And of the figures.
const FIGURE_COLUMNS: usize = 12;

pub fn draw(_: &RingView, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let pane = pane(" ring ").padding(ratatui::widgets::Padding::horizontal(1));
    let inner = pane.inner(area);
    frame.render_widget(pane, area);
    let [gauge, figures] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(inner);
    frame.render_widget(fill_gauge(look), gauge);
    frame.render_widget(Paragraph::new(figures_of(look)), figures);
}

fn fill_gauge(look: &Look) -> LineGauge<'static> {
    let fullness = look.snapshot.fullness().clamp(0.0, 1.0);
    let colour = match fullness {
        low if low < 0.5 => Color::Green,
        high if high < 0.9 => Color::Yellow,
        _ => Color::Red,
    };
    LineGauge::default()
        .ratio(fullness)
        .label(format!("fill {}", at_right(&figure::percent(fullness), 4)))
        .filled_symbol("█")
        .unfilled_symbol("░")
        .filled_style(Style::new().fg(colour))
        .unfilled_style(Style::new().fg(Color::DarkGray))
}

fn figures_of(look: &Look) -> Vec<Line<'static>> {
    let snapshot = &look.snapshot;
    let producers = &snapshot.producers;
    let change = look.change.as_ref();
    let rate = change.map_or(String::new(), |change| figure::rate(change.publish_rate()));
    let waiting = match producers.stalled {
        0 => String::new(),
        stalled => format!("{stalled} waiting"),
    };
    let stalled = match change {
        Some(_) => format!("{} of time", figure::percent(stalled_share(look))),
        None => String::new(),
    };
    let slots = format!("of {}", figure::grouped(snapshot.capacity));
    let mut lines = vec![
        line("in use", &figure::grouped(snapshot.fill), &slots),
        line("published", &figure::grouped(snapshot.published), &rate),
        line("producers", &producers.handles.to_string(), &waiting),
        line("stalls", &figure::grouped(producers.stalls), &stalled),
    ];
    if snapshot.abandoned > 0 {
        lines.push(line("abandoned", &figure::grouped(snapshot.abandoned), ""));
    }
    lines
}

fn line(name: &str, figure: &str, remark: &str) -> Line<'static> {
    let figure = at_right(figure, FIGURE_COLUMNS);
    Line::from(format!("{name:NAME_COLUMNS$}{figure}  {remark}"))
}
