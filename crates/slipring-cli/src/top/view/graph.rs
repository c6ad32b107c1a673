//! Who follows whom.

use ratatui::{Frame, layout::Rect, text::Line, widgets::Paragraph};

use super::pane;
use crate::top::state::Look;

/// What stands beside the drawing: a border and a space at each end.
const FRAME_COLUMNS: u16 = 4;

pub fn drawing(look: &Look, width: u16) -> Vec<String> {
    look.picture.drawing(usize::from(width.saturating_sub(FRAME_COLUMNS)))
}

pub fn draw(drawing: &[String], frame: &mut Frame<'_>, area: Rect) {
    let lines: Vec<Line<'_>> = drawing.iter().map(|line| Line::from(format!(" {line}"))).collect();
    frame.render_widget(Paragraph::new(lines).block(pane(" flow ")), area);
}
