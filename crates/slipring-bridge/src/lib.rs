//! Bridges from a ring to a broker, and from a broker to a ring.
//!
//! An outbox follows the durable cursor of a store and publishes what it finds there, in order, and resumes behind
//! what the broker has confirmed. An inbox takes what a broker has, in order and once, to a store or to a bus, and
//! acknowledges what is safe there. Brokers deliver at least once; that every event says which one of its lane came
//! before it makes the hand-off exactly once.
//!
//! ```text
//! store ── outbox ──▶ broker ──▶ inbox ── store, or bus
//!   ▲         │                    │        ▲
//!   └ checkpoint: confirmed        └ marks: safe, in the commit that makes it so
//! ```
//!
//! # What is promised
//! * An [`Outbox`] sends what is durable, in order. What the broker has not confirmed is sent again, all of it from the first
//!   on: so nothing is lost, and what comes twice or too early is known by its [`Stamp`]. Its checkpoint is never ahead of
//!   what is confirmed, and retention waits for it.
//! * An [`Inbox`] hands on each parcel of a lane once and in order, and acknowledges it when its [`Intake`] has it.
//!   [`IntoStore`] has each event exactly once however either program ends, and so has the journal of a bus with
//!   [`IntoBus::journalled`]; handlers of a bus without one see an event at least once.
//! * What no broker takes, what nobody can read, and what is missing, is named with its reason: as
//!   [letters](OutboxLetters), as dead letters of the broker, or as the [reason](InboxHalt) why an inbox has halted.
//! * What came in by an inbox does not go out again: nothing goes in circles.
//! * A broker that is away, a link that hangs, a transport that panics: the handle tells, and nothing is lost.

#![forbid(unsafe_code)]

mod inbox;
#[cfg(feature = "nats")]
mod jetstream;
mod link;
mod loopback;
mod outbox;
mod parcel;
mod pauses;
#[cfg(feature = "rabbitmq")]
mod rabbit;
#[cfg(feature = "redis")]
mod redis_streams;
mod renames;
mod stopping;

#[cfg(feature = "nats")]
pub use jetstream::{
    JetStream, JetStreamIn, JetStreamIncoming, JetStreamOut, JetStreamOutgoing, NatsServer,
};

pub use inbox::{
    Inbox, InboxBuilder, InboxHalt, InboxHandle, InboxReport, InboxState, InboxStatus, Intake,
    IntakeError, IntoBus, IntoStore, Mark, Missing, ORIGIN, ORIGIN_SEQUENCE, RefusedBefore,
    SafeWhen, Verdict, WhenMissing, WhenUnstamped,
};
pub use link::{
    Connect, Delivery, Incoming, LinkError, Listen, Outgoing, Settled, Settlement, Unreadable,
};
pub use loopback::{Loopback, LoopbackIn, LoopbackOut};
pub use outbox::{
    BeginAt, NotConfirmed, Outbox, OutboxBuilder, OutboxHalt, OutboxHandle, OutboxLetter,
    OutboxLetters, OutboxReport, OutboxState, OutboxStatus, RingOutbox, RingOutboxHandle,
    StartError, WhenUnsendable,
};
pub use parcel::{HeaderError, Parcel, Stamp, header};
pub use pauses::Pauses;
#[cfg(feature = "rabbitmq")]
pub use rabbit::{
    Rabbit, RabbitError, RabbitIncoming, RabbitOutgoing, RabbitOutlet, RabbitQueue, Unrouted,
};
#[cfg(feature = "redis")]
pub use redis_streams::{
    RedisDurability, RedisIn, RedisIncoming, RedisOut, RedisOutgoing, RedisServer,
};
pub use renames::Renames;

/// Compiles and runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
