//! Streams of NATS `JetStream`.
//!
//! [`JetStreamOut`] publishes to a [`JetStream`], [`JetStreamIn`] is a durable consumer of one. An event is published
//! under the prefix of the stream and its topic, in which what NATS does not allow is written as `%` and two
//! hexadecimal digits: white space, `*`, `>`, `%`, everything that is not ASCII; `%_` stands for nothing between two
//! dots. A message has the [headers](crate::header), in which control characters, `%`, blanks at the ends, and
//! everything that is not ASCII are written the same way. Beside a stream `ORDERS` of `orders.>` there is
//! `ORDERS-dead` of `orders-dead.>`.

mod incoming;
mod message;
mod outgoing;
mod reader;
mod server;
mod stream;

pub use incoming::{JetStreamIn, JetStreamIncoming};
pub use outgoing::{JetStreamOut, JetStreamOutgoing};
pub use server::NatsServer;
pub use stream::JetStream;
