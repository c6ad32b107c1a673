//! The end that publishes.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use async_nats::jetstream::{
    self, Context, ErrorCode,
    context::{PublishError, PublishErrorKind},
    message::PublishMessage,
    publish::PublishAck,
    stream::{LastRawMessageErrorKind, Stream},
};
use slipring_events::Time;
use tokio::task::unconstrained;

use super::{
    message::{self, LONGEST_SUBJECT},
    server::Line,
    stream::JetStream,
};
use crate::{Connect, LinkError, Outgoing, Parcel, Stamp};

const ASKING: &str = "asking for the last event of the stream";
const PUBLISHING: &str = "publishing";

/// How many messages, and how many bytes, are on their way at once.
const FLYING: usize = 512;
const FLYING_BYTES: usize = 8 << 20;
/// What a server takes unless it says otherwise, and how much of that is left for what headers and dead letters add.
const PAYLOAD: usize = 1 << 20;
const SPARE: usize = 8 << 10;

/// Publishes to a stream of NATS `JetStream`: what an outbox connects to.
///
/// One outbox is the only writer of its stream unless told otherwise. Then each event is there once, however often and
/// however late it is sent again: each message says behind which one it belongs, by number and by name, and the server
/// refuses it anywhere else, so that one that fails takes those behind it along; a new connection begins by looking what
/// the last one is.
/// A server that has lost what it had confirmed is noticed, too. [`shared`](Self::shared) streams have what the
/// server can do for several writers.
///
/// # Examples
/// ```no_run
/// use slipring_bridge::{JetStream, JetStreamOut};
///
/// let stream = JetStream::new("nats://127.0.0.1:4222", "ORDERS", "shop.orders");
/// let out = JetStreamOut::new(stream);
/// # drop(out);
/// ```
#[derive(Clone, Debug)]
pub struct JetStreamOut {
    stream: JetStream,
    is_shared: bool,
    after_loss: bool,
    largest: Arc<AtomicUsize>,
}

impl JetStreamOut {
    /// One for a stream.
    pub fn new(stream: JetStream) -> Self {
        Self {
            stream,
            is_shared: false,
            after_loss: false,
            largest: Arc::new(AtomicUsize::new(PAYLOAD - SPARE)),
        }
    }

    /// Others write to the stream, too. An event that is sent again is then left out only as long as the server knows it
    /// [again](JetStream::know_again_for): if an outbox is away for longer in the wrong moment, the stream has some of its
    /// events twice, which an inbox leaves out.
    #[must_use = "it is built by value, another is returned"]
    pub fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    /// Goes on when the server has lost events that it had confirmed, and does not have the outbox stop there until
    /// somebody has seen to it. Inboxes that have not got them notice.
    #[must_use = "it is built by value, another is returned"]
    pub fn go_on_after_loss(mut self) -> Self {
        self.after_loss = true;
        self
    }
}

impl Connect for JetStreamOut {
    type Link = JetStreamOutgoing;

    async fn connect(&self) -> Result<JetStreamOutgoing, LinkError> {
        let mut line = self.stream.server.connect().await?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(self.stream.server.patience())
            .max_ack_inflight(2 * FLYING)
            .build(line.client.clone());
        let stream = self.stream.open(&mut line, &context).await?;
        // Relaxed. It is a number by itself.
        self.largest.store(line.client.max_payload().saturating_sub(SPARE), Ordering::Relaxed);
        let last =
            if self.is_shared { Last::Shared } else { self.last(&mut line, &stream).await? };
        Ok(JetStreamOutgoing {
            line,
            context,
            of: self.clone(),
            next: stream.cached_info().state.last_sequence,
            before: None,
            last,
            is_sure: self.is_shared,
            has_failed: false,
            waiting: VecDeque::new(),
            flying: VecDeque::new(),
            bytes: 0,
        })
    }

    fn largest(&self) -> usize {
        // Relaxed. It is a number by itself.
        self.largest.load(Ordering::Relaxed)
    }
}

impl JetStreamOut {
    async fn last(&self, line: &mut Line, stream: &Stream) -> Result<Last, LinkError> {
        let state = &stream.cached_info().state;
        if state.messages == 0 {
            return Ok(Last::Unknown);
        }
        let message = match line.within(ASKING, stream.get_raw_message(state.last_sequence)).await?
        {
            Ok(message) => message,
            Err(error) => match error.kind() {
                // Somebody has deleted it.
                LastRawMessageErrorKind::NoMessageFound => return Ok(Last::Unknown),
                LastRawMessageErrorKind::JetStream(said)
                    if said.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
                {
                    return Ok(Last::Unknown);
                }
                _ => return Err(line.lost(ASKING, &error)),
            },
        };
        let headers = Some(&message.headers);
        let prefix = &self.stream.prefix;
        let parcel = message::parcel(prefix, &message.subject, headers, b"", Time::from_nanos(0));
        Ok(parcel.ok().and_then(|parcel| parcel.stamp).map_or(Last::Foreign, Last::Of))
    }
}

