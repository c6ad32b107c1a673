//! The report: one page that needs nothing else, its plots as files, and the figures behind them.
//!
//! * `scale`, `palette`: coordinates with round ticks, and who has which colour.
//! * `figure`, `bars`, `lines`: how a plot is drawn.
//! * `throughput`, `latency`, `knee`, `growth`: which plots there are.
//! * `curves`: plots of other figures.
//! * `page`: the page.

mod bars;
mod curves;
mod figure;
mod growth;
mod knee;
mod latency;
mod lines;
mod page;
mod palette;
mod scale;
mod throughput;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{command, error::CommandError, results::Results};
pub use curves::{Curve, Curves};
use figure::Figure;
use palette::Palette;

/// A plot that is drawn.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The file's name, without `.svg`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// The drawing.
    pub svg: String,
}

/// All plots that the results have figures for.
///
/// # Errors
///
/// When one cannot be drawn.
pub fn plots(results: &Results) -> Result<Vec<Plot>, CommandError> {
    let palette = Palette::of(results);
    let mut figures: Vec<Figure> = Vec::new();
    figures.extend(throughput::figures(results, &palette));
    figures.extend(latency::figures(results, &palette));
    figures.extend(knee::figures(results, &palette));
    figures.extend(growth::figures(results, &palette));
    figures.iter().map(Figure::plot).collect()
}

/// Writes `index.html`, the plots and `results.json` to a directory; gives the page's path.
///
/// # Errors
///
/// When a plot cannot be drawn or a file cannot be written.
pub fn write(results: &Results, directory: &Path) -> Result<PathBuf, CommandError> {
    let plots = plots(results)?;
    fs::create_dir_all(directory)
        .map_err(|source| CommandError::Output { path: directory.into(), source })?;
    for plot in &plots {
        command::write(&directory.join(format!("{}.svg", plot.name)), &plot.svg)?;
    }
    command::write(&directory.join("results.json"), &results.to_json())?;
    let page = directory.join("index.html");
    command::write(&page, &page::html(results, &plots))?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn every_kind_of_result_has_a_plot_and_every_plot_a_place() {
        let results = sample::results();
        let plots = plots(&results).expect("they can be drawn");
        let names: Vec<_> = plots.iter().map(|plot| plot.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "throughput-yield-batch-1-ring-1024",
                "latency-unicast-yield",
                "knee-unicast-yield",
                "growth-consumers",
                "growth-bytes",
                "memory",
            ]
        );
        let page = page::html(&results, &plots);
        for plot in &plots {
            assert!(page.contains(&plot.title) && plot.svg.contains(&plot.title), "{}", plot.name);
            assert!(plot.svg.contains("prefers-color-scheme"));
        }
    }

    #[test]
    fn results_without_figures_have_a_page() {
        let results = Results::default();
        assert!(plots(&results).expect("there is nothing to draw").is_empty());
        assert!(page::html(&results, &[]).contains("<h1>"));
    }
}
