//! A plot: a title, and panels side by side.

use plotters::{
    coord::Shift,
    prelude::{DrawingArea, IntoDrawingArea as _, SVGBackend, Text},
    style::{IntoFont as _, RGBColor, TextStyle},
};

use super::{
    Plot,
    bars::Bars,
    lines::Lines,
    palette::{INK, PAPER, dark_style},
};
use crate::error::CommandError;

/// Where a panel is drawn.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A plot that is not drawn yet.
#[derive(Debug)]
pub struct Figure {
    /// The file's name, without `.svg`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// Its parts.
    pub panels: Vec<Panel>,
}

/// A part of a plot.
#[derive(Debug)]
pub enum Panel {
    /// Who is how fast.
    Bars(Bars),
    /// How something depends on something else.
    Lines(Lines),
}

const PANEL_WIDTH: u32 = 540;
/// Of a plot with one panel.
const SINGLE_WIDTH: u32 = 820;
const COLUMNS: usize = 2;
const TITLE_HEIGHT: u32 = 40;

impl Figure {
    /// Draws it.
    pub fn plot(&self) -> Result<Plot, CommandError> {
        let svg = self.draw().map_err(|error| CommandError::Plot(error.to_string()))?;
        let (name, title, note) = (self.name.clone(), self.title.clone(), self.note.clone());
        Ok(Plot { name, title, note, svg: with_style(&svg) })
    }

    fn draw(&self) -> Result<String, Box<dyn std::error::Error>> {
        let columns = self.panels.len().clamp(1, COLUMNS);
        let rows = self.panels.len().div_ceil(columns).max(1);
        let width = if columns == 1 { SINGLE_WIDTH } else { PANEL_WIDTH * columns as u32 };
        let height = self.panels.iter().map(Panel::height).max().unwrap_or(0);
        let mut svg = String::new();
        {
            let size = (width, TITLE_HEIGHT + height * rows as u32);
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            root.fill(&PAPER)?;
            let (head, body) = root.split_vertically(TITLE_HEIGHT);
            head.draw(&Text::new(self.title.as_str(), (14, 12), text(18, INK)))?;
            for (area, panel) in body.split_evenly((rows, columns)).iter().zip(&self.panels) {
                match panel {
                    Panel::Bars(bars) => bars.draw(area)?,
                    Panel::Lines(lines) => lines.draw(area)?,
                }
            }
            root.present()?;
        }
        Ok(svg)
    }
}

impl Panel {
    fn height(&self) -> u32 {
        match self {
            Self::Bars(bars) => bars.height(),
            Self::Lines(_) => Lines::HEIGHT,
        }
    }
}

/// Text of a size.
pub fn text(size: i32, colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour)
}

/// The colours of a dark screen, and a size that a page may change.
fn with_style(svg: &str) -> String {
    match svg.find("<svg").and_then(|start| Some(start + svg[start..].find('>')? + 1)) {
        Some(end) => format!("{}\n{}{}", &svg[..end], dark_style(), &svg[end..]),
        None => svg.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_text_and_is_escaped() {
        let figure = |title: &str| Figure {
            name: "name".into(),
            title: title.into(),
            note: String::new(),
            panels: Vec::new(),
        };
        let plot = figure("a < b").plot().expect("it can be drawn");
        assert!(plot.svg.contains("a &lt; b"), "{}", plot.svg);
        assert!(plot.svg.contains("<style>"));
    }
}
