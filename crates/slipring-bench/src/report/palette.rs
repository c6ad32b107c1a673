//! Who has which colour: the same in all plots of a report.

use std::{collections::BTreeSet, fmt::Write as _};

use plotters::style::RGBColor;

use crate::{
    contestant::Contestant as _,
    floor::{FLOOR, Floor},
    on_slipring::{SLIPRING, Slipring},
    results::{Results, Who},
};

/// Text, and lines that are no figures; turned over when the reader's screen is dark.
pub const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
/// Text that matters less.
pub const FADED: RGBColor = RGBColor(0x6A, 0x72, 0x7B);
/// The grid.
pub const GRID: RGBColor = RGBColor(0xE3, 0xE6, 0xE9);
/// The background.
pub const PAPER: RGBColor = RGBColor(0xFE, 0xFE, 0xFE);
/// What theory expects, and contestants that are shown without a name.
pub const SHADOW: RGBColor = RGBColor(0xB4, 0xBA, 0xC0);

const OURS: RGBColor = RGBColor(0xE0, 0x4F, 0x26);
const OURS_TOO: RGBColor = RGBColor(0xF0, 0x8A, 0x5D);
const FLOORS: RGBColor = RGBColor(0x98, 0x9E, 0xA6);
const HELD: RGBColor = RGBColor(0x6E, 0x76, 0x7E);

/// Told apart by those who see no red or no green, and from ours.
const OTHERS: [RGBColor; 14] = [
    RGBColor(0x1F, 0x77, 0xB4),
    RGBColor(0x12, 0x96, 0x74),
    RGBColor(0xB3, 0x5D, 0xA6),
    RGBColor(0xB8, 0x86, 0x0B),
    RGBColor(0x4B, 0xB0, 0xE0),
    RGBColor(0x6B, 0x5B, 0xB5),
    RGBColor(0x7A, 0x9A, 0x3A),
    RGBColor(0x8C, 0x56, 0x4B),
    RGBColor(0x2B, 0xA8, 0xA8),
    RGBColor(0x5B, 0x6E, 0x8C),
    RGBColor(0xD6, 0x4A, 0x8C),
    RGBColor(0x3F, 0x8F, 0x66),
    RGBColor(0xA9, 0xB8, 0x2C),
    RGBColor(0x52, 0x68, 0xD0),
];

/// The colour of somebody by place: ours is 0.
pub fn nth(place: usize) -> RGBColor {
    place.checked_sub(1).map_or(OURS, |other| OTHERS[other % OTHERS.len()])
}

/// The colours of a report.
#[derive(Debug)]
pub struct Palette {
    others: Vec<String>,
}

impl Palette {
    /// Colours for everybody in the results.
    pub fn of(results: &Results) -> Self {
        let throughput = results.throughput.iter().map(|row| &row.who);
        let latency = results.latency.iter().map(|row| &row.who);
        let knee = results.knee.iter().map(|row| &row.who);
        let growth = results.growth.iter().map(|row| &row.who);
        let all = throughput.chain(latency).chain(knee).chain(growth);
        let others = all.filter(|who| ![SLIPRING, FLOOR].contains(&who.family.as_str()));
        let names: BTreeSet<_> = others.map(|who| who.contestant.clone()).collect();
        Self { others: names.into_iter().collect() }
    }

    /// The colour of one.
    pub fn colour(&self, who: &Who) -> RGBColor {
        match (who.family.as_str(), who.contestant.as_str()) {
            (SLIPRING, name) if name == Slipring::PER_EVENT.name() => OURS,
            (SLIPRING, _) => OURS_TOO,
            (FLOOR, name) if name == Floor::HELD.name() => HELD,
            (FLOOR, _) => FLOORS,
            (_, name) => {
                let index = self.others.iter().position(|other| other == name).unwrap_or(0);
                OTHERS[index % OTHERS.len()]
            }
        }
    }
}

/// What turns over when the reader's screen is dark; stands in every drawing.
pub fn dark_style() -> String {
    let rules = [
        (INK, "e8eaed"),
        (FADED, "9aa2ab"),
        (GRID, "33393f"),
        (PAPER, "15181b"),
        (SHADOW, "59616a"),
    ];
    let mut text = String::new();
    for (RGBColor(red, green, blue), dark) in rules {
        let light = format!("#{red:02X}{green:02X}{blue:02X}");
        let _ = write!(
            text,
            "[fill=\"{light}\"]{{fill:#{dark}}}[stroke=\"{light}\"]{{stroke:#{dark}}}"
        );
    }
    format!("<style>@media (prefers-color-scheme: dark){{{text}}}</style>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn ours_is_ours_and_others_differ() {
        let mut results = sample::results();
        results.throughput[2].who = sample::who("kanal", "kanal");
        let palette = Palette::of(&results);
        let colour = |name: &str, family: &str| palette.colour(&sample::who(name, family));
        assert_eq!(colour("slipring", "slipring"), OURS);
        assert_ne!(colour("slipring-slices", "slipring"), OURS);
        assert_ne!(colour("rtrb", "rtrb"), colour("kanal", "kanal"));
        assert_ne!(colour("floor", "floor"), colour("floor-held", "floor"));
    }
}
