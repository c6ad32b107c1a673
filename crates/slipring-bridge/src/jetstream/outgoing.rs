//! The end that publishes.

use std::{
    collections::VecDeque,
    fmt,
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use async_nats::{
    HeaderMap, HeaderValue, client,
    header::{NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_MESSAGE_ID},
    jetstream::{
        self, Context, ErrorCode,
        context::{PublishError, PublishErrorKind},
        message::PublishMessage,
        publish::PublishAck,
        stream::{LastRawMessageErrorKind, Stream},
    },
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

/// How many messages, and how many bytes, are on their way at once: fewer messages than the client queues, so that each
/// is queued at once and their order stays.
const FLYING: usize = 1_024;
const FLYING_BYTES: usize = 8 << 20;
/// How many of these, and how many bytes, the server confirms with one word.
const GROUP: usize = 64;
const GROUP_BYTES: usize = FLYING_BYTES / 2;
/// What a server takes unless it says otherwise, and how much of that is left for what headers and dead letters add.
const PAYLOAD: usize = 1 << 20;
const SPARE: usize = 8 << 10;

/// Publishes to a stream of NATS `JetStream`: what an outbox connects to.
///
/// One outbox is the only writer of its stream unless told otherwise. Then each event is there once, however often and
/// however late it is sent again: each message says behind which one it belongs, by number and by name, and the server
/// refuses it anywhere else, so that one that fails takes those behind it along, and the server's word on one is its word
/// on those before it: it is asked for one of some dozens only. A new connection begins by looking what the last one is.
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
    /// Whether it is the last of those that are confirmed together.
    ends_group: bool,
}

struct Message {
    subject: String,
    id: String,
    headers: HeaderMap,
    payload: Vec<u8>,
}

type Answer = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

struct Flying {
    sequence: Option<u64>,
    way: Way,
    bytes: usize,
}

/// How it is known that one is there.
enum Way {
    /// It was before.
    There,
    /// By one behind it.
    Silent,
    /// The server says so; perhaps it has said it already.
    Asked { answer: Answer, early: Option<Result<PublishAck, PublishError>> },
}

/// What comes of it, if that is there. It does not wait.
async fn by_now<F: Future + ?Sized>(mut what: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match what.as_mut().poll(context) {
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
            // Events and letters of one outbox: the one lane says nothing of the other. The server may know it again.
            (Last::Of(last), Some(stamp)) if outbox_of(&last.lane) == outbox_of(&stamp.lane) => {
                return Ok(false);
            }
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
                 had confirmed, set the outbox back (`Outbox::set_back`), or say `go_on_after_loss`"
            ));
        }
        // Those that come now are behind this one.
        self.last = Last::Unknown;
        Ok(false)
    }

    fn prepare(&mut self, parcel: &Parcel) -> Result<Waiting, LinkError> {
        let sequence = parcel.stamp.as_ref().map(|stamp| stamp.sequence);
        if self.is_there(parcel)? {
            return Ok(Waiting { sequence, message: None, bytes: 0, ends_group: true });
        }
        let subject = message::subject(&self.of.stream.prefix, &parcel.topic);
        if subject.len() > LONGEST_SUBJECT {
            let problem = format!("its topic makes a subject of {} bytes", subject.len());
            return Err(unsendable(sequence, problem));
        }
        let (id, payload) = (message::id(parcel), parcel.payload.clone());
        let (mut headers, bytes) = message::headers(parcel);
        headers.insert(NATS_MESSAGE_ID, id.as_str());
        let bytes = bytes + payload.len();
        let message = Some(Message { subject, id, headers, payload });
        Ok(Waiting { sequence, message, bytes, ends_group: false })
    }

    /// Sends what there is room for: one at a time as long as it may be there already.
    async fn fly(&mut self) {
        while let Some(waiting) = self.waiting.front() {
            let room = if self.is_sure || waiting.message.is_none() { FLYING } else { 1 };
            let fits = self.flying.len() < room && self.bytes + waiting.bytes <= FLYING_BYTES;
            if !fits && !self.flying.is_empty() {
                break;
            }
            let Some(Waiting { sequence, message, bytes, ends_group }) = self.waiting.pop_front()
            else {
                break;
            };
            let way = match message {
                None => Way::There,
                Some(message) => self.publish(message, ends_group).await,
            };
            self.bytes += bytes;
            self.flying.push_back(Flying { sequence, way, bytes });
        }
    }

    /// Puts one into the queue of the client. It does not wait.
    async fn publish(&mut self, message: Message, ends_group: bool) -> Way {
        let Message { subject, id, mut headers, payload } = message;
        let payload = payload.into();
        if !self.of.is_shared {
            headers.insert(NATS_EXPECTED_LAST_SEQUENCE, HeaderValue::from(self.next));
            if let Some(before) = &self.before {
                headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, before.as_str());
            }
            self.next += 1;
            self.before = Some(id);
            if self.is_sure && !ends_group {
                let sending = self.line.client.publish_with_headers(subject, headers, payload);
                let mut sending = pin!(unconstrained(sending));
                return match by_now(sending.as_mut()).await {
                    Some(Ok(())) => Way::Silent,
                    // What is behind it fails with it.
                    Some(Err(error)) => {
                        let kind = match error.kind() {
                            client::PublishErrorKind::MaxPayloadExceeded => {
                                PublishErrorKind::MaxPayloadExceeded
                            }
                            _ => PublishErrorKind::Other,
                        };
                        Way::failed(PublishError::with_source(kind, error))
                    }
                    None => Way::failed(PublishError::new(PublishErrorKind::MaxAckPending)),
                };
            }
        }
        let context = self.context.clone();
        let message = PublishMessage::build().payload(payload).headers(headers);
        let mut answer: Answer =
            Box::pin(unconstrained(
                async move { context.send_publish(subject, message).await?.await },
            ));
        // That puts it into the queue, however much the task has done already.
        let early = by_now(answer.as_mut()).await;
        Way::Asked { answer, early }
    }

    /// Takes those at the front that are confirmed by now.
    async fn land(&mut self) -> Result<usize, LinkError> {
        let mut count = 0;
        loop {
            // Up to which one a word is on all of them.
            let is_silent = |flying: &Flying| matches!(flying.way, Way::Silent);
            let end = self.flying.iter().take_while(|flying| is_silent(flying)).count();
            let Some(last) = self.flying.get_mut(end) else { break };
            if let Way::Asked { answer, early } = &mut last.way {
                if early.is_none() {
                    *early = by_now(answer.as_mut()).await;
                }
                match early {
                    None => break,
                    Some(Err(_)) if count > 0 => break,
                    Some(Err(error)) => {
                        self.has_failed = true;
                        return Err(failed(&self.line, last.sequence, error));
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
                }
            }
            let landed = self.flying.drain(..=end);
            self.bytes -= landed.map(|flying| flying.bytes).sum::<usize>();
            count += end + 1;
        }
        Ok(count)
    }

    /// The word that is to come next.
    fn asked(&mut self) -> Option<(&mut Answer, &mut Option<Result<PublishAck, PublishError>>)> {
        self.flying.iter_mut().find_map(|flying| match &mut flying.way {
            Way::Asked { answer, early } => Some((answer, early)),
            Way::There | Way::Silent => None,
        })
    }
}

