//! The task that takes what comes: nothing that was delivered is lost if whoever waits for it gives up.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
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

#[derive(Clone, Debug, Default)]
pub(super) struct Opens(Arc<Mutex<BTreeMap<u64, Open>>>);

impl Opens {
    fn insert(&self, tag: u64, open: Open) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(tag, open);
    }

    pub(super) fn remove(&self, tag: u64) -> Option<Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&tag)
    }

    pub(super) fn replies(&self) -> Vec<Subject> {
        let opens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        opens.values().map(|open| open.reply.clone()).collect()
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
            let delivery = self.delivery(tag, &message)?;
            let _ = self.found.send(Ok(delivery));
        }
    }

    fn delivery(&self, tag: u64, message: &Message) -> Result<Delivery, LinkError> {
        let strange = |problem: String| LinkError::lost(READING, problem);
        let info = message.info().map_err(|error| strange(error.to_string()))?;
        let Some(reply) = message.reply.clone() else {
            return Err(strange(
                "a message comes without an address for its acknowledgement".into(),
            ));
        };
        let now = u64::try_from(info.published.unix_timestamp_nanos()).unwrap_or(0);
        let content = message::parcel(
            &self.prefix,
            &message.subject,
            message.headers.as_ref(),
            &message.payload,
            Time::from_nanos(now),
        );
        let open = Open { reply, sequence: info.stream_sequence, subject: message.subject.clone() };
        self.opens.insert(tag, open);
        Ok(Delivery { tag, is_again: info.delivered > 1, content })
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
