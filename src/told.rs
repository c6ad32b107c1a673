//! What the owner of a station tells of it besides what the ring knows, to whoever looks.
//!
//! Nothing is written for it while events flow: a teller is asked by whoever takes a snapshot, in that one's thread,
//! when everything else has been read and no lock is held.

use std::{
    borrow::Cow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::{error::let_go, sync::Arc};

/// A figure that the owner of a station tells of it, see [`Station::tell`](crate::Station::tell).
///
/// # Examples
/// ```
/// use slipring::{Figure, FigureKind};
/// use std::time::Duration;
///
/// let dead = Figure::count("dead", 3);
/// assert_eq!((&*dead.name, dead.kind, dead.value), ("dead", FigureKind::Count, 3));
/// assert_eq!(Figure::time("age 99%", Duration::from_micros(5)).value, 5_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Figure {
    /// What it is called: the same at every look, and another one than those of the station's other figures.
    pub name: Cow<'static, str>,
    /// How it is to be read.
    pub kind: FigureKind,
    /// How much; of a time, in nanoseconds.
    pub value: u64,
}

/// How a [`Figure`] is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FigureKind {
    /// It only ever grows: what has happened so far.
    Count,
    /// It comes and goes: how it stands now.
    Level,
    /// A time, in nanoseconds.
    Time,
}

impl Figure {
    /// What has happened so far.
    pub fn count(name: impl Into<Cow<'static, str>>, value: u64) -> Self {
        Self { name: name.into(), kind: FigureKind::Count, value }
    }

    /// How it stands now.
    pub fn level(name: impl Into<Cow<'static, str>>, value: u64) -> Self {
        Self { name: name.into(), kind: FigureKind::Level, value }
    }

    /// A time; more than 584 years count as that.
    pub fn time(name: impl Into<Cow<'static, str>>, time: Duration) -> Self {
        let value = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self { name: name.into(), kind: FigureKind::Time, value }
    }
}

/// Calls that the owner of a poller has made by a policy of its own, see
/// [`Poller::note_calls`](crate::Poller::note_calls).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// All of them.
    pub made: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were made because an earlier one had failed.
    pub retried: u64,
}

/// Tells what somebody knows of a station.
#[derive(Clone)]
pub(crate) struct Teller(Option<Arc<Tell>>);

type Tell = dyn Fn(&mut Vec<Figure>) + Send + Sync;

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").finish_non_exhaustive()
    }
}

impl Teller {
    pub(crate) fn new(tell: impl Fn(&mut Vec<Figure>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// What there is to tell. One that panics has told nothing: it is no business of whoever looks.
    pub(crate) fn ask(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        let Some(tell) = &self.0 else { return figures };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| tell(&mut figures))) {
            let_go(payload);
            figures.clear();
        }
        figures
    }
}

impl Drop for Teller {
    /// What it has captured may panic, in the thread of whoever had it last.
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            let_go(tell);
        }
    }
}