impl Way {
    fn failed(error: PublishError) -> Self {
        Self::Asked { answer: Box::pin(pending()), early: Some(Err(error)) }
    }
}

/// Says which ones are the last of those that are confirmed together: the last of all, and so many that what is between two
/// of them has room on its way.
fn end_groups<'a>(waiting: impl Iterator<Item = &'a mut Waiting>) {
    let (mut group, mut bytes, mut last) = (0, 0, None::<&mut Waiting>);
    for next in waiting {
        if let Some(last) = last
            && (group >= GROUP || bytes + next.bytes > GROUP_BYTES)
        {
            last.ends_group = true;
            (group, bytes) = (0, 0);
        }
        (group, bytes) = (group + 1, bytes + next.bytes);
        last = Some(next);
    }
    if let Some(last) = last {
        last.ends_group = true;
    }
}

/// Which outbox has a lane: each has two.
fn outbox_of(lane: &str) -> &str {
    lane.strip_suffix("!letters").unwrap_or(lane)
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
            let why = "the stream did not take one before it, or somebody else has written to it: if that is meant to \
                       be, say `shared`";
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
        let before = self.waiting.len();
        for parcel in parcels {
            let waiting = self.prepare(parcel)?;
            self.waiting.push_back(waiting);
        }
        end_groups(self.waiting.iter_mut().skip(before));
        self.fly().await;
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<usize, LinkError> {
        loop {
            self.check()?;
            self.fly().await;
            // From here on nothing waits: it is not dropped in between.
            let count = self.land().await?;
            self.fly().await;
            if count > 0 {
                return Ok(count);
            }
            // Here it may be.
            let mut line = self.line.clone();
            let Some((answer, early)) = self.asked() else {
                // There is nothing to wait for.
                return pending().await;
            };
            tokio::select! {
                biased;
                answer = answer.as_mut() => *early = Some(answer),
                error = line.end(PUBLISHING) => {
                    self.has_failed = true;
                    return Err(error);
                }
            }
        }
    }

    async fn close(self) {}
}
