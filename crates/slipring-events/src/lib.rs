//! An event bus on a slipring: topics, delivery that can be trusted, and reactive streams.

// Not forbidden, since a macro of `smallbox` brings an `allow` of its own, which must be permitted: it
// makes a value into a trait object without an allocation (src/any.rs). There is none of ours.
#![deny(unsafe_code)]

mod account;
mod alarm;
mod any;
mod bus;
mod by_hand;
mod card;
mod checkpoints;
mod clock;
mod context;
mod delivery;
mod draft;
mod drive;
mod envelope;
mod event;
mod gate;
mod handler;
mod hub;
mod id;
mod inline;
mod journal;
mod layers;
mod outcome;
mod publisher;
pub mod reactive;
mod receipt;
mod registration;
mod request;
mod rollback;
mod saga;
mod settings;
mod share;
mod slot;
mod stamps;
mod subscription;
mod times;
mod told;
pub mod topic;
mod topics;
mod trace;
mod trials;
mod view;
mod worker;

pub use account::Account;
pub use any::AnyEvent;
pub use bus::{Bus, BusBuilder, BusReport, HandlerReport, JournalReport, NotDone};
pub use by_hand::{ByHand, Step};
pub use checkpoints::{Checkpoints, DoneBefore, Joining, Missed, NotDurable};
pub use clock::{Clock, ManualClock, SystemClock, Time, TimeError};
pub use context::{Context, FollowUpError, NobodyAsked};
pub use delivery::{
    Attempt, Backoff, Breaker, BreakerState, Bulkhead, DeadLetters, HandledElsewhere, HandlerError,
    Inbox, KeepLetters, KeptLetter, Letter, LetterInfo, Reason, Requeue, Retry, Throttle, WhenFull,
    Window,
};
pub use draft::Draft;
#[cfg(any(feature = "json", feature = "postcard"))]
pub use envelope::EnvelopeError;
pub use envelope::{Envelope, Metadata};
pub use event::{Carries, Event};
pub use handler::{Awaited, Handle, Plain};
pub use id::{EventId, Source};
pub use journal::{Journal, JournalTeller, OnRing, Unstored};
pub use layers::{
    Bare, Broken, Bulkheaded, DeadLettered, Idempotent, Inside, Retried, Throttled, Timed, Untimed,
};
pub use outcome::Outcome;
pub use publisher::{Published, Publisher, Refused, RefusedReason};
pub use receipt::{Fate, NotYet, Receipt, Unhandled};
pub use registration::{RegisterError, Registration};
pub use request::{NoReply, Request};
pub use rollback::{Rollback, RolledBack, Undone, all_or_nothing};
pub use saga::{Saga, TooManyStories};
pub use subscription::{StillAtIt, Subscription};
pub use topic::{Pattern, TopicError};
pub use topics::TopicRefused;
pub use view::{Part, View, Whole};

/// Compiles and runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
