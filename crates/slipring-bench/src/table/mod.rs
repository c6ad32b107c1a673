//! The tables: for a terminal, or as Markdown.

mod growth;
mod latency;
mod throughput;
mod verdict;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle, presets};

use crate::{cell::Cell, results::Results, stats::Spread, summary::Summary};
pub use verdict::verdict_lines;

/// How tables look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With lines, for a terminal.
    Terminal,
    /// As Markdown.
    Markdown,
}

/// A line below the names of the columns, and nothing else.
const RULED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// What it is about.
    pub title: String,
    /// The names of the columns.
    pub header: Vec<&'static str>,
    /// Columns from the left that are names and not figures.
    pub names: usize,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Sheet {
    /// As text.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let mut table = Table::new();
        table.load_style(match style {
            Style::Terminal => RULED,
            Style::Markdown => presets::ASCII_MARKDOWN,
        });
        table.set_header(&self.header);
        table.add_rows(&self.rows);
        for column in table.column_iter_mut().skip(self.names) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let heading = match style {
            Style::Terminal => self.title.clone(),
            Style::Markdown => format!("## {}\n", self.title),
        };
        format!("{heading}\n{table}\n")
    }
}

/// All tables of the results that have rows.
#[must_use]
pub fn sheets(results: &Results) -> Vec<Sheet> {
    let summary = Summary::of(&results.throughput);
    let mut sheets = vec![
        throughput::sheet(&results.throughput),
        verdict::verdicts(&summary.verdicts),
        verdict::versus(&summary),
        latency::latency(&results.latency),
        latency::knee(&results.knee),
        growth::sheet(&results.growth),
    ];
    sheets.retain(|sheet| !sheet.rows.is_empty());
    sheets
}

/// What was measured, on what, in a few lines.
#[must_use]
pub fn headline(results: &Results) -> String {
    let Results { command, machine, load_before, load_after, rounds, seconds, floor, .. } = results;
    let figure = |figure: Option<f64>, unit: &str, scale: f64| {
        figure
            .map_or_else(|| "not measured".into(), |figure| format!("{:.0} {unit}", figure / scale))
    };
    let lines = [
        command.clone(),
        format!("{machine}; load {load_before} before, {load_after} after"),
        format!("{rounds} rounds of runs of about {seconds} s; rates are medians in M events/s"),
        format!(
            "round trip of a cache line: {}; held floor: {}",
            figure(floor.line_round_trip_ns, "ns", 1.0),
            figure(floor.held_rate, "M events/s", 1e6),
        ),
    ];
    lines.join("\n")
}

fn place(cell: &Cell) -> Vec<String> {
    let Cell { scenario, wait, batch, capacity, bytes } = cell;
    let names = [scenario.to_string(), wait.to_string()];
    let sizes = [batch, capacity, bytes].map(ToString::to_string);
    names.into_iter().chain(sizes).collect()
}

fn spread(figures: Spread, scale: f64) -> String {
    let [median, low, high] =
        [figures.median, figures.low, figures.high].map(|figure| short(figure / scale));
    format!("{median} ({low}..{high})")
}

/// With as many digits as are worth reading.
pub(crate) fn short(figure: f64) -> String {
    let digits = match figure.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{figure:.digits$}")
}

fn dash() -> String {
    "-".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn every_kind_of_result_has_its_table() {
        let sheets = sheets(&sample::results());
        assert_eq!(sheets.len(), 6);
        for sheet in &sheets {
            assert!(
                sheet.rows.iter().all(|row| row.len() == sheet.header.len()),
                "{}",
                sheet.title
            );
            for style in [Style::Terminal, Style::Markdown] {
                assert!(sheet.render(style).contains(sheet.header[0]));
            }
        }
    }
}
