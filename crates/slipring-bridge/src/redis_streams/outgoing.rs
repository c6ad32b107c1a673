//! The end that appends to a stream.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use redis::{Cmd, Value};
use tokio::{
    task::unconstrained,
    time::{Instant, timeout_at},
};

use super::{
    durable::{self, RedisDurability},
    entry::Sheet,
    scripts::Lua,
    server::{Connection, RedisServer, no_answer},
};
use crate::{Connect, LinkError, Outgoing, Parcel};

const CONNECTING: &str = "connecting to the Redis server";
const ADDING: &str = "appending to the stream";

/// How many events, and how many bytes, one call of the script has: the server does nothing else meanwhile.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;
/// How many calls, and how many bytes, are on their way at once: fewer calls than the client queues, so that each is
/// queued at once and their order stays.
const FLYING: usize = 32;
const FLYING_BYTES: usize = 8 << 20;

/// Appends to a stream of a Redis server: what an outbox connects to.
///
/// Each event is there once, however often it is sent: a script on the server appends it and notes its sequence in one
/// step, and leaves it out when its lane is as far already. It refuses an event whose predecessor is not there, so that
/// one batch that fails takes those behind it along, and a server that has lost what it had confirmed is noticed.
///
/// An event is confirmed when the server has answered. It survives the server's end from then on if the server runs with
/// `appendonly yes` and `appendfsync always`, which syncs before it answers; with `appendfsync everysec` those of the
/// last second may be lost, and without an append only file all of them. [`durability`](Self::durability) tells which
/// it is, and [`must_sync`](Self::must_sync) refuses anything else. Replicas are not waited for.
///
/// Nothing is trimmed unless told so, and then nothing that a group has not acknowledged; as long as no group is
/// there, nothing at all.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use slipring_bridge::RedisOut;
///
/// let out = RedisOut::new("redis://127.0.0.1/", "orders")
///     .keep_for(Duration::from_hours(24))
///     .must_sync();
/// # drop(out);
/// ```
#[derive(Clone, Debug)]
pub struct RedisOut {
    server: RedisServer,
    stream: Arc<str>,
    lanes: Arc<str>,
    trimming: Trimming,
    largest: usize,
    must_sync: bool,
    after_loss: bool,
    durability: Arc<Mutex<Option<RedisDurability>>>,
}

/// What an event may be whose predecessor is not there, as the script has it.
#[derive(Clone, Copy, Debug)]
enum Begins {
    /// Nothing: it is not the first of a connection.
    Nothing = 0,
    /// The first of its lane that this server sees.
    Lane = 1,
    /// That, or one behind others that the server has lost.
    Anywhere = 2,
}

#[derive(Clone, Copy, Debug, Default)]
struct Trimming {
    entries: Option<u64>,
    time: Option<Duration>,
    unread: bool,
}

impl RedisOut {
    /// One for a stream, which is made if it is not there.
    pub fn new(server: impl Into<RedisServer>, stream: impl Into<String>) -> Self {
        let stream = stream.into();
        Self {
            server: server.into(),
            lanes: format!("{stream}.lanes").into(),
            stream: stream.into(),
            trimming: Trimming::default(),
            largest: 64 << 20,
            must_sync: false,
            after_loss: false,
            durability: Arc::default(),
        }
    }

    /// Trims the stream to about that many entries, as far as all groups have acknowledged them.
    #[must_use = "it is built by value, another is returned"]
    pub fn keep_entries(mut self, entries: u64) -> Self {
        self.trimming.entries = Some(entries);
        self
    }

