//! The end that consumes.

use std::{fmt, time::Duration};

use async_nats::{
    HeaderMap,
    client::{RequestError, RequestErrorKind},
    jetstream::{
        self, Context, ErrorCode,
        consumer::{AckPolicy, DeliverPolicy, pull},
        context::PublishErrorKind,
        message::PublishMessage,
        stream::{ConsumerErrorKind, LastRawMessageErrorKind, Stream},
    },
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    task::JoinHandle,
};

use super::{
    message,
    reader::{Open, Opens, Reader},
    server::Line,
    stream::JetStream,
};
use crate::{Delivery, Incoming, LinkError, Listen, Settled, Settlement};

const MAKING: &str = "making the consumer";
const SETTLING: &str = "settling";
const BURYING: &str = "keeping a dead letter";

/// How many messages are asked for at once, at most.
const MOST: usize = 1_024;
/// After what time a message that is to come again does.
const AGAIN: &str = r#"-NAK {"delay": 100000000}"#;
/// How many characters of a reason are kept with a dead letter.
const REASON: usize = 1_000;
/// How long a link that ends takes for its farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// Consumes a stream of NATS `JetStream`, as a durable consumer: what an inbox listens to.
///
/// The server keeps what is settled, and delivers again what a connection has left behind: as a rule at once if it was
/// closed, after the [time that it waits](Self::wait_for_settlement) if it broke off. As long as the connection is there, it waits for
/// slow handlers. It is told what is settled and asked for its word, a round for each batch.
///
/// One inbox keeps the order, but what is delivered again comes behind what was delivered before. Several of one name
/// share the work and give up the order; the window is that of all of them together.
///
/// [`Settled::Again`] has the message delivered again after a tenth of a second. [`Settled::Dead`] publishes it to the
/// stream `…-dead` with the reason, and ends it in this one.
///
/// # Examples
/// ```no_run
/// use slipring_bridge::{JetStream, JetStreamIn};
///
/// let stream = JetStream::new("nats://127.0.0.1:4222", "ORDERS", "shop.orders");
/// let input = JetStreamIn::new(stream, "billing");
/// # drop(input);
/// ```
#[derive(Clone, Debug)]
pub struct JetStreamIn {
    stream: JetStream,
    name: String,
    wait: Duration,
    from_now: bool,
}

impl JetStreamIn {
    /// A durable consumer of that name, made if it is not there, so that it gets what is in the stream already.
    pub fn new(stream: JetStream, name: impl Into<String>) -> Self {
        Self { stream, name: name.into(), wait: Duration::from_secs(10), from_now: false }
    }

    /// Makes the consumer, if it is not there, so that it gets only what comes from now on. It has to be said whenever it
    /// listens.
    #[must_use = "it is built by value, another is returned"]
    pub fn from_now(mut self) -> Self {
        self.from_now = true;
        self
    }

    /// How long the server waits for a sign of life before it delivers again what a connection has not settled: 10
    /// seconds unless told otherwise.
    #[must_use = "it is built by value, another is returned"]
    pub fn wait_for_settlement(mut self, time: Duration) -> Self {
        self.wait = time.max(Duration::from_millis(200));
        self
    }

    async fn consumer(
        &self,
        line: &mut Line,
        stream: &Stream,
        window: usize,
    ) -> Result<jetstream::consumer::Consumer<pull::Config>, LinkError> {
        let config = pull::Config {
            durable_name: Some(self.name.clone()),
            name: Some(self.name.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.wait,
            max_deliver: -1,
            max_ack_pending: i64::try_from(window.max(1)).unwrap_or(i64::MAX),
            deliver_policy: if self.from_now { DeliverPolicy::New } else { DeliverPolicy::All },
            ..pull::Config::default()
        };
        match line.within(MAKING, stream.create_consumer(config)).await? {
            Ok(consumer) => Ok(consumer),
            Err(error) => Err(match error.kind() {
                ConsumerErrorKind::JetStream(said)
                    if said.error_code() != ErrorCode::STREAM_NOT_FOUND =>
                {
                    line.refused(MAKING, &said)
                }
                ConsumerErrorKind::InvalidName => line.refused(MAKING, &error),
                _ => line.lost(MAKING, &error),
            }),
        }
    }
}

impl Listen for JetStreamIn {
    type Link = JetStreamIncoming;

    async fn listen(&self, window: usize) -> Result<JetStreamIncoming, LinkError> {
        if self.name.is_empty()
            || self.name.contains(|letter: char| {
                letter.is_whitespace() || letter.is_control() || "*>/\\.".contains(letter)
            })
        {
            let problem =
                format!("{:?} is no name of a consumer: letters and digits are", self.name);
            return Err(LinkError::refused(MAKING, problem));
        }
        let mut line = self.stream.server.connect().await?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(self.stream.server.patience())
            .build(line.client.clone());
        let stream = self.stream.open(&mut line, &context).await?;
        self.stream.dead().open(&mut line, &context).await?;
        let consumer = self.consumer(&mut line, &stream, window).await?;
        let asking = consumer
            .stream()
            .max_messages_per_batch(window.clamp(1, MOST))
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(5))
            .messages();
        let messages = line.wait(MAKING, asking).await?;
        let (found, finds) = mpsc::unbounded_channel();
        let opens = Opens::default();
        let reader = Reader {
            line: line.clone(),
            messages,
            prefix: self.stream.prefix.clone(),
            found,
            opens: opens.clone(),
            beat: self.wait / 4,
        };
        let reader = tokio::spawn(reader.run());
        Ok(JetStreamIncoming { line, context, stream, of: self.clone(), opens, finds, reader })
    }
}

