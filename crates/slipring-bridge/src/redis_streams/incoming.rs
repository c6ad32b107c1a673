//! The end that reads a stream.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use futures_util::future::try_join_all;
use redis::{Cmd, Value};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{self, UnboundedReceiver, UnboundedSender},
    },
    task::JoinHandle,
};

use super::{
    entry,
    reader::{Found, Reader},
    reply::Id,
    scripts::Lua,
    server::{Connection, RedisServer},
};
use crate::{Delivery, Incoming, LinkError, Listen, Settled, Settlement, header};

const JOINING: &str = "joining the group";
const SETTLING: &str = "settling";

/// A consumer that was not heard of for so long is dead.
const CLAIM_AFTER: Duration = Duration::from_secs(20);
/// How many entries one command acknowledges.
const CHUNK: usize = 1_024;
/// How many commands are on their way at once.
const FLYING: usize = 32;

/// Reads a stream of a Redis server as a member of a group: what an inbox listens to.
///
/// A group gets each entry once. Entries stay with the consumer that they were delivered to until it settles them, also
/// while it is not there: whoever listens next under its name gets them first. A consumer that is not heard of for a
/// time loses them to the others, but not one that is alive and slow; who comes new waits for that, and gets nothing that
/// stands behind them before. One consumer in a group keeps the order of the
/// stream; several share the work and give it up. Each needs a name of its own.
///
/// [`Settled::Again`] leaves the entry pending, and reads it again after a tenth of a second. [`Settled::Dead`] moves it
/// to the stream `….dead` with the reason, its id and the group, in one step. An entry that somebody deletes before it
/// is settled is delivered as [`Unreadable`](crate::Unreadable).
///
/// # Examples
/// ```no_run
/// use slipring_bridge::RedisIn;
///
/// let input = RedisIn::new("redis://127.0.0.1/", "orders", "billing").consumer("billing-1");
/// # drop(input);
/// ```
#[derive(Clone, Debug)]
pub struct RedisIn {
    server: RedisServer,
    stream: Arc<str>,
    dead: Arc<str>,
    group: Arc<str>,
    consumer: Arc<str>,
    from: &'static str,
    claim_after: Duration,
    delete: bool,
}

impl RedisIn {
    /// One for a group of a stream; both are made if they are not there, the group so that it gets what is in the stream
    /// already. The consumer is called `slipring` unless told otherwise.
    pub fn new(
        server: impl Into<RedisServer>,
        stream: impl Into<String>,
        group: impl Into<String>,
    ) -> Self {
        let stream = stream.into();
        Self {
            server: server.into(),
            dead: format!("{stream}.dead").into(),
            stream: stream.into(),
            group: group.into().into(),
            consumer: "slipring".into(),
            from: "0",
            claim_after: CLAIM_AFTER,
            delete: false,
        }
    }

    /// Which of the group it is: the same name whenever it is started again, and another for each at work.
    #[must_use = "it is built by value, another is returned"]
    pub fn consumer(mut self, name: impl Into<String>) -> Self {
        self.consumer = name.into().into();
        self
    }

    /// Makes the group, if it is not there, so that it gets only what comes from now on.
    #[must_use = "it is built by value, another is returned"]
    pub fn from_now(mut self) -> Self {
        self.from = "$";
        self
    }

    /// After what time without a sign of life a consumer loses what it has not settled to the others: 20 seconds unless told
    /// otherwise, perhaps a quarter more. One that is alive gives four signs in that time. It is to be less than an inbox waits for
    /// [what a lane begins with](crate::InboxBuilder::begin_after).
    #[must_use = "it is built by value, another is returned"]
    pub fn claim_after(mut self, time: Duration) -> Self {
        self.claim_after = time.max(Duration::from_millis(100));
        self
    }

    /// Deletes what is settled from the stream, as long as the stream has no other group.
    #[must_use = "it is built by value, another is returned"]
    pub fn delete_settled(mut self) -> Self {
        self.delete = true;
        self
    }

    async fn join(&self, connection: &mut Connection) -> Result<(), LinkError> {
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(&*self.stream).arg(&*self.group).arg(self.from).arg("MKSTREAM");
        match connection.ask(JOINING, &command, Duration::ZERO).await {
            // It is there.
            Err(LinkError::Refused { problem, .. }) if problem.starts_with("BUSYGROUP") => Ok(()),
            answer => answer.map(drop),
        }
    }
}

impl Listen for RedisIn {
    type Link = RedisIncoming;

