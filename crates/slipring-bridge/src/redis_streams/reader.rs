//! The task that reads a stream: nothing that it has been given is lost if whoever waits for it gives up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use redis::Cmd;
use tokio::{
    sync::{
        Semaphore,
        mpsc::{UnboundedReceiver, UnboundedSender},
    },
    time::{Instant, sleep, timeout},
};

use super::{
    reply::{self, Entry, Id},
    scripts::Lua,
    server::Connection,
};
use crate::LinkError;

const READING: &str = "reading the stream";
const CLAIMING: &str = "claiming entries";

/// How long the server waits for entries before it answers that there are none, at most.
const BLOCK: Duration = Duration::from_millis(200);
/// After what time an entry that is to come again is read again.
const AGAIN: Duration = Duration::from_millis(100);
/// How many entries are asked for at once, at most.
const MOST: usize = 1_024;

/// What the task has read.
#[derive(Debug)]
pub(super) struct Found {
    pub entry: Entry,
    pub is_again: bool,
}

pub(super) struct Reader {
    pub connection: Connection,
    pub stream: Arc<str>,
    pub group: Arc<str>,
    pub consumer: Arc<str>,
    /// One for each entry that may be under way; an entry's is given back when it is settled.
    pub room: Arc<Semaphore>,
    pub found: UnboundedSender<Result<Found, LinkError>>,
    pub again: UnboundedReceiver<Vec<Id>>,
    pub claim: Lua,
    pub claim_after: Duration,
    /// When others were last asked for what they do not deal with.
    pub claimed: Option<Instant>,
    /// Since when it reads.
    pub since: Instant,
    /// Others may have had something before it came, and may be dead.
    pub is_heir: bool,
    /// It has asked for new entries, and there were none: to some servers that is no sign of life.
    pub is_quiet: bool,
    /// How many may be under way.
    pub window: usize,
    /// How many more are under way than there was room for.
    pub owed: usize,
    /// When it was last looked whether this consumer has been given what it has not seen.
    pub looked: Instant,
    /// What is to come again, and when.
    pub due: BTreeMap<Id, Instant>,
}