/// A connection over which [`JetStreamIn`] consumes.
pub struct JetStreamIncoming {
    line: Line,
    context: Context,
    stream: Stream,
    of: JetStreamIn,
    opens: Opens,
    finds: UnboundedReceiver<Result<Delivery, LinkError>>,
    reader: JoinHandle<()>,
}

impl fmt::Debug for JetStreamIncoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamIncoming").field("of", &self.of).finish_non_exhaustive()
    }
}

impl Drop for JetStreamIncoming {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl JetStreamIncoming {
    /// Tells the server what becomes of messages, and waits until it knows. It hears one after the other, so that its
    /// answer to the last is one to all.
    async fn tell(&self, told: &[(Open, &'static str)]) -> Result<(), LinkError> {
        let Some(((last, of_last), before)) = told.split_last() else { return Ok(()) };
        let client = &self.line.client;
        for (open, what) in before {
            let telling = client.publish(open.reply.clone(), (*what).into()).await;
            telling.map_err(|error| self.line.lost(SETTLING, &error))?;
        }
        let answer = client.request(last.reply.clone(), (*of_last).into()).await;
        answer.map(drop).map_err(|error: RequestError| match error.kind() {
            RequestErrorKind::NoResponders => {
                LinkError::lost(SETTLING, "the consumer is not there any more")
            }
            _ => self.line.lost(SETTLING, &error),
        })
    }

    /// Keeps a message where dead letters are.
    async fn bury(&self, open: &Open, reason: &str) -> Result<(), LinkError> {
        let (sequence, prefix) = (open.sequence, &self.of.stream.prefix);
        let (headers, payload) = match self.stream.get_raw_message(sequence).await {
            Ok(message) => (message.headers, message.payload),
            Err(error) => match error.kind() {
                // Somebody has deleted it, or it was too old.
                LastRawMessageErrorKind::NoMessageFound => (HeaderMap::new(), "".into()),
                LastRawMessageErrorKind::JetStream(said)
                    if said.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
                {
                    (HeaderMap::new(), "".into())
                }
                _ => return Err(self.line.lost(BURYING, &error)),
            },
        };
        let reason: String = reason.chars().take(REASON).collect();
        let id = format!("{}:{}:{sequence}", self.of.stream.name, self.of.name);
        let headers = message::dead_headers(&headers, &reason, &id);
        let rest = open.subject.strip_prefix(prefix.as_str()).unwrap_or(&open.subject);
        let subject = format!("{prefix}-dead.{}", rest.trim_start_matches('.'));
        let letter = PublishMessage::build().headers(headers.clone()).payload(payload);
        let mut published = self.publish(subject.clone(), letter).await;
        if matches!(&published, Err((kind, _)) if *kind == PublishErrorKind::MaxPayloadExceeded) {
            // With the reason it is larger than it was. The rest of it is in the stream still.
            let letter = PublishMessage::build().headers(headers);
            published = self.publish(subject, letter).await;
        }
        published.map_err(|(_, error)| error)
    }

    async fn publish(
        &self,
        subject: String,
        letter: PublishMessage,
    ) -> Result<(), (PublishErrorKind, LinkError)> {
        let answer = async { self.context.send_publish(subject, letter).await?.await };
        let answer: Result<_, jetstream::context::PublishError> = answer.await;
        answer.map(drop).map_err(|error| (error.kind(), self.line.lost(BURYING, &error)))
    }
}

impl Incoming for JetStreamIncoming {
    async fn receive(&mut self, most: usize, into: &mut Vec<Delivery>) -> Result<(), LinkError> {
        let Some(first) = self.finds.recv().await else {
            return Err(LinkError::lost("reading the stream", "the task that reads has ended"));
        };
        // From here on nothing waits: it is not dropped in between.
        into.push(first?);
        for _ in 1..most {
            match self.finds.try_recv() {
                Ok(Ok(delivery)) => into.push(delivery),
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), LinkError> {
        let mut told = Vec::with_capacity(settlements.len());
        for Settlement { tag, settled } in settlements {
            let Some(open) = self.opens.remove(*tag) else { continue };
            match settled {
                Settled::Done => told.push((open, "+ACK")),
                Settled::Again => told.push((open, AGAIN)),
                Settled::Dead(reason) => {
                    let mut line = self.line.clone();
                    line.within(SETTLING, self.bury(&open, reason)).await??;
                    told.push((open, "+TERM"));
                }
            }
        }
        let mut line = self.line.clone();
        line.within(SETTLING, self.tell(&told)).await?
    }

    async fn close(mut self) {
        self.reader.abort();
        let Self { line: Line { client, .. }, stream, of, opens, reader, .. } = &mut self;
        let farewell = async {
            // The server is to know that nobody takes anything here any more, before it has something to deliver again.
            // Asked about the consumer, it looks who waits for messages. If it looked when it has one, some (2.9.10)
            // would take that for delivered, and it would come again only after the time that it waits.
            let _ = reader.await;
            let _ = stream.consumer_info(&of.name).await;
            for reply in opens.replies() {
                client.publish(reply, "-NAK".into()).await.ok()?;
            }
            client.flush().await.ok()
        };
        // If it does not get there, the server waits before it delivers these again.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}
