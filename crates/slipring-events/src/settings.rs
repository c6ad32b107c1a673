//! How a handler wants its events.

use std::{fmt, time::Duration};

use slipring::{LagPolicy, Start};

use crate::{
    checkpoints::{Checkpoints, NotDurable},
    delivery::{Breaker, Bulkhead, DeadLetters, Inbox, Key, Retry, Throttle},
    event::Event,
    share::Share,
    times::Times,
};

/// How a handler wants its events; `T` is what it sees of them.
pub(crate) struct Settings<E: Event, T> {
    pub inbox: Option<Box<dyn Inbox>>,
    pub letters: DeadLetters<E>,
    pub retry: Retry,
    pub breaker: Option<Breaker>,
    pub bulkhead: Option<Bulkhead>,
    pub throttle: Option<Throttle>,
    pub timeout: Option<Duration>,
    pub order: Order<E, T>,
    pub share: Share<E, T>,
    /// How many events may be put aside.
    pub most_aside: usize,
    /// How many follow-ups may wait for room.
    pub most_follow_ups: usize,
    pub lag: Option<(u64, LagPolicy)>,
    /// The most events between two moves of its cursor.
    pub page: usize,
    /// Whether somebody wakes it when something is due.
    pub keeps_time: bool,
    /// Takes the time of attempts.
    pub times: Option<Times>,
    /// How far it is, beyond the program.
    pub durable: Option<Box<dyn Checkpoints<E>>>,
}

/// What an event that is to be tried again later holds up.
pub(crate) enum Order<E, T> {
    /// Nothing but itself.
    Overtake,
    /// All that come after it.
    Strict,
    /// Those of its key.
    ByKey(Box<dyn Fn(&T) -> Key + Send>),
    /// Those of its key, which is told by the whole event.
    ByWhole(Box<dyn Fn(&E) -> Key + Send>),
}

impl<E, T> fmt::Debug for Order<E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overtake => "Overtake",
            Self::Strict => "Strict",
            Self::ByKey(_) | Self::ByWhole(_) => "ByKey",
        })
    }
}

impl<E: Event, T> Settings<E, T> {
    pub(crate) fn new(letters: DeadLetters<E>) -> Self {
        Self {
            inbox: None,
            letters,
            retry: Retry::none(),
            breaker: None,
            bulkhead: None,
            throttle: None,
            timeout: None,
            order: Order::Overtake,
            share: Share::Whole,
            most_aside: 1_024,
            most_follow_ups: 1_024,
            lag: None,
            page: 256,
            keeps_time: true,
            times: None,
            durable: None,
        }
    }

    /// Whether a durable handler may have them.
    pub(crate) fn check_durable(&self, has_journal: bool, start: Start) -> Result<(), NotDurable> {
        let skips = matches!(self.lag, Some((_, LagPolicy::SkipAhead)));
        match () {
            () if !has_journal => Err(NotDurable::NoJournal),
            () if !self.letters.are_kept() => Err(NotDurable::Letters),
            () if !matches!(self.share, Share::Whole) => Err(NotDurable::Shared),
            () if skips => Err(NotDurable::SkipsAhead),
            () if start != Start::Now => Err(NotDurable::Start),
            () => Ok(()),
        }
    }

    /// Whether it needs somebody who looks at the clock.
    pub(crate) fn needs_time(&self) -> bool {
        let Self { retry, breaker, bulkhead, throttle, .. } = self;
        retry.has_delays() || breaker.is_some() || bulkhead.is_some() || throttle.is_some()
    }
}

impl<W: Event> Settings<W, W> {
    /// The same for a handler that sees a part of each event.
    pub(crate) fn seeing_less<T>(self) -> Settings<W, T> {
        let order = match self.order {
            Order::Overtake => Order::Overtake,
            Order::Strict => Order::Strict,
            Order::ByKey(key) | Order::ByWhole(key) => Order::ByWhole(key),
        };
        let Self { inbox, letters, retry, breaker, bulkhead, throttle, timeout, share, .. } = self;
        let Self { most_aside, most_follow_ups, lag, page, keeps_time, times, durable, .. } = self;
        Settings {
            inbox,
            letters,
            retry,
            breaker,
            bulkhead,
            throttle,
            timeout,
            order,
            share: share.seeing_less(),
            most_aside,
            most_follow_ups,
            lag,
            page,
            keeps_time,
            times,
            durable,
        }
    }
}