impl Reader {
    pub(super) async fn run(mut self) {
        let Err(error) = self.work().await;
        // If nobody is there any more, nobody wants to know.
        let _ = self.found.send(Err(error));
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, LinkError> {
        let mut last = Some(Id::FIRST);
        loop {
            self.tend().await?;
            if last.is_none() && self.looked.elapsed() >= self.claim_after / 4 {
                self.look_for_strays().await?;
            }
            let Some(room) = self.room().await else { continue };
            if let Some(after) = last {
                // First of all what is there and was not settled.
                let entries = self.own(after, room).await?;
                last = entries.last().map(|entry| entry.id);
                self.hand_over(room, entries, true);
            } else if self.is_heir || self.claim_is_due() {
                let (silent, entries) = self.claim(room).await?;
                // What they have stands before all that is new. Those that live are heard of in a moment; the others lose
                // it, when the time has come.
                self.is_heir &= silent > 0;
                let is_to_wait = self.is_heir && entries.is_empty();
                self.hand_over(room, entries, true);
                if is_to_wait {
                    sleep(self.beat() / 2).await;
                }
            } else {
                let entries = self.new_ones(room).await?;
                self.is_quiet = entries.is_empty();
                self.hand_over(room, entries, false);
            }
        }
    }

    /// Takes room for entries, as much as there is. Nothing if there is none for some time.
    async fn room(&mut self) -> Option<usize> {
        let first = timeout(self.beat(), self.room.acquire()).await;
        first.ok()?.ok()?.forget();
        let more = self.room.available_permits().min(MOST - 1) as u32;
        // Nobody else takes of it, so that what is there now stays.
        let more = self.room.try_acquire_many(more).map_or(0, |permit| {
            let count = permit.num_permits();
            permit.forget();
            count
        });
        let paid = self.owed.min(1 + more);
        self.owed -= paid;
        Some(1 + more - paid).filter(|room| *room > 0)
    }

    /// A connection of this consumer that the server does not know to be dead may be given entries still. They are handed
    /// over with all that is open, whether there is room or not: what is missing may be among them.
    async fn look_for_strays(&mut self) -> Result<(), LinkError> {
        self.looked = Instant::now();
        let under_way = (self.window + self.owed).saturating_sub(self.room.available_permits());
        let mut command = redis::cmd("XPENDING");
        command.arg(&*self.stream).arg(&*self.group).arg("-").arg("+");
        command.arg(under_way + 1).arg(&*self.consumer);
        let answer = self.connection.ask(READING, &command, Duration::ZERO).await?;
        if reply::array(READING, answer)?.len() <= under_way {
            return Ok(());
        }
        let mut after = Id::FIRST;
        loop {
            let entries = self.own(after, MOST).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            after = last.id;
            self.owed += entries.len() - self.room.forget_permits(entries.len());
            for entry in entries {
                let _ = self.found.send(Ok(Found { entry, is_again: true }));
            }
        }
    }

    fn hand_over(&self, room: usize, entries: Vec<Entry>, is_again: bool) {
        let count = entries.len();
        debug_assert!(count <= room);
        for entry in entries {
            let _ = self.found.send(Ok(Found { entry, is_again }));
        }
        self.room.add_permits(room.saturating_sub(count));
    }

    /// How long it may do nothing: it is to be known as alive, and to read what is to come again.
    fn beat(&self) -> Duration {
        BLOCK.min(self.claim_after / 4).max(Duration::from_millis(1))
    }

    fn read(&self, count: usize, block: Option<Duration>, after: &str) -> Cmd {
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(&*self.group).arg(&*self.consumer).arg("COUNT").arg(count);
        if let Some(block) = block {
            command.arg("BLOCK").arg(block.as_millis().max(1) as u64);
        }
        command.arg("STREAMS").arg(&*self.stream).arg(after);
        command
    }

    /// What this consumer has and has not settled, behind an entry.
    async fn own(&mut self, after: Id, count: usize) -> Result<Vec<Entry>, LinkError> {
        let command = self.read(count, None, &after.to_string());
        let answer = self.connection.ask(READING, &command, Duration::ZERO).await?;
        reply::of_stream(READING, answer)
    }

    async fn new_ones(&mut self, count: usize) -> Result<Vec<Entry>, LinkError> {
        let block = self.beat();
        let command = self.read(count, Some(block), ">");
        let answer = self.connection.ask(READING, &command, block).await?;
        reply::of_stream(READING, answer)
    }

    fn claim_is_due(&self) -> bool {
        self.claimed.is_none_or(|last| last.elapsed() >= self.claim_after / 4)
    }

    /// Takes over what dead consumers have, and says how many have something and were not heard of since it reads.
    async fn claim(&mut self, count: usize) -> Result<(u64, Vec<Entry>), LinkError> {
        let since = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX >> 1);
        let mut command = self.claim.call(&[&self.stream]);
        command.arg(&*self.group).arg(&*self.consumer);
        command.arg(self.claim_after.as_millis() as u64).arg(count).arg(since);
        let answer = self.connection.ask(CLAIMING, &command, Duration::ZERO).await?;
        let (silent, mut entries) = reply::claimed(CLAIMING, answer)?;
        entries.sort_by_key(|entry| entry.id);
        // There may be more.
        self.claimed = (entries.len() < count).then(Instant::now);
        Ok((silent, entries))
    }

    /// Reads again what is to come again, and shows that it is alive.
    async fn tend(&mut self) -> Result<(), LinkError> {
        while let Ok(ids) = self.again.try_recv() {
            let at = Instant::now() + AGAIN;
            self.due.extend(ids.into_iter().map(|id| (id, at)));
        }
        let now = Instant::now();
        let (due, later) =
            std::mem::take(&mut self.due).into_iter().partition(|(_, at)| *at <= now);
        self.due = later;
        let due: BTreeMap<Id, Instant> = due;
        let Some((first, _)) = due.first_key_value() else {
            if self.is_quiet || self.room.available_permits() == 0 {
                self.own(Id::LAST, 1).await?;
            }
            return Ok(());
        };
        let (mut after, mut count) = (first.before(), due.len());
        while count > 0 {
            let entries = self.own(after, MOST).await?;
            let Some(last) = entries.last() else { break };
            after = last.id;
            for entry in entries.into_iter().filter(|entry| due.contains_key(&entry.id)) {
                count -= 1;
                let _ = self.found.send(Ok(Found { entry, is_again: true }));
            }
            if due.last_key_value().is_some_and(|(last, _)| *last <= after) {
                break;
            }
        }
        // Others have taken over what is not there any more.
        self.room.add_permits(count);
        Ok(())
    }
}
