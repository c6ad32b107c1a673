//! What a broker does for a bridge.
//!
//! Both ends are driven by one task each. A link that failed is thrown away, and another is made: nothing is to be
//! saved in one that is not on the broker.

use std::{fmt, future::Future};

use crate::Parcel;

/// Makes links to a broker for an outbox.
pub trait Connect: Send + Sync + 'static {
    /// A link.
    type Link: Outgoing;

    /// Makes one, and whatever it needs at the broker: exchanges, queues, streams. Called again, with back-off, when a link
    /// has failed.
    ///
    /// # Errors
    /// The broker cannot be reached, or refuses.
    fn connect(&self) -> impl Future<Output = Result<Self::Link, LinkError>> + Send;

    /// The most bytes that a parcel may have for this broker; larger ones are not submitted. Not asked before the first link
    /// is made, and then whenever something is read.
    fn largest(&self) -> usize;
}

/// A link over which parcels go out.
pub trait Outgoing: Send {
    /// Sends parcels in order, behind those before, and does not wait until the broker has them. It may hold a little of them
    /// back until [`confirmed`](Self::confirmed) is called.
    ///
    /// # Errors
    /// The link failed; which of them the broker has is not known.
    fn submit(&mut self, parcels: &[Parcel]) -> impl Future<Output = Result<(), LinkError>> + Send;

    /// Waits until the broker has taken the oldest of those that are not confirmed, durably as far as it does that, and says how
    /// many that were, at least one: always a prefix. It is called only if some are not confirmed, and may be
    /// dropped at any moment and called again: nothing is lost by it.
    ///
    /// # Errors
    /// The link failed, or the broker refused one: those behind it count as not sent, even if it has taken them.
    fn confirmed(&mut self) -> impl Future<Output = Result<usize, LinkError>> + Send;

    /// Why the broker takes nothing at the moment, if it says so: a full disk, for one. Then it is waited for, however long
    /// that takes. Asked about once a second while something is not confirmed.
    fn held_up(&self) -> Option<String> {
        None
    }

    /// Ends it in good order, for a short time at most.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Makes links to a broker for an inbox.
pub trait Listen: Send + Sync + 'static {
    /// A link.
    type Link: Incoming;

    /// Makes one, and whatever it needs at the broker, and begins to receive: first of all what it had received
    /// before and not settled.
    ///
    /// `window`: how many parcels may be under way to the inbox and in it, not settled yet: the broker's prefetch.
    ///
    /// # Errors
    /// The broker cannot be reached, or refuses.
    fn listen(&self, window: usize) -> impl Future<Output = Result<Self::Link, LinkError>> + Send;
}

/// A link over which parcels come in.
pub trait Incoming: Send {
    /// Waits for deliveries and appends those that are there, at least one and at most `most`. It may be dropped at any
    /// moment and called again: nothing is lost by it. What a link has delivered and is not settled it does not deliver
    /// again: who gets the same twice settles one of them, while the other waits.
    ///
    /// # Errors
    /// The link failed. What was delivered over it and is not settled comes again over another.
    fn receive(
        &mut self,
        most: usize,
        into: &mut Vec<Delivery>,
    ) -> impl Future<Output = Result<(), LinkError>> + Send;

    /// Tells the broker what became of deliveries of this link: at most once of each. When it has returned, what is
    /// [`Done`](Settled::Done) may come again only if the link fails in the next moment.
    ///
    /// # Errors
    /// The link failed: some of them come again.
    fn settle(
        &mut self,
        settlements: &[Settlement],
    ) -> impl Future<Output = Result<(), LinkError>> + Send;

    /// Ends it in good order, for a short time at most: what is not settled comes again to whoever listens next.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a broker has delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// By which it is settled: each one of a link has another, and they grow.
    pub tag: u64,
    /// Whether the broker says that it may have been delivered before.
    pub is_again: bool,
    /// What it is.
    pub content: Result<Parcel, Unreadable>,
}

/// A delivery that is no parcel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Unreadable {
    /// What is wrong with it.
    pub problem: Box<str>,
    /// What it was published under.
    pub topic: Box<str>,
    /// What it says, as far as that can be had.
    pub payload: Vec<u8>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which.
    pub tag: u64,
    /// What.
    pub settled: Settled,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It is safe where it was to go, or was there already: the broker may forget it.
    Done,
    /// It is to come again, to this inbox or to another of the same name.
    Again,
    /// Nobody can do anything with it: the broker keeps it where dead letters are, with the reason.
    Dead(Box<str>),
}

/// A link that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The broker is not there, or has gone: it is tried again.
    #[error("{doing}: {problem}")]
    Lost {
        /// What the bridge was doing.
        doing: &'static str,
        /// What the client says.
        problem: Box<str>,
    },
    /// The broker refuses: a wrong password, a queue with other settings. Somebody has to see to it; it is tried again all
    /// the same, rarely.
    #[error("the broker refuses ({doing}): {problem}")]
    Refused {
        /// What the bridge was doing.
        doing: &'static str,
        /// What the broker says.
        problem: Box<str>,
    },
    /// The broker does not take one parcel, whenever it is sent: too large, or under a name that it does not allow.
    #[error("the broker does not take event {sequence}: {problem}")]
    Unsendable {
        /// Which: [`Stamp::sequence`](crate::Stamp::sequence).
        sequence: u64,
        /// What is wrong with it.
        problem: Box<str>,
    },
}

impl LinkError {
    /// The broker is not there, or has gone.
    pub fn lost(doing: &'static str, problem: impl fmt::Display) -> Self {
        Self::Lost { doing, problem: problem.to_string().into() }
    }

    /// The broker refuses.
    pub fn refused(doing: &'static str, problem: impl fmt::Display) -> Self {
        Self::Refused { doing, problem: problem.to_string().into() }
    }
}