/// What is known of the last event in the stream.
#[derive(Clone, Debug)]
enum Last {
    /// Others write, too.
    Shared,
    /// Nothing: there is none any more.
    Unknown,
    /// It comes from another program.
    Foreign,
    Of(Stamp),
}

/// A connection over which [`JetStreamOut`] publishes.
pub struct JetStreamOutgoing {
    line: Line,
    context: Context,
    of: JetStreamOut,
    /// Behind which message of the stream the next one belongs: its number, and its name if it was sent over this
    /// connection. By the number alone it could come behind one of another program that has taken the place of the one
    /// before it. The server forgets names.
    next: u64,
    before: Option<String>,
    /// The last one in the stream before this connection, until the first that is sent was compared with it.
    last: Last,
    /// Nothing that was sent before can be in the stream any more: those before went one by one.
    is_sure: bool,
    has_failed: bool,
    /// Not sent.
    waiting: VecDeque<Waiting>,
    /// Sent, in order.
    flying: VecDeque<Flying>,
    bytes: usize,
}

impl fmt::Debug for JetStreamOutgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamOutgoing")
            .field("of", &self.of)
            .field("waiting", &self.waiting.len())
            .field("flying", &self.flying.len())
            .finish_non_exhaustive()
    }
}

struct Waiting {
    sequence: Option<u64>,
    /// `None`: it is there.
    message: Option<Message>,
    bytes: usize,
}

struct Message {
    subject: String,
    id: String,
    content: PublishMessage,
}

type Answer = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

struct Flying {
    sequence: Option<u64>,
    /// `None`: it is there.
    answer: Option<Answer>,
    early: Option<Result<PublishAck, PublishError>>,
    bytes: usize,
}