    /// Trims entries that are older than that by the clock of the server, as far as all groups have acknowledged them.
    #[must_use = "it is built by value, another is returned"]
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.trimming.time = Some(time);
        self
    }

    /// Trims also what nobody has read yet: an inbox that is too slow loses events.
    #[must_use = "it is built by value, another is returned"]
    pub fn trim_unread(mut self) -> Self {
        self.trimming.unread = true;
        self
    }

    /// The most bytes that an event may have: 64 MiB unless told otherwise, at most the server's `proto-max-bulk-len`.
    #[must_use = "it is built by value, another is returned"]
    pub fn largest_event(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// Refuses a server whose word does not outlive it.
    #[must_use = "it is built by value, another is returned"]
    pub fn must_sync(mut self) -> Self {
        self.must_sync = true;
        self
    }

    /// Goes on when the server has lost events that it had confirmed, and does not have the outbox stop there until
    /// somebody has seen to it. Inboxes that have not got them notice.
    #[must_use = "it is built by value, another is returned"]
    pub fn go_on_after_loss(mut self) -> Self {
        self.after_loss = true;
        self
    }

    /// What the word of the server is worth, as it was when the last connection was made; `None` before the first.
    pub fn durability(&self) -> Option<RedisDurability> {
        self.durability.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Connect for RedisOut {
    type Link = RedisOutgoing;

    async fn connect(&self) -> Result<RedisOutgoing, LinkError> {
        let mut connection = self.server.connect().await?;
        let durability = durable::of(&mut connection).await?;
        let why = match &durability {
            RedisDurability::Weaker { why } if self.must_sync => Some(why.clone()),
            _ => None,
        };
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner) = Some(durability);
        if let Some(why) = why {
            let problem = format!("it does not keep what it confirms: {why}");
            return Err(LinkError::refused(CONNECTING, problem));
        }
        let add = Lua::add();
        add.load(&mut connection).await?;
        Ok(RedisOutgoing {
            timeout: self.server.patience(),
            connection,
            add,
            stream: self.stream.clone(),
            lanes: self.lanes.clone(),
            trimming: self.trimming,
            begins: if self.after_loss { Begins::Anywhere } else { Begins::Lane },
            has_failed: false,
            waiting: VecDeque::new(),
            flying: VecDeque::new(),
            bytes: 0,
            since: Instant::now(),
        })
    }

    fn largest(&self) -> usize {
        self.largest
    }
}

/// A connection over which [`RedisOut`] appends.
pub struct RedisOutgoing {
    connection: Connection,
    timeout: Duration,
    add: Lua,
    stream: Arc<str>,
    lanes: Arc<str>,
    trimming: Trimming,
    /// What the next chunk may begin with.
    begins: Begins,
    has_failed: bool,
    /// Not sent.
    waiting: VecDeque<Chunk>,
    /// Sent, in order.
    flying: VecDeque<Flying>,
    /// How many bytes of calls that is.
    bytes: usize,
    /// Since when the first of them is waited for.
    since: Instant,
}

impl fmt::Debug for RedisOutgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOutgoing")
            .field("stream", &self.stream)
            .field("waiting", &self.waiting.len())
            .field("flying", &self.flying.len())
            .finish_non_exhaustive()
    }
}

/// What one call of the script has.
struct Chunk {
    call: Cmd,
    events: usize,
    bytes: usize,
}