    async fn listen(&self, window: usize) -> Result<RedisIncoming, LinkError> {
        let mut connection = self.server.connect().await?;
        // Who waits for entries keeps its connection busy.
        let mut waiting = self.server.connect().await?;
        self.join(&mut connection).await?;
        let (done, dead, claim) = (Lua::done(), Lua::dead(), Lua::claim());
        done.load(&mut connection).await?;
        dead.load(&mut connection).await?;
        claim.load(&mut waiting).await?;
        let room = Arc::new(Semaphore::new(window.clamp(1, Semaphore::MAX_PERMITS)));
        let (found, finds) = mpsc::unbounded_channel();
        let (again, agains) = mpsc::unbounded_channel();
        let reader = Reader {
            connection: waiting,
            stream: self.stream.clone(),
            group: self.group.clone(),
            consumer: self.consumer.clone(),
            room: room.clone(),
            found,
            again: agains,
            claim,
            claim_after: self.claim_after,
            claimed: None,
            since: tokio::time::Instant::now(),
            is_heir: true,
            is_quiet: false,
            window: room.available_permits(),
            owed: 0,
            looked: tokio::time::Instant::now(),
            due: std::collections::BTreeMap::new(),
        };
        Ok(RedisIncoming {
            connection,
            of: self.clone(),
            done,
            dead,
            room,
            finds,
            again,
            reader: tokio::spawn(reader.run()),
            open: HashMap::new(),
            entries: HashSet::new(),
            tag: 0,
        })
    }
}

/// A connection over which [`RedisIn`] reads.
pub struct RedisIncoming {
    connection: Connection,
    of: RedisIn,
    done: Lua,
    dead: Lua,
    room: Arc<Semaphore>,
    finds: UnboundedReceiver<Result<Found, LinkError>>,
    again: UnboundedSender<Vec<Id>>,
    reader: JoinHandle<()>,
    /// What is delivered and not settled.
    open: HashMap<u64, Id>,
    /// The same entries. One that comes again, since others had it meanwhile, is no other delivery: a word on one is a word on
    /// both.
    entries: HashSet<Id>,
    tag: u64,
}

impl fmt::Debug for RedisIncoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisIncoming")
            .field("of", &self.of)
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}

impl Drop for RedisIncoming {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl RedisIncoming {
    /// A delivery, unless its entry is open already.
    fn delivery(&mut self, Found { entry, is_again }: Found) -> Option<Delivery> {
        if !self.entries.insert(entry.id) {
            self.room.add_permits(1);
            return None;
        }
        self.tag += 1;
        self.open.insert(self.tag, entry.id);
        Some(Delivery { tag: self.tag, is_again, content: entry::read(entry, &self.of.stream) })
    }

    fn remove(&mut self, tag: u64) -> Option<Id> {
        let id = self.open.remove(&tag)?;
        self.entries.remove(&id);
        Some(id)
    }

    /// What tells the server.
    fn commands(&self, done: &[Id], dead: &[(Id, &str)]) -> Vec<Cmd> {
        let RedisIn { stream, group, delete, .. } = &self.of;
        let mut commands: Vec<_> = done
            .chunks(CHUNK)
            .map(|ids| {
                let mut command = self.done.call(&[stream]);
                command.arg(&**group).arg(u8::from(*delete));
                for id in ids {
                    command.arg(id.to_string());
                }
                command
            })
            .collect();
        commands.extend(dead.iter().map(|(id, reason)| {
            let mut command = self.dead.call(&[stream, &self.of.dead]);
            command.arg(&**group).arg(id.to_string()).arg(u8::from(*delete));
            command.arg(header::REASON).arg(*reason);
            command
        }));
        commands
    }
}

impl Incoming for RedisIncoming {
    async fn receive(&mut self, most: usize, into: &mut Vec<Delivery>) -> Result<(), LinkError> {
        let before = into.len();
        while into.len() == before {
            let Some(first) = self.finds.recv().await else {
                return Err(LinkError::lost("reading the stream", "the task that reads has ended"));
            };
            // As soon as there is one nothing waits any more: it is not dropped in between.
            into.extend(self.delivery(first?));
        }
        while into.len() - before < most {
            match self.finds.try_recv() {
                Ok(Ok(found)) => into.extend(self.delivery(found)),
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), LinkError> {
        let (mut done, mut dead, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for Settlement { tag, settled } in settlements {
            let Some(id) = self.remove(*tag) else { continue };
            match settled {
                Settled::Done => done.push(id),
                Settled::Dead(reason) => dead.push((id, &**reason)),
                Settled::Again => again.push(id),
            }
        }
        for commands in self.commands(&done, &dead).chunks(FLYING) {
            let asked = commands.iter().map(|command| {
                let mut connection = self.connection.clone();
                async move { connection.ask(SETTLING, command, Duration::ZERO).await }
            });
            let _answers: Vec<Value> = try_join_all(asked).await?;
        }
        self.room.add_permits(done.len() + dead.len());
        if !again.is_empty() {
            // If the task has ended, that is told when something is to be received.
            let _ = self.again.send(again);
        }
        Ok(())
    }

    async fn close(self) {}
}