/// The answer, if it is there. It does not wait.
async fn by_now(answer: &mut Answer) -> Option<Result<PublishAck, PublishError>> {
    poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

impl JetStreamOutgoing {
    /// One that has failed stays so.
    fn check(&self) -> Result<(), LinkError> {
        if self.has_failed {
            return Err(LinkError::lost(PUBLISHING, "this connection has failed before"));
        }
        self.line.check(PUBLISHING)
    }

    /// Whether it is in the stream already, as far as the last one there tells.
    fn is_there(&mut self, parcel: &Parcel) -> Result<bool, LinkError> {
        let name = &self.of.stream.name;
        let refused = |problem: String| Err(LinkError::refused(PUBLISHING, problem));
        let stamp = match (&self.last, &parcel.stamp) {
            (Last::Shared | Last::Unknown, _) => return Ok(false),
            (Last::Of(last), Some(stamp)) if last.lane == stamp.lane => stamp,
            (Last::Of(last), _) => {
                let lane = last.lane.clone();
                return refused(format!(
                    "the last event of stream {name} is of lane {lane}: if several write to it, say `shared`"
                ));
            }
            (Last::Foreign, _) => {
                return refused(format!(
                    "the last message of stream {name} is of another program: if several write to it, say `shared`"
                ));
            }
        };
        let Last::Of(last) = &self.last else { return Ok(false) };
        if stamp.sequence <= last.sequence {
            return Ok(true);
        }
        let missing = stamp.previous.filter(|previous| *previous > last.sequence);
        if let Some(previous) = missing.filter(|_| !self.of.after_loss) {
            let had = last.sequence;
            return refused(format!(
                "stream {name} has event {had} as the last, and {previous} should be: the server has lost events that it \
                 had confirmed, set the outbox back, or say `go_on_after_loss`"
            ));
        }
        // Those that come now are behind this one.
        self.last = Last::Unknown;
        Ok(false)
    }

    fn prepare(&mut self, parcel: &Parcel) -> Result<Waiting, LinkError> {
        let sequence = parcel.stamp.as_ref().map(|stamp| stamp.sequence);
        if self.is_there(parcel)? {
            return Ok(Waiting { sequence, message: None, bytes: 0 });
        }
        let subject = message::subject(&self.of.stream.prefix, &parcel.topic);
        if subject.len() > LONGEST_SUBJECT {
            let problem = format!("its topic makes a subject of {} bytes", subject.len());
            return Err(unsendable(sequence, problem));
        }
        let payload = parcel.payload.clone().into();
        let (id, headers) = (message::id(parcel), message::headers(parcel));
        let content = PublishMessage::build().payload(payload).headers(headers).message_id(&id);
        let message = Some(Message { subject, id, content });
        Ok(Waiting { sequence, message, bytes: parcel.size() })
    }

    /// Sends what there is room for: one at a time as long as it may be there already.
    async fn fly(&mut self) {
        while let Some(waiting) = self.waiting.front() {
            let room = if self.is_sure || waiting.message.is_none() { FLYING } else { 1 };
            let fits = self.flying.len() < room && self.bytes + waiting.bytes <= FLYING_BYTES;
            if !fits && !self.flying.is_empty() {
                break;
            }
            let Some(Waiting { sequence, message, bytes }) = self.waiting.pop_front() else {
                break;
            };
            let Some(Message { subject, id, mut content }) = message else {
                self.flying.push_back(Flying { sequence, answer: None, early: None, bytes });
                continue;
            };
            if !self.of.is_shared {
                content = content.expected_last_sequence(self.next);
                if let Some(before) = &self.before {
                    content = content.expected_last_message_id(before);
                }
                self.next += 1;
                self.before = Some(id);
            }
            let context = self.context.clone();
            let mut answer: Answer = Box::pin(unconstrained(async move {
                context.send_publish(subject, content).await?.await
            }));
            // That puts it into the queue of the client, however much the task has done already.
            let early = by_now(&mut answer).await;
            self.bytes += bytes;
            self.flying.push_back(Flying { sequence, answer: Some(answer), early, bytes });
        }
    }

    /// Takes those at the front that are confirmed by now.
    async fn land(&mut self) -> Result<usize, LinkError> {
        let mut count = 0;
        while let Some(first) = self.flying.front_mut() {
            if let (Some(answer), None) = (&mut first.answer, &first.early) {
                first.early = by_now(answer).await;
                if first.early.is_none() {
                    break;
                }
            }
            match &first.early {
                Some(Err(_)) if count > 0 => break,
                Some(Err(error)) => {
                    self.has_failed = true;
                    return Err(failed(&self.line, first.sequence, error));
                }
                Some(Ok(ack)) if ack.duplicate && !self.of.is_shared => {
                    if self.is_sure {
                        if count > 0 {
                            break;
                        }
                        self.has_failed = true;
                        let problem = "another outbox sends the same events";
                        return Err(LinkError::lost(PUBLISHING, problem));
                    }
                    // It was there, and is not behind the one that was the last.
                    self.next -= 1;
                    self.before = None;
                }
                Some(Ok(_)) => self.is_sure = true,
                None => {}
            }
            self.bytes -= first.bytes;
            self.flying.pop_front();
            count += 1;
        }
        Ok(count)
    }
}

fn unsendable(sequence: Option<u64>, problem: String) -> LinkError {
    match sequence {
        Some(sequence) => LinkError::Unsendable { sequence, problem: problem.into() },
        None => LinkError::refused(PUBLISHING, problem),
    }
}

fn failed(line: &Line, sequence: Option<u64>, error: &PublishError) -> LinkError {
    let said = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<jetstream::Error>());
    match (error.kind(), said) {
        (PublishErrorKind::MaxPayloadExceeded, _) => unsendable(sequence, error.to_string()),
        (PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId, _) => {
            let why =
                "somebody else has written to the stream: if that is meant to be, say `shared`";
            LinkError::lost(PUBLISHING, format!("{error}: {why}"))
        }
        (_, Some(said)) => match said.error_code() {
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
            | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM => unsendable(sequence, said.to_string()),
            // There is no room for it, but there may be later.
            ErrorCode::STREAM_STORE_FAILED => line.lost(PUBLISHING, said),
            _ => line.refused(PUBLISHING, said),
        },
        _ => line.lost(PUBLISHING, error),
    }
}

impl Outgoing for JetStreamOutgoing {
    async fn submit(&mut self, parcels: &[Parcel]) -> Result<(), LinkError> {
        self.check()?;
        for parcel in parcels {
            let waiting = self.prepare(parcel)?;
            self.waiting.push_back(waiting);
        }
        self.fly().await;
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<usize, LinkError> {
        loop {
            self.check()?;
            self.fly().await;
            let Some(first) = self.flying.front_mut() else {
                // There is nothing to wait for.
                return std::future::pending().await;
            };
            if let (Some(answer), None) = (&mut first.answer, &first.early) {
                tokio::select! {
                    biased;
                    answer = answer.as_mut() => first.early = Some(answer),
                    error = self.line.end(PUBLISHING) => {
                        self.has_failed = true;
                        return Err(error);
                    }
                }
            }
            // From here on nothing waits: it is not dropped in between.
            let count = self.land().await?;
            self.fly().await;
            if count > 0 {
                return Ok(count);
            }
        }
    }

    async fn close(self) {}
}
