//! A lock-free event dispatcher: a preallocated ring with sequence barriers.
//!
//! Producers claim slots without locks; stations, each on a thread of its own, process every event
//! in dependency order; a slot is used again when the last station has passed it. Nothing is
//! allocated after the start, nothing is copied between stages, and nothing is lost.
//!
//! One idea carries the design: **every station on the ring has a cursor, and stays behind the
//! cursors it follows; a producer follows the last stations by one lap.**
//!
//! ```
//! use slipring::{Builder, read, update};
//!
//! #[derive(Default)]
//! struct Order { quantity: u64, total: u64 }
//!
//! let (mut producer, dispatcher) = Builder::new(1024, Order::default)
//!     .then(update("price", |order: &mut Order, _| order.total = order.quantity * 5))
//!     .then((
//!         read("risk", |order: &Order, _| assert!(order.total < 10_000)),
//!         read("ledger", |order: &Order, at| println!("{}: {}", at.sequence(), order.total)),
//!     ))
//!     .start()?;
//! producer.publish(|order| order.quantity = 3)?;
//! drop(producer); // The last producer closes the ring.
//! let report = dispatcher.join()?;
//! assert_eq!(report.published, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | describe a ring | [`Builder`], [`Station`], [`read`], [`update`] and their kin |
//! | publish | [`Producer`], [`MultiProducer`], [`PublishError`] |
//! | handle events on a thread | closures with [`At`], [`Handler`], [`HandlerMut`], [`BatchHandler`], [`Policy`] |
//! | handle events yourself | [`poller`], [`Poller`] |
//! | await events, or room for them | [`Poller::ready`], [`Poller::into_stream`], [`Producer::publish_async`] |
//! | come and go while it runs | [`Membership`], [`Member`], [`Start`] |
//! | choose how threads wait | [`Wait`] |
//! | look at it while it runs | [`Monitor`], [`Snapshot`] |
//! | keep up | [`Station::lag_limit`], [`LagPolicy`], [`Poller::skip_ahead`] |
//! | end it | [`Dispatcher`], [`Report`], [`ShutdownError`] |
//! | let handlers borrow | [`Builder::scope`], [`ScopeError`], [`Within`] |
//!
//! # Features
//!
//! * `serde`: snapshots and reports can be sent elsewhere.
//! * `tracing`: with the target `slipring`, a span `station` for the life of each station's thread (`name`, and if it
//!   has one, `worker` and `core`), and the events `ring started`, `ring ended` with the report (a warning if
//!   not all went well; told by whoever waits for the end) and a station's fault (an error). However many events
//!   pass the ring, none is told of.
//!
//! How each protocol works, what race it survives and which model proves it: [`protocols`].
//!
//! # Guarantees
//!
//! * Publishing an event happens before every station's handling of it, and a station's handling
//!   happens before that of every station that follows it: plain writes to the event are enough.
//! * Every station sees every event once, in sequence order; failures are subject to its
//!   [`Policy`], and counted. One with a [limit](Station::lag_limit) to its lag may miss events, which are
//!   counted too.
//! * An event whose publish call returned `Ok` reaches every station, unless the ring is halted or
//!   a poller is not polled to its end.
//! * No reference to an event outlives the call that lent it.

mod awaiting;
mod bell;
mod builder;
mod circuit;
mod claim;
mod consumer;
mod crowd;
mod current;
mod cursor;
mod dispatcher;
mod distance;
mod error;
mod extent;
mod figures;
mod guests;
mod handler;
mod hash;
mod lag;
mod lent;
mod lifecycle;
mod membership;
mod muster;
mod policy;
mod poller;
mod post;
mod producer;
#[cfg(doc)]
pub mod protocols;
mod reading;
mod report;
mod ring;
#[cfg(not(any(loom, shuttle)))]
mod scope;
mod seen;
mod sequence;
mod sequencer;
mod settled;
mod sharing;
mod skips;
mod snapshot;
mod station;
mod sync;
mod team;
mod told;
mod topology;
mod trace;
mod wait;
mod work;
mod worker;

pub use awaiting::Events;
pub use builder::Builder;
pub use claim::{Claim, Multi, Single};
pub use dispatcher::{Dispatcher, Warning};
pub use error::{BuildError, Fault, FaultKind, PollerError, PublishError};
pub use extent::{Extent, Within};
pub use guests::Start;
pub use handler::{At, BatchHandler, Fatal, Handler, HandlerError, HandlerMut, Outcome};
pub use lag::LagPolicy;
pub use membership::{AttachError, Detach, Member, Membership, StillThere};
pub use policy::{GiveUp, Policy};
pub use poller::{Batch, Poll, Poller, PollerMut};
pub use producer::{MultiProducer, Producer};
pub use report::{BatchSizes, Report, ShutdownCause, ShutdownError, StationReport};
#[cfg(not(any(loom, shuttle)))]
pub use scope::ScopeError;
pub use sharing::{keyed, keyed_mut, share, share_mut};
pub use snapshot::{Doing, Monitor, Phase, ProducersSnapshot, Snapshot, StationSnapshot};
pub use station::{
    Stage, Station, poller, poller_mut, read, read_batch, read_batch_handler, read_handler,
    read_with, update, update_batch, update_handler, update_with,
};
pub use told::{Calls, Figure, FigureKind};
pub use wait::{ParseWaitError, Wait};
pub use work::{Access, Exclusive, Shared};

/// What models of this crate set and ask; see `loom-tests` and `shuttle-tests`.
#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub mod model {
    #[cfg(loom)]
    pub use crate::sync::model::mutation::write_log;
    pub use crate::sync::model::{Fences, set_fences};
    #[cfg(shuttle)]
    pub use crate::sync::model::{panics::plan_a_panic, time::let_time_pass, time::now};
}

/// Compiles and runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
