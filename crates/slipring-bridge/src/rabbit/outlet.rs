//! Where an outbox publishes.

use std::{fmt, sync::Arc};

use lapin::{
    ExchangeKind,
    options::{ConfirmSelectOptions, ExchangeDeclareOptions},
    types::{FieldTable, ShortString},
};

use super::{
    Rabbit, RabbitError, RabbitOutgoing, RabbitQueue,
    session::{Session, failed, within},
    settings::short,
};
use crate::{Connect, LinkError, Parcel};

/// Where an outbox publishes: a topic exchange of a RabbitMQ server, or one of its queues.
///
/// Messages are persistent, and one counts as confirmed when the server says that all queues that it went to have it:
/// on their disks, if they are durable. What a server of version 3 has been told of exchanges, queues and bindings it may
/// hold back for seconds before it is on its disk: one that is killed right after it has made a queue may have forgotten it.
///
/// The routing key is the topic unless told otherwise, so queues are bound with
/// the patterns of topics: `order.*`, `order.#`.
///
/// # Examples
/// ```
/// use slipring_bridge::{Rabbit, RabbitOutlet, Unrouted};
///
/// let rabbit = Rabbit::new("amqp://localhost")?;
/// let outlet = RabbitOutlet::to_exchange(rabbit, "events")?
///     .unrouted(Unrouted::Drop)
///     .routing_key(|parcel| format!("shop.{}", parcel.topic));
/// # Ok::<(), slipring_bridge::RabbitError>(())
/// ```
#[derive(Clone)]
pub struct RabbitOutlet {
    rabbit: Rabbit,
    target: Target,
    key: Option<Arc<RoutingKey>>,
    unrouted: Unrouted,
    largest: usize,
}

pub(super) type RoutingKey = dyn Fn(&Parcel) -> String + Send + Sync;

#[derive(Clone, Debug)]
enum Target {
    Exchange { name: ShortString, is_ours: bool },
    Queue(Box<RabbitQueue>),
}

/// What becomes of an event that no queue is bound for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unrouted {
    /// The link fails as [`Refused`](LinkError::Refused), and the event is sent again until somebody binds a queue:
    /// nothing gets lost, and those behind it wait.
    #[default]
    Refuse,
    /// It counts as [`Unsendable`](LinkError::Unsendable): the outbox sets it aside, and goes on.
    SetAside,
    /// It is confirmed, and nobody gets it. That is what a topic is that nobody has subscribed to.
    Drop,
}

impl fmt::Debug for RabbitOutlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rabbit, target, key, unrouted, largest } = self;
        f.debug_struct("RabbitOutlet")
            .field("rabbit", rabbit)
            .field("target", target)
            .field("has_own_routing_key", &key.is_some())
            .field("unrouted", unrouted)
            .field("largest", largest)
            .finish()
    }
}

impl RabbitOutlet {
    /// As much as RabbitMQ 4 takes unless told otherwise; those before it took 128 MiB.
    const LARGEST: usize = 16 << 20;

    fn new(rabbit: Rabbit, target: Target) -> Self {
        Self { rabbit, target, key: None, unrouted: Unrouted::default(), largest: Self::LARGEST }
    }

    /// To a topic exchange, which is made if it is not there, durable.
    ///
    /// # Errors
    /// The name is empty, has more than 255 bytes, or begins with `amq.`, which the server keeps for itself. To publish
    /// to one that it has made itself, use [`existing`](Self::to_existing_exchange).
    pub fn to_exchange(rabbit: Rabbit, exchange: &str) -> Result<Self, RabbitError> {
        let name = own_name(exchange)?;
        Ok(Self::new(rabbit, Target::Exchange { name, is_ours: true }))
    }

    /// To an exchange that somebody else has made, of whatever kind.
    ///
    /// # Errors
    /// The name is empty, or has more than 255 bytes.
    pub fn to_existing_exchange(rabbit: Rabbit, exchange: &str) -> Result<Self, RabbitError> {
        if exchange.is_empty() {
            return Err(RabbitError::name(
                exchange,
                "an exchange has a name; for a queue, use `to_queue`",
            ));
        }
        let name = short(exchange)?;
        Ok(Self::new(rabbit, Target::Exchange { name, is_ours: false }))
    }

