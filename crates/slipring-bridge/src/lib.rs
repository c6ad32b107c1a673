//! Bridges from a ring to a broker, and from a broker to a ring.
//!
//! An outbox follows the durable cursor of a store and publishes what it finds there, in order, and resumes behind
//! what the broker has confirmed. An inbox takes what a broker has, in order and once, to a store or to a bus, and
//! acknowledges what is safe there. Brokers deliver at least once; that every event says which one of its lane came
//! before it makes the hand-off exactly once.

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
