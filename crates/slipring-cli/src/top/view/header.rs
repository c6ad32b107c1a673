//! Who is looked at, whether it lives, and what is wrong.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize},
    text::{Line, Span},
    widgets::Paragraph,
};
use slipring_insight::{figure, phase};

use crate::top::{
    state::{RingView, Top},
    verdict::{Mood, verdict},
};

pub fn rows(top: &Top) -> u16 {
    if top.rings.len() > 1 { 3 } else { 2 }
}

pub fn draw(top: &Top, frame: &mut Frame<'_>, area: Rect) {
    let [title, tabs, verdict] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows(top) - 2),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(top, frame, title);
    frame.render_widget(self::tabs(top), tabs);
    frame.render_widget(verdict_line(top), verdict);
}

fn draw_title(top: &Top, frame: &mut Frame<'_>, area: Rect) {
    let (state, colour) = match (&top.ended, top.is_paused) {
        (Some(_), _) => ("■ ended", Color::Red),
        (None, true) => ("‖ paused", Color::Yellow),
        (None, false) => ("● live", Color::Green),
    };
    let mut left = vec![Span::from(format!(" {} ", top.program)).bold().reversed()];
    left.push(format!("  {}", top.address).into());
    if let Some(look) = top.ring().and_then(|ring| ring.shown.as_ref()) {
        let up = figure::clock(look.snapshot.at);
        left.push(format!("   {}", phase(look.snapshot.phase)).into());
        left.push(format!("   up {up}").into());
    }
    let state = Line::from(format!("{state} ")).fg(colour).bold();
    let [wide, narrow] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(10)]).areas(area);
    frame.render_widget(Line::from(left), wide);
    frame.render_widget(Paragraph::new(state).alignment(Alignment::Right), narrow);
}

/// The rings, the one that is shown among them.
fn tabs(top: &Top) -> Line<'_> {
    let tab = |(place, ring): (usize, &RingView)| {
        let tab = Span::from(format!(" {} ", ring.name));
        if place == top.selected() { tab.reversed() } else { tab }
    };
    let tabs = top.rings.iter().enumerate().map(tab);
    std::iter::once(Span::from(" rings ").dim()).chain(tabs).collect()
}

fn verdict_line(top: &Top) -> Line<'static> {
    let (mood, text) = verdict(top);
    let (mark, style) = match mood {
        Mood::Good => ("✓", Style::new().fg(Color::Green)),
        Mood::Quiet => ("·", Style::new()),
        Mood::Slow => ("▲", Style::new().fg(Color::Yellow)),
        Mood::Bad => ("✗", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)),
    };
    Line::styled(format!(" {mark} {text}"), style)
}