    /// To a queue, which is made if it is not there as whoever listens to it would: by way of the default exchange, where
    /// the routing key is the queue's name.
    pub fn to_queue(queue: RabbitQueue) -> Self {
        Self::new(queue.rabbit.clone(), Target::Queue(Box::new(queue)))
    }

    /// Publishes under another routing key than the topic. It does not change where those go that are for a queue.
    /// An event whose key has more than 255 bytes is set aside.
    #[must_use = "it is built by value, another is returned"]
    pub fn routing_key(mut self, key: impl Fn(&Parcel) -> String + Send + Sync + 'static) -> Self {
        self.key = Some(Arc::new(key));
        self
    }

    /// What becomes of an event that no queue is bound for: [`Refuse`](Unrouted::Refuse) unless told otherwise.
    #[must_use = "it is built by value, another is returned"]
    pub fn unrouted(mut self, unrouted: Unrouted) -> Self {
        self.unrouted = unrouted;
        self
    }

    /// The most bytes that an event may have on its way: 16 MiB unless told otherwise, which is the most that RabbitMQ 4
    /// takes unless its `max_message_size` says otherwise.
    #[must_use = "it is built by value, another is returned"]
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    async fn link(&self) -> Result<RabbitOutgoing, LinkError> {
        let session = Session::open(&self.rabbit).await?;
        let channel = &session.channel;
        let (exchange, to) = match &self.target {
            Target::Exchange { name, is_ours } => {
                // One that somebody else has made is only looked for, whatever kind it is of.
                let options = ExchangeDeclareOptions {
                    passive: !is_ours,
                    durable: true,
                    ..ExchangeDeclareOptions::default()
                };
                declare_exchange(channel, name, options).await?;
                (name.clone(), self.key.clone().map_or(To::Topic, To::Mapped))
            }
            Target::Queue(queue) => {
                queue.declare(channel).await?;
                (ShortString::default(), To::Queue(queue.name.clone()))
            }
        };
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(|error| failed("asking for confirms", &error))?;
        Ok(RabbitOutgoing::new(session, exchange, to, self.unrouted))
    }
}

/// Under which routing key.
pub(super) enum To {
    Topic,
    Mapped(Arc<RoutingKey>),
    Queue(ShortString),
}

impl Connect for RabbitOutlet {
    type Link = RabbitOutgoing;

    async fn connect(&self) -> Result<RabbitOutgoing, LinkError> {
        within(self.rabbit.patience, "connecting", self.link()).await
    }

    fn largest(&self) -> usize {
        self.largest
    }
}

/// The name of something that is made, and not by the server.
pub(super) fn own_name(name: &str) -> Result<ShortString, RabbitError> {
    if name.is_empty() {
        return Err(RabbitError::name(name, "it has to have a name"));
    }
    if name.starts_with("amq.") {
        return Err(RabbitError::name(name, "names that begin with `amq.` are the server's own"));
    }
    short(name)
}

/// Makes a topic exchange, or looks for one.
pub(super) async fn declare_exchange(
    channel: &lapin::Channel,
    name: &ShortString,
    options: ExchangeDeclareOptions,
) -> Result<(), LinkError> {
    use lapin::protocol::AMQPSoftError::{NOTFOUND, PRECONDITIONFAILED};
    const DOING: &str = "declaring the exchange";
    let declared = channel
        .exchange_declare(name.clone(), ExchangeKind::Topic, options, FieldTable::default())
        .await;
    declared.map_err(|error| match super::session::soft(&error) {
        Some(PRECONDITIONFAILED) => LinkError::refused(
            DOING,
            format_args!(
                "{error}; exchange `{name}` is there and is no durable topic exchange: delete it, use another name, or \
                 take it as it is, with `to_existing_exchange` or `existing`"
            ),
        ),
        Some(NOTFOUND) => LinkError::refused(
            DOING,
            format_args!("{error}; exchange `{name}` is to be there already: make it first"),
        ),
        _ => failed(DOING, &error),
    })
}
