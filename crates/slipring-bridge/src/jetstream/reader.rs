//! The task that takes what comes: nothing that was delivered is lost if whoever waits for it gives up.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{
    Subject,
    jetstream::{Message, consumer::pull},
};
use futures_util::StreamExt;
use slipring_events::Time;
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{MissedTickBehavior, interval},
};

use super::{message, server::Line};
use crate::{Delivery, LinkError};

const READING: &str = "reading the stream";

/// What is delivered and not settled.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// To whom it is told what has become of it.
    pub reply: Subject,
    /// Where it is in the stream.
    pub sequence: u64,
    pub subject: Subject,
}

/// What is open, by its tags.
///
/// A server delivers again what it has waited for too long, also over a connection that has it already: a word on either
/// of the two is one on both. So the second one is no other delivery, or whoever holds the first could not settle the
/// second without losing the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Opens(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_tag: BTreeMap<u64, Open>,
    /// By where it is in the stream.
    tags: HashMap<u64, u64>,
}

impl Opens {
    /// Says whether it is another one than those that are open.
    fn insert(&self, tag: u64, open: Open) -> bool {
        let mut known = self.known();
        let Known { by_tag, tags } = &mut *known;
        let first = *tags.entry(open.sequence).or_insert(tag);
        by_tag.insert(first, open);
        first == tag
    }

    pub(super) fn remove(&self, tag: u64) -> Option<Open> {
        let mut known = self.known();
        let open = known.by_tag.remove(&tag)?;
        known.tags.remove(&open.sequence);
        Some(open)
    }

    pub(super) fn replies(&self) -> Vec<Subject> {
        self.known().by_tag.values().map(|open| open.reply.clone()).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Reader {
    pub line: Line,
    pub messages: pull::Stream,
    pub prefix: String,
    pub found: UnboundedSender<Result<Delivery, LinkError>>,
    pub opens: Opens,
    /// How often the server is told that what is open is still worked on.
    pub beat: Duration,
}

impl Reader {
    pub(super) async fn run(mut self) {
        let Err(error) = self.work().await;
        // If nobody is there any more, nobody wants to know.
        let _ = self.found.send(Err(error));
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, LinkError> {
        let mut tag = 0;
        let mut beat = interval(self.beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                biased;
                error = self.line.end(READING) => return Err(error),
                _ = beat.tick() => {
                    self.show_life().await?;
                    continue;
                }
                message = self.messages.next() => message,
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(self.line.lost(READING, &error)),
                None => return Err(LinkError::lost(READING, "there are no more messages")),
            };
            tag += 1;
            if let Some(delivery) = self.delivery(tag, &message)? {
                let _ = self.found.send(Ok(delivery));
            }
        }
    }

    /// A delivery, unless it is open already.
    fn delivery(&self, tag: u64, message: &Message) -> Result<Option<Delivery>, LinkError> {
        let strange = |problem: String| LinkError::lost(READING, problem);
        let info = message.info().map_err(|error| strange(error.to_string()))?;
        let Some(reply) = message.reply.clone() else {
            return Err(strange(
                "a message comes without an address for its acknowledgement".into(),
            ));
        };
        let open = Open { reply, sequence: info.stream_sequence, subject: message.subject.clone() };
        if !self.opens.insert(tag, open) {
            return Ok(None);
        }
        let now = u64::try_from(info.published.unix_timestamp_nanos()).unwrap_or(0);
        let content = message::parcel(
            &self.prefix,
            &message.subject,
            message.headers.as_ref(),
            &message.payload,
            Time::from_nanos(now),
        );
        Ok(Some(Delivery { tag, is_again: info.delivered > 1, content }))
    }

    /// Has the server wait longer for what is open.
    async fn show_life(&mut self) -> Result<(), LinkError> {
        for reply in self.opens.replies() {
            let client = self.line.client.clone();
            self.line
                .wait(READING, async move { client.publish(reply, "+WPI".into()).await })
                .await?;
        }
        Ok(())
    }
}
