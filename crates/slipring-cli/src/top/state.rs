//! What is shown: changed by news and keys, and by no clock.

use std::time::Duration;

use slipring::{Snapshot, StationSnapshot};
use slipring_insight::{Change, Hello, Picture, printable};

use super::{
    history::History,
    keys::{Step, Wish},
    source::News,
};

/// Everything that the screen depends on.
#[derive(Clone, Debug)]
pub struct Top {
    /// Where the program is looked at.
    pub address: String,
    /// Over how long rates are taken.
    interval: Duration,
    /// Its name, once it is known.
    pub program: String,
    pub rings: Vec<RingView>,
    /// The one that is shown.
    selected: usize,
    pub is_paused: bool,
    pub shows_help: bool,
    /// Why the program is not there any more.
    pub ended: Option<String>,
}

/// What is shown of a ring.
#[derive(Clone, Debug)]
pub struct RingView {
    pub name: String,
    /// The look that is shown.
    pub shown: Option<Look>,
    /// The newest look, if it came too soon behind the one that is shown.
    newest: Option<Snapshot>,
    /// The place of the station that is selected.
    station: usize,
    /// Events published a second.
    pub rates: History,
    /// Slots in use.
    pub fills: History,
}

/// A look, and what had happened since the one before.
#[derive(Clone, Debug)]
pub struct Look {
    pub snapshot: Snapshot,
    pub change: Option<Change>,
    pub picture: Picture,
}

impl Top {
    pub fn new(address: String, interval: Duration) -> Self {
        Self {
            address,
            interval,
            program: String::new(),
            rings: Vec::new(),
            selected: 0,
            is_paused: false,
            shows_help: false,
            ended: None,
        }
    }

    /// The ring that is shown.
    pub fn ring(&self) -> Option<&RingView> {
        self.rings.get(self.selected)
    }

    /// Its place.
    pub fn selected(&self) -> usize {
        self.selected
    }

    pub fn hear(&mut self, news: News) {
        match news {
            News::Came(hello) => self.begin(&hello),
            News::Seen { ring, snapshot } => self.see(ring, *snapshot),
            News::Left(reason) => {
                self.ended = Some(reason);
                self.catch_up();
            }
        }
    }

    fn begin(&mut self, hello: &Hello) {
        self.program = printable(&hello.program);
        self.rings = hello.rings.iter().map(|name| RingView::new(name)).collect();
        self.selected = self.selected.min(self.rings.len().saturating_sub(1));
        self.is_paused = false;
        self.ended = None;
    }

    fn see(&mut self, ring: usize, snapshot: Snapshot) {
        if let Some(ring) = self.rings.get_mut(ring) {
            ring.newest = Some(snapshot);
            if !self.is_paused && ring.is_due(self.interval) {
                ring.show_newest();
            }
        }
    }

    /// Shows the last that was seen of a program that shows no more.
    fn catch_up(&mut self) {
        if self.ended.is_some() && !self.is_paused {
            self.rings.iter_mut().for_each(RingView::show_newest);
        }
    }

    /// Does what is wished; quitting is not its business.
    pub fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Quit => {}
            Wish::Pause => {
                self.is_paused = !self.is_paused;
                self.catch_up();
            }
            Wish::Help => self.shows_help = !self.shows_help,
            Wish::Ring(step) => self.selected = step.from(self.selected, self.rings.len()),
            Wish::Station(step) => {
                if let Some(ring) = self.rings.get_mut(self.selected) {
                    ring.select(step);
                }
            }
        }
    }
}

impl RingView {
    fn new(name: &str) -> Self {
        Self {
            name: printable(name),
            shown: None,
            newest: None,
            station: 0,
            rates: History::default(),
            fills: History::default(),
        }
    }

    /// The station that is selected, with its place.
    pub fn station(&self) -> Option<(usize, &StationSnapshot)> {
        let stations = &self.shown.as_ref()?.snapshot.stations;
        let place = self.station.min(stations.len().checked_sub(1)?);
        Some((place, &stations[place]))
    }

    fn select(&mut self, step: Step) {
        let stations = self.shown.as_ref().map_or(0, |look| look.snapshot.stations.len());
        let place = self.station().map_or(0, |(place, _)| place);
        self.station = step.from(place, stations);
    }

    fn is_due(&self, interval: Duration) -> bool {
        match (&self.shown, &self.newest) {
            (Some(shown), Some(newest)) => newest.at.saturating_sub(shown.snapshot.at) >= interval,
            (None, newest) => newest.is_some(),
            (Some(_), None) => false,
        }
    }

    #[allow(clippy::cast_sign_loss)] // A rate is not negative.
    fn show_newest(&mut self) {
        let Some(snapshot) = self.newest.take() else { return };
        let change = self.shown.as_ref().map(|shown| Change::between(&shown.snapshot, &snapshot));
        let picture = match &change {
            Some(change) => {
                self.rates.push(change.publish_rate() as u64);
                self.fills.push(snapshot.fill);
                Picture::with_change(&self.name, &snapshot, change)
            }
            None => Picture::new(&self.name, &snapshot),
        };
        self.shown = Some(Look { snapshot, change, picture });
    }
}
