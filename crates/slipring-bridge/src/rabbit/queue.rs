//! What an inbox listens to.

use std::collections::BTreeMap;

use lapin::{
    Channel,
    options::{
        BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    protocol::AMQPSoftError,
    types::{AMQPValue, FieldTable, ShortString},
};
use slipring_events::Pattern;

use super::{
    Rabbit, RabbitError, RabbitIncoming,
    incoming::Dead,
    outlet::{declare_exchange, own_name},
    session::{Session, failed, soft, within},
    settings::short,
};
use crate::{LinkError, Listen};

/// A queue of a RabbitMQ server that an inbox listens to.
///
/// It is durable. Of several inboxes on it only one gets anything, until it is gone, and then the next (a single active
/// consumer), so that everything comes in order; [`competing`](Self::competing) gives that up. What the inbox has done
/// with is acknowledged, what it gives back comes again, and what is dead goes to the queue `NAME.dead`, with the reason
/// in header `slipring-reason`: the server has confirmed that before the event leaves this queue. A connection that breaks
/// in between may leave it in both.
///
/// # Examples
/// ```
/// use slipring_bridge::{Rabbit, RabbitQueue};
///
/// let rabbit = Rabbit::new("amqp://localhost")?;
/// let queue = RabbitQueue::new(rabbit, "billing")?
///     .bind("events", "order.*")?
///     .bind("events", "payment.#")?;
/// # Ok::<(), slipring_bridge::RabbitError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RabbitQueue {
    pub(super) rabbit: Rabbit,
    pub(super) name: ShortString,
    bindings: Vec<(ShortString, ShortString)>,
    is_existing: bool,
    kind: Kind,
    listeners: Listeners,
    is_at_most_once: bool,
    has_notes: bool,
    dead: DeadLetters,
    arguments: BTreeMap<ShortString, AMQPValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Classic,
    Quorum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listeners {
    OneActive,
    Competing,
}

#[derive(Clone, Debug)]
enum DeadLetters {
    Queue(ShortString),
    Exchange(ShortString),
}

impl RabbitQueue {
    /// A queue of that name; it is made if it is not there.
    ///
    /// # Errors
    /// The name is empty, begins with `amq.`, or has more than 250 bytes: its dead letters need five more.
    pub fn new(rabbit: Rabbit, name: &str) -> Result<Self, RabbitError> {
        let dead = ShortString::try_new(format!("{name}.dead")).map_err(|_| {
            RabbitError::name(
                name,
                "it has more than 250 bytes; `.dead` has to have room behind it",
            )
        })?;
        Ok(Self {
            rabbit,
            name: own_name(name)?,
            bindings: Vec::new(),
            is_existing: false,
            kind: Kind::Classic,
            listeners: Listeners::OneActive,
            is_at_most_once: false,
            has_notes: false,
            dead: DeadLetters::Queue(dead),
            arguments: BTreeMap::new(),
        })
    }

    /// A queue under the last name of a path: `billing` for `shop/europe/billing`.
    ///
    /// # Errors
    /// That name cannot be one: see [`new`](Self::new).
    pub fn at_path(rabbit: Rabbit, path: &str) -> Result<Self, RabbitError> {
        Self::new(rabbit, path.rsplit('/').next().unwrap_or_default())
    }

    /// Has what is published to a topic exchange under a pattern come to this queue. The exchange is made if it is not
    /// there, durable. A binding stays at the server until somebody removes it there.
    ///
    /// # Errors
    /// The name of the exchange, or the pattern, has more than 255 bytes, a wildcard of the pattern is only a part of a
    /// word, or it is the server's default exchange, to which every queue is bound under its name anyway.
    pub fn bind(mut self, exchange: &str, pattern: &str) -> Result<Self, RabbitError> {
        if exchange.is_empty() {
            return Err(RabbitError::name(
                exchange,
                "queues are bound to the default exchange anyway",
            ));
        }
        // The server would take a wildcard that is only a part of a word as it stands.
        if pattern.contains(['*', '#'])
            && let Err(error) = Pattern::new(pattern)
        {
            return Err(RabbitError::name(pattern, error.to_string()));
        }
        self.bindings.push((short(exchange)?, short(pattern)?));
        Ok(self)
    }

    /// Takes the queue, its dead letters and the exchanges as they are: somebody else has made them.
    #[must_use = "it is built by value, another is returned"]
    pub fn existing(mut self) -> Self {
        self.is_existing = true;
        self
    }

    /// Makes it a quorum queue: several servers of a cluster have what is in it. What comes again too often for the
    /// server (`x-delivery-limit`) goes to the dead letters, and is not lost either.
    #[must_use = "it is built by value, another is returned"]
    pub fn quorum(mut self) -> Self {
        self.kind = Kind::Quorum;
        self
    }

    /// Lets several inboxes share what comes; what each gets is in order, but not what they do with it together.
    #[must_use = "it is built by value, another is returned"]
    pub fn competing(mut self) -> Self {
        self.listeners = Listeners::Competing;
        self
    }

    /// Each event comes once at most: the server forgets it when it has sent it. **What is under way gets lost** when a
    /// connection breaks, or a program ends; nothing comes again; and the server sends as fast as it can, whatever the
    /// window says, so what waits for the inbox takes up memory. Dead letters are kept all the same. An inbox that keeps the
    /// order halts at what is lost: let it be [at most once](crate::InboxBuilder::at_most_once), too.
    #[must_use = "it is built by value, another is returned"]
    pub fn at_most_once(mut self) -> Self {
        self.is_at_most_once = true;
        self
    }

    /// Notes with each event what the server says of its delivery: `rabbitmq-exchange`, `rabbitmq-routing-key`,
    /// `rabbitmq-redelivered`. They are part of it from then on.
    #[must_use = "it is built by value, another is returned"]
    pub fn delivery_notes(mut self) -> Self {
        self.has_notes = true;
        self
    }

    /// Where dead letters go, if not to `NAME.dead`: another queue, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be the name of a queue.
    pub fn dead_letters_to(mut self, queue: &str) -> Result<Self, RabbitError> {
        self.dead = DeadLetters::Queue(own_name(queue)?);
        Ok(self)
    }

    /// Leaves dead letters to the server, which publishes them to that exchange (`x-dead-letter-exchange`) under the key
    /// that they had. It does not say why they are dead: the reason gets lost. An exchange to which no queue is bound
    /// loses them.
    ///
    /// # Errors
    /// It cannot be the name of an exchange.
    pub fn dead_letter_exchange(mut self, exchange: &str) -> Result<Self, RabbitError> {
        self.dead = DeadLetters::Exchange(short(exchange)?);
        Ok(self)
    }

    /// Another argument of the queue that is a number: `x-max-length`, for one.
    ///
    /// # Errors
    /// Its name has more than 255 bytes.
    pub fn argument(mut self, name: &str, value: i64) -> Result<Self, RabbitError> {
        self.arguments.insert(short(name)?, AMQPValue::LongLongInt(value));
        Ok(self)
    }

    /// Another argument of the queue that is a text: `x-overflow`, for one.
    ///
    /// # Errors
    /// Its name has more than 255 bytes.
    pub fn argument_text(mut self, name: &str, value: &str) -> Result<Self, RabbitError> {
        self.arguments.insert(short(name)?, AMQPValue::LongString(value.into()));
        Ok(self)
    }

    fn queue_arguments(&self) -> FieldTable {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let mut arguments = FieldTable::default();
        if self.kind == Kind::Quorum {
            arguments.insert("x-queue-type".into(), text("quorum"));
        }
        if self.listeners == Listeners::OneActive {
            arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        }
        match &self.dead {
            DeadLetters::Exchange(exchange) => {
                arguments.insert("x-dead-letter-exchange".into(), text(exchange.as_str()));
            }
            // Where the server would drop something itself.
            DeadLetters::Queue(queue) if self.kind == Kind::Quorum => {
                arguments.insert("x-dead-letter-exchange".into(), text(""));
                arguments.insert("x-dead-letter-routing-key".into(), text(queue.as_str()));
                arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
                arguments.insert("x-overflow".into(), text("reject-publish"));
            }
            DeadLetters::Queue(_) => {}
        }
        for (name, value) in &self.arguments {
            arguments.insert(name.clone(), value.clone());
        }
        arguments
    }

    /// Makes the queue, or looks for it, and what belongs to it.
    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), LinkError> {
        if let DeadLetters::Queue(name) = &self.dead {
            let mut arguments = FieldTable::default();
            if self.kind == Kind::Quorum {
                arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            }
            self.declare_one(channel, name, arguments).await?;
        }
        self.declare_one(channel, &self.name, self.queue_arguments()).await?;
        let options = ExchangeDeclareOptions {
            passive: self.is_existing,
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        for (exchange, pattern) in &self.bindings {
            // The server's own exchanges are there, and may not be declared in another way.
            if !exchange.as_str().starts_with("amq.") {
                declare_exchange(channel, exchange, options).await?;
            }
            let bind = channel.queue_bind(
                self.name.clone(),
                exchange.clone(),
                pattern.clone(),
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            bind.await.map_err(|error| failed("binding the queue", &error))?;
        }
        Ok(())
    }

    async fn declare_one(
        &self,
        channel: &Channel,
        name: &ShortString,
        arguments: FieldTable,
    ) -> Result<(), LinkError> {
        const DOING: &str = "declaring the queue";
        let options =
            QueueDeclareOptions { passive: self.is_existing, ..QueueDeclareOptions::durable() };
        let declared = channel.queue_declare(name.clone(), options, arguments).await;
        declared.map(drop).map_err(|error| match soft(&error) {
            Some(AMQPSoftError::PRECONDITIONFAILED) => LinkError::refused(
                DOING,
                format_args!(
                    "{error}; queue `{name}` is there with other arguments: delete it, give it here the arguments that it \
                     has, or take it as it is, with `existing`"
                ),
            ),
            Some(AMQPSoftError::NOTFOUND) => LinkError::refused(
                DOING,
                format_args!("{error}; queue `{name}` is to be there already: make it first"),
            ),
            _ => failed(DOING, &error),
        })
    }

    async fn link(&self, window: usize) -> Result<RabbitIncoming, LinkError> {
        const DOING: &str = "beginning to listen";
        let session = Session::open(&self.rabbit).await?;
        self.declare(&session.channel).await?;
        let dead = match &self.dead {
            DeadLetters::Queue(name) => {
                let channel = session.another().await?;
                let select = channel.confirm_select(ConfirmSelectOptions::default());
                select.await.map_err(|error| failed(DOING, &error))?;
                Some(Dead { channel, queue: name.clone() })
            }
            DeadLetters::Exchange(_) => None,
        };
        let channel = &session.channel;
        // 0 would be any number of them.
        let window = u16::try_from(window.max(1)).unwrap_or(u16::MAX);
        channel
            .basic_qos(window, BasicQosOptions::default())
            .await
            .map_err(|error| failed(DOING, &error))?;
        let options =
            BasicConsumeOptions { no_ack: self.is_at_most_once, ..BasicConsumeOptions::default() };
        let consumer = channel
            .basic_consume(
                self.name.clone(),
                ShortString::default(),
                options,
                FieldTable::default(),
            )
            .await
            .map_err(|error| failed(DOING, &error))?;
        Ok(RabbitIncoming::new(session, consumer, dead, self.is_at_most_once, self.has_notes))
    }
}

impl Listen for RabbitQueue {
    type Link = RabbitIncoming;

    async fn listen(&self, window: usize) -> Result<RabbitIncoming, LinkError> {
        within(self.rabbit.patience, "connecting", self.link(window)).await
    }
}
