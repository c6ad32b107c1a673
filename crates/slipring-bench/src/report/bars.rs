//! A panel of bars: who is how fast, the best first, with the range over the rounds.

use plotters::{
    coord::ranged1d::ValueFormatter as _,
    element::{PathElement, Rectangle, Text},
    style::{
        Color as _, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    figure::{Area, text},
    palette::{FADED, GRID, INK},
    scale::{Scale, Unit},
};
use crate::{stats::Spread, table::short};

/// The panel.
#[derive(Debug)]
pub struct Bars {
    /// What they are about.
    pub title: String,
    /// From above.
    pub bars: Vec<Bar>,
}

/// One of them.
#[derive(Debug)]
pub struct Bar {
    /// Whose.
    pub name: String,
    /// In which colour.
    pub colour: RGBColor,
    /// How long.
    pub spread: Spread,
    /// Whether the name stands out.
    pub is_ours: bool,
}

const ROW: i32 = 18;
const TOP: i32 = 28;
const BOTTOM: i32 = 34;
/// For the names.
const LEFT: i32 = 140;
/// For the figures.
const RIGHT: i32 = 64;
/// From the middle of a row to the edge of its bar.
const HALF: i32 = 6;
const TICKS: usize = 5;

impl Bars {
    /// In pixels.
    pub fn height(&self) -> u32 {
        (self.bottom() + BOTTOM).unsigned_abs()
    }

    /// Where the last row ends.
    fn bottom(&self) -> i32 {
        TOP + ROW * i32::try_from(self.bars.len()).unwrap_or(0)
    }

    /// Draws it.
    pub fn draw(&self, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let figures = self.bars.iter().flat_map(|bar| [bar.spread.low, bar.spread.high]);
        let scale = Scale::around(figures, Unit::Count);
        let (width, _) = area.dim_in_pixel();
        let length = width.cast_signed() - LEFT - RIGHT;
        let x = |figure: f64| LEFT + (scale.place(figure) * f64::from(length)).round() as i32;
        let bottom = self.bottom();
        let kind = if scale.is_log() { "M events/s, log scale" } else { "M events/s" };
        let title = format!("{} ({kind})", self.title);
        area.draw(&Text::new(title, (14, 6), text(15, INK)))?;
        let below = text(12, FADED).pos(Pos::new(HPos::Center, VPos::Top));
        for tick in scale.ticks(TICKS) {
            let line = vec![(x(tick), TOP), (x(tick), bottom)];
            area.draw(&PathElement::new(line, GRID.stroke_width(1)))?;
            let label = scale.format_ext(&tick);
            area.draw(&Text::new(label, (x(tick), bottom + 4), below.clone()))?;
        }
        for (index, bar) in (0..).zip(&self.bars) {
            let middle = TOP + ROW * index + ROW / 2;
            Self::draw_bar(area, bar, middle, &x)?;
        }
        Ok(())
    }

    fn draw_bar(
        area: &Area<'_>,
        bar: &Bar,
        middle: i32,
        x: &dyn Fn(f64) -> i32,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let Spread { low, median, high } = bar.spread;
        let ends = [(LEFT, middle - HALF), (x(median), middle + HALF)];
        area.draw(&Rectangle::new(ends, bar.colour.filled()))?;
        let whisker = INK.stroke_width(1);
        area.draw(&PathElement::new(vec![(x(low), middle), (x(high), middle)], whisker))?;
        for end in [x(low), x(high)] {
            area.draw(&PathElement::new(vec![(end, middle - 3), (end, middle + 3)], whisker))?;
        }
        let ink = if bar.is_ours { bar.colour } else { INK };
        let name = text(13, ink).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(bar.name.as_str(), (LEFT - 8, middle), name))?;
        let figure = text(12, FADED).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(short(median), (x(high) + 7, middle), figure))?;
        Ok(())
    }
}
