//! Throughput against the number of events that are committed at once.

use slipring_bench::{
    error::CommandError,
    report::{Curve, Curves, Plot},
    stats::Spread,
};

use super::{CONTESTANTS, table::Column};

/// What was appended: by sizes, without and with sync.
#[derive(Clone, Debug, Default)]
pub struct Appended {
    /// How many events at once, for each column.
    pub sizes: Vec<u32>,
    /// Without sync.
    pub unsynced: Vec<Column>,
    /// With.
    pub synced: Vec<Column>,
}

/// The plot of it.
///
/// # Errors
/// It cannot be drawn.
pub fn plot(appended: &Appended) -> Result<Plot, CommandError> {
    let panel = |title: &str, columns: &[Column]| Curve {
        title: title.to_owned(),
        size: "events committed at once",
        figure: "events/s",
        points: (0..CONTESTANTS.len()).map(|who| points(&appended.sizes, columns, who)).collect(),
    };
    Curves {
        name: "store-append".to_owned(),
        title: "Appending events of 64 bytes".to_owned(),
        note: "Medians of interleaved rounds, with the ends. A sync costs the same for one event as for thousands, \
               so it is hidden when enough of them share it. A ring commits what has come, and at most so many."
            .to_owned(),
        who: CONTESTANTS.iter().map(|contestant| contestant.name.to_owned()).collect(),
        panels: vec![
            panel("Each commit synced", &appended.synced),
            panel("Without sync", &appended.unsynced),
        ],
    }
    .plot()
}

fn points(sizes: &[u32], columns: &[Column], who: usize) -> Vec<(u32, [f64; 3])> {
    let spread = |column: &Column| {
        let rates = &column.figures[who].rates;
        Spread::of(rates.iter().copied()).map(|spread| [spread.low, spread.median, spread.high])
    };
    let points = sizes.iter().zip(columns);
    points.filter_map(|(size, column)| Some((*size, spread(column)?))).collect()
}