/// Whether one goes behind the other in a call.
fn follows(first: &Parcel, next: &Parcel) -> bool {
    match (&first.stamp, &next.stamp) {
        (Some(first), Some(next)) => {
            first.lane == next.lane && next.previous == Some(first.sequence)
        }
        (None, None) => true,
        _ => false,
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Value, LinkError>> + Send>>;

/// The answer, if it is there. It does not wait.
async fn by_now(answer: &mut Answer) -> Option<Result<Value, LinkError>> {
    poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

struct Flying {
    answer: Answer,
    /// It was there when it was sent already.
    early: Option<Result<Value, LinkError>>,
    events: usize,
    bytes: usize,
}

impl RedisOutgoing {
    /// The first of them, as one call: of one lane, each behind the one before it.
    fn chunk_of(&self, parcels: &[Parcel]) -> Chunk {
        let number = |number: Option<u64>| number.map_or(-1, |number| number.cast_signed().max(0));
        let millis =
            self.trimming.time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 1));
        let (mut sheet, mut bytes, mut last) = (Sheet::default(), 0, None::<&Parcel>);
        let mut events = 0;
        for parcel in parcels.iter().take(CHUNK) {
            if last.is_some_and(|last| !follows(last, parcel)) {
                break;
            }
            let size = sheet.push(parcel);
            if events > 0 && bytes + size > CHUNK_BYTES {
                sheet.pop();
                break;
            }
            (bytes, events, last) = (bytes + size, events + 1, Some(parcel));
        }
        let mut call = self.add.call(&[&self.stream, &self.lanes]);
        let stamp = parcels.first().and_then(|parcel| parcel.stamp.as_ref());
        call.arg(stamp.map_or("", |stamp| &*stamp.lane)).arg(self.begins as u8);
        call.arg(number(self.trimming.entries)).arg(number(millis));
        call.arg(u8::from(self.trimming.unread));
        match stamp.and_then(|stamp| stamp.previous) {
            Some(previous) => call.arg(previous),
            None => call.arg(""),
        };
        sheet.write(&mut call);
        Chunk { call, events, bytes }
    }

    /// One that has failed stays so.
    fn check(&self) -> Result<(), LinkError> {
        if self.has_failed {
            return Err(LinkError::lost(ADDING, "this connection has failed before"));
        }
        Ok(())
    }

    /// Sends what there is room for.
    async fn fly(&mut self) {
        while let Some(chunk) = self.waiting.front() {
            let has_room = self.flying.len() < FLYING && self.bytes + chunk.bytes <= FLYING_BYTES;
            if !has_room && !self.flying.is_empty() {
                break;
            }
            let Some(Chunk { call, events, bytes }) = self.waiting.pop_front() else { break };
            let mut connection = self.connection.clone();
            let mut answer: Answer =
                Box::pin(unconstrained(async move { connection.wait(ADDING, &call).await }));
            // That puts it into the queue of the client, however much the task has done already.
            let early = by_now(&mut answer).await;
            if self.flying.is_empty() {
                self.since = Instant::now();
            }
            self.bytes += bytes;
            self.flying.push_back(Flying { answer, early, events, bytes });
        }
    }
}

impl Outgoing for RedisOutgoing {
    async fn submit(&mut self, parcels: &[Parcel]) -> Result<(), LinkError> {
        self.check()?;
        let mut rest = parcels;
        while !rest.is_empty() {
            let chunk = self.chunk_of(rest);
            self.begins = Begins::Nothing;
            rest = &rest[chunk.events..];
            self.waiting.push_back(chunk);
        }
        self.fly().await;
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<usize, LinkError> {
        self.check()?;
        self.fly().await;
        let Some(first) = self.flying.front_mut() else {
            // There is nothing to wait for.
            return std::future::pending().await;
        };
        if first.early.is_none() {
            let answer = timeout_at(self.since + self.timeout, first.answer.as_mut()).await;
            first.early = Some(answer.unwrap_or_else(|_| Err(no_answer(ADDING, self.timeout))));
        }
        // From here on nothing waits: it is not dropped in between.
        let mut count = 0;
        while let Some(first) = self.flying.front_mut() {
            if first.early.is_none() {
                first.early = by_now(&mut first.answer).await;
            }
            match first.early.take() {
                Some(Err(error)) if count > 0 => {
                    // Those before it are confirmed; it is told with the next call.
                    first.early = Some(Err(error));
                    break;
                }
                Some(Err(error)) => {
                    self.has_failed = true;
                    return Err(error);
                }
                Some(Ok(_)) => {}
                None => break,
            }
            count += first.events;
            self.bytes -= first.bytes;
            self.flying.pop_front();
        }
        self.since = Instant::now();
        self.fly().await;
        Ok(count)
    }

    async fn close(self) {}
}
