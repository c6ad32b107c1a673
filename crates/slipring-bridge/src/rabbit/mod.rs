//! RabbitMQ, and what else speaks AMQP 0-9-1.
//!
//! [`Rabbit`] says how the server is reached. A [`RabbitOutlet`] publishes what an outbox sends, to a topic exchange
//! or to a queue, and waits for the server's confirms. A [`RabbitQueue`] is a queue that an inbox listens to, and
//! acknowledges by hand.
//!
//! Everything is durable: exchanges, queues, messages. Each link is a connection of its own, and none of them mends
//! itself: whoever has one that failed throws it away and asks for another.

mod incoming;
mod message;
mod open;
mod outgoing;
mod outlet;
mod queue;
mod session;
mod settings;

pub use incoming::RabbitIncoming;
pub use outgoing::RabbitOutgoing;
pub use outlet::{RabbitOutlet, Unrouted};
pub use queue::RabbitQueue;
pub use settings::{Rabbit, RabbitError};
