//! A panel of lines, each with its name at its end.

use plotters::{
    chart::ChartBuilder,
    element::{Circle, PathElement, Text},
    series::{DashedLineSeries, LineSeries},
    style::{
        Color as _, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    figure::{Area, text},
    palette::{FADED, GRID, INK},
    scale::Scale,
};

/// The panel.
#[derive(Debug)]
pub struct Lines {
    /// What it is about.
    pub title: String,
    /// What is drawn to the right, and its name.
    pub x: (Scale, &'static str),
    /// What is drawn upwards, and its name.
    pub y: (Scale, &'static str),
    /// Those behind first.
    pub all: Vec<Line>,
}

/// One of them.
#[derive(Debug)]
pub struct Line {
    /// What stands at its end; empty: nothing.
    pub name: String,
    /// In which colour.
    pub colour: RGBColor,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Low and high ends at some of them: x, low, high.
    pub ranges: Vec<(f64, f64, f64)>,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Ours.
    Strong,
    /// Somebody's.
    Plain,
    /// Somebody's without a name.
    Thin,
    /// Not measured.
    Dashed,
}

const MARGIN: u32 = 12;
/// For the names.
const RIGHT: u32 = 140;
/// Between the names of two lines.
const GAP: i32 = 15;

impl Lines {
    /// In pixels.
    pub const HEIGHT: u32 = 340;

    /// Draws it.
    pub fn draw(&self, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        area.draw(&Text::new(self.title.as_str(), (14, 4), text(15, INK)))?;
        let mut chart = ChartBuilder::on(area)
            .margin(MARGIN)
            .margin_top(28)
            .margin_right(RIGHT)
            .x_label_area_size(42)
            .y_label_area_size(66)
            .build_cartesian_2d(self.x.0.clone(), self.y.0.clone())?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(GRID.mix(0.0))
            .axis_style(FADED)
            .label_style(text(12, FADED))
            .axis_desc_style(text(13, FADED))
            .x_desc(self.x.1)
            .y_desc(self.y.1)
            .x_labels(8)
            .y_labels(7)
            .draw()?;
        // All in one column: lines may end anywhere.
        let edge = chart.plotting_area().get_pixel_range().0.end;
        let mut names = Vec::new();
        for line in &self.all {
            let style = line.colour.stroke_width(line.stroke.width());
            let points = line.points.iter().copied();
            if line.stroke == Stroke::Dashed {
                chart.draw_series(DashedLineSeries::new(points, 6, 5, style))?;
            } else {
                chart.draw_series(LineSeries::new(points, style))?;
            }
            if let Some(radius) = line.stroke.dot() {
                let dot = |&at| Circle::new(at, radius, line.colour.filled());
                chart.draw_series(line.points.iter().map(dot))?;
            }
            let ranges = line.ranges.iter();
            let bar = |&(x, low, high)| PathElement::new(vec![(x, low), (x, high)], style);
            chart.draw_series(ranges.map(bar))?;
            if let (Some(end), false) = (line.points.last(), line.name.is_empty()) {
                names.push(((edge, chart.backend_coord(end).1), line));
            }
        }
        // Coordinates of the backend are those of the whole plot.
        let (left, top) = area.get_base_pixel();
        let room = top + 28..top + Self::HEIGHT.cast_signed() - 60;
        spread_out(&mut names, &room);
        for ((x, y), line) in names {
            let style = text(13, line.colour).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(line.name.as_str(), (x - left + 8, y - top), style))?;
        }
        Ok(())
    }
}

/// Moves names up and down until they do not touch; those at the bottom push those above.
fn spread_out(names: &mut [((i32, i32), &Line)], room: &std::ops::Range<i32>) {
    names.sort_by_key(|((_, y), _)| *y);
    let mut next = room.start;
    for ((_, y), _) in names.iter_mut() {
        *y = (*y).max(next);
        next = *y + GAP;
    }
    let mut last = room.end;
    for ((_, y), _) in names.iter_mut().rev() {
        *y = (*y).min(last);
        last = *y - GAP;
    }
}

impl Stroke {
    fn width(self) -> u32 {
        match self {
            Self::Strong => 3,
            Self::Plain => 2,
            Self::Thin | Self::Dashed => 1,
        }
    }

    fn dot(self) -> Option<i32> {
        match self {
            Self::Strong => Some(3),
            Self::Plain => Some(2),
            Self::Thin | Self::Dashed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_touch_and_stay_inside() {
        let line = Line {
            name: "name".into(),
            colour: INK,
            points: Vec::new(),
            ranges: Vec::new(),
            stroke: Stroke::Plain,
        };
        let mut names: Vec<_> = [100, 101, 250, 251, 252].map(|y| ((0, y), &line)).into();
        spread_out(&mut names, &(0..255));
        let places: Vec<_> = names.iter().map(|((_, y), _)| *y).collect();
        assert_eq!(places, [100, 115, 225, 240, 255]);
    }
}
