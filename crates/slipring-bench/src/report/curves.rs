//! Plots of figures that are not in [`Results`](crate::results::Results): how something grows, for several who are
//! compared.

use super::{
    Plot,
    figure::{Figure, Panel},
    lines::{Line, Lines, Stroke},
    palette,
    scale::{Scale, Unit},
};
use crate::error::CommandError;

/// A plot: panels side by side, each with the same who in the same colours.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// The file's name, without `.svg`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// Who is compared, ours first.
    pub who: Vec<String>,
    /// The panels.
    pub panels: Vec<Curve>,
}

/// A panel: a figure per second against a size in powers of two, both logarithmic.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it is about.
    pub title: String,
    /// What the size is.
    pub size: &'static str,
    /// What the figure is.
    pub figure: &'static str,
    /// For each who: size, and low, median and high of the figure.
    pub points: Vec<Vec<(u32, [f64; 3])>>,
}

impl Curves {
    /// Draws it.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn.
    pub fn plot(&self) -> Result<Plot, CommandError> {
        let panels = self.panels.iter().map(|curve| Panel::Lines(self.panel(curve))).collect();
        let (name, title, note) = (self.name.clone(), self.title.clone(), self.note.clone());
        Figure { name, title, note, panels }.plot()
    }

    fn panel(&self, curve: &Curve) -> Lines {
        let mut all: Vec<Line> = (0..)
            .zip(self.who.iter().zip(&curve.points))
            .filter(|(_, (_, points))| !points.is_empty())
            .map(|(place, (who, points))| Line {
                name: who.clone(),
                colour: palette::nth(place),
                points: points
                    .iter()
                    .map(|(size, [_, median, _])| (f64::from(*size), *median))
                    .collect(),
                ranges: points
                    .iter()
                    .map(|(size, [low, _, high])| (f64::from(*size), *low, *high))
                    .collect(),
                stroke: if place == 0 { Stroke::Strong } else { Stroke::Plain },
            })
            .collect();
        // Ours is in front.
        all.sort_by_key(|line| line.stroke == Stroke::Strong);
        let points: Vec<_> = all.iter().flat_map(|line| line.points.clone()).collect();
        let x = Scale::log(points.iter().map(|point| point.0), Unit::Size);
        let y = Scale::log(points.iter().map(|point| point.1), Unit::Count);
        Lines { title: curve.title.clone(), x: (x, curve.size), y: (y, curve.figure), all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_with_a_figure_has_a_line_and_a_name() {
        let line = vec![(1, [0.5, 1.0, 2.0]), (64, [50.0, 60.0, 70.0])];
        let panel = Curve {
            title: "Synced".to_owned(),
            size: "events at once",
            figure: "events/s",
            points: vec![line.clone(), Vec::new(), line],
        };
        let who = ["ours", "absent", "theirs"].map(str::to_owned).to_vec();
        let plot = Curves {
            name: "append".to_owned(),
            title: "Appending".to_owned(),
            note: String::new(),
            who,
            panels: vec![panel],
        };
        let svg = plot.plot().expect("it can be drawn").svg;
        for part in ["ours", "theirs", "Synced", "events at once", "Appending"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("absent"));
    }
}
