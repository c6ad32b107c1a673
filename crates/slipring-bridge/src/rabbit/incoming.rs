//! The link of an inbox.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, future::try_join_all};
use lapin::{
    BasicProperties, Channel, Consumer,
    message::Delivery as Message,
    options::{BasicAckOptions, BasicNackOptions, BasicPublishOptions},
    types::ShortString,
};

use super::{
    message::{epitaph, parcel},
    open::{Acknowledgement, Open},
    session::{Session, begun, done, failed, within},
};
use crate::{Delivery, Incoming, LinkError, Settled, Settlement};

/// A link over which parcels come from a RabbitMQ server: made by a [`RabbitQueue`](super::RabbitQueue).
pub struct RabbitIncoming {
    session: Session,
    consumer: Consumer,
    dead: Option<Dead>,
    /// Nothing is acknowledged: the server has forgotten it already.
    is_at_most_once: bool,
    has_notes: bool,
    open: Open<Option<Kept>>,
    /// What ended the stream, if something came before it.
    ended: Option<LinkError>,
    /// Nothing comes any more.
    is_over: bool,
}

/// Where dead letters go.
pub(super) struct Dead {
    pub(super) channel: Channel,
    pub(super) queue: ShortString,
}

/// What there is to say of a dead letter.
pub(super) struct Kept {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) payload: Vec<u8>,
}

impl fmt::Debug for RabbitIncoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitIncoming")
            .field("queue", &self.consumer.queue())
            .field("open", &self.open.len())
            .field("is_at_most_once", &self.is_at_most_once)
            .finish_non_exhaustive()
    }
}

impl RabbitIncoming {
    pub(super) fn new(
        session: Session,
        consumer: Consumer,
        dead: Option<Dead>,
        is_at_most_once: bool,
        has_notes: bool,
    ) -> Self {
        Self {
            session,
            consumer,
            dead,
            is_at_most_once,
            has_notes,
            open: Open::new(),
            ended: None,
            is_over: false,
        }
    }

    fn delivery(&mut self, mut message: Message) -> Delivery {
        let data = std::mem::take(&mut message.data);
        let payload = if self.dead.is_some() { data.clone() } else { Vec::new() };
        let content = parcel(&message, data, self.has_notes);
        let (tag, is_again) = (message.delivery_tag, message.redelivered);
        let Message { exchange, routing_key, properties, .. } = message;
        let kept = Kept { exchange, routing_key, properties, payload };
        self.open.push(tag, self.dead.is_some().then_some(kept));
        Delivery { tag, is_again, content }
    }

    /// Publishes dead letters with the reason, and waits until the server has them.
    async fn bury(&self, dead: &[(u64, &str)]) -> Result<(), LinkError> {
        const DOING: &str = "publishing a dead letter";
        let Some(Dead { channel, queue }) = &self.dead else { return Ok(()) };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let largest_frame = self.session.connection.configuration().frame_max();
        let letters = dead.iter().filter_map(|(tag, reason)| {
            let kept = self.open.get(*tag)?.as_ref()?;
            Some(async move {
                let publish = channel.basic_publish(
                    ShortString::default(),
                    queue.clone(),
                    options,
                    &kept.payload,
                    epitaph(kept, reason, self.consumer.queue().as_str(), largest_frame),
                );
                let confirm = publish.await.map_err(|error| failed(DOING, &error))?;
                let confirm = confirm.await.map_err(|error| failed(DOING, &error))?;
                // Of several, one may be told what is meant for another: they fail together.
                if confirm.is_nack() || confirm.take_message().is_some() {
                    let problem = format_args!(
                        "queue `{queue}` does not take it: it is full, or has been deleted"
                    );
                    return Err(LinkError::refused(DOING, problem));
                }
                Ok(())
            })
        });
        let work = async { try_join_all(letters).await.map(drop) };
        within(self.session.patience, DOING, work).await
    }

    async fn settle_all(&mut self, settlements: &[Settlement]) -> Result<(), LinkError> {
        const DOING: &str = "acknowledging";
        let (mut done, mut again, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        for Settlement { tag, settled } in settlements {
            if self.open.get(*tag).is_none() {
                let problem = format_args!("delivery {tag} is not open on this link");
                return Err(LinkError::lost(DOING, problem));
            }
            match settled {
                Settled::Done => done.push(*tag),
                Settled::Again => again.push((*tag, true)),
                Settled::Dead(_) if self.dead.is_none() => again.push((*tag, false)),
                Settled::Dead(reason) => dead.push((*tag, &**reason)),
            }
        }
        self.bury(&dead).await?;
        done.extend(dead.into_iter().map(|(tag, _)| tag));
        done.sort_unstable();
        // The oldest first: the server may send each one again at once.
        again.sort_unstable();
        for (tag, _) in &again {
            self.open.remove(*tag);
        }
        let words = self.open.acknowledge(&done);
        if self.is_at_most_once {
            return Ok(());
        }
        let again = again.into_iter().map(|(tag, requeue)| Word::Nack { tag, requeue });
        self.say(again.chain(words.into_iter().map(Word::Ack))).await
    }

    /// Says all of that to the server, in order, and waits until it is on its way.
    async fn say(&self, words: impl Iterator<Item = Word>) -> Result<(), LinkError> {
        const DOING: &str = "acknowledging";
        let channel = &self.session.channel;
        let begun: Vec<_> = words.map(|word| begun(word.say(channel))).collect();
        for said in begun {
            done(said).await.map_err(|error| failed(DOING, &error))?;
        }
        Ok(())
    }

    /// Appends what is there, up to `most`, or an error that ended the stream.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        into: &mut Vec<Delivery>,
    ) -> Poll<Result<(), LinkError>> {
        const DOING: &str = "receiving";
        if self.is_over {
            let error = self.ended.take();
            let over = || LinkError::lost(DOING, "the link has failed before");
            return Poll::Ready(Err(error.unwrap_or_else(over)));
        }
        let mut count = 0;
        while count < most.max(1) {
            match Pin::new(&mut self.consumer).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    let delivery = self.delivery(message);
                    into.push(delivery);
                    count += 1;
                }
                Poll::Ready(end) => {
                    let gone =
                        "the server has ended it: the queue has been deleted, or its node has gone";
                    let error = match end {
                        Some(Err(error)) => failed(DOING, &error),
                        _ => LinkError::lost(DOING, gone),
                    };
                    self.is_over = true;
                    if count == 0 {
                        return Poll::Ready(Err(error));
                    }
                    self.ended = Some(error);
                    break;
                }
                Poll::Pending if count > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A word to the server.
enum Word {
    Ack(Acknowledgement),
    Nack { tag: u64, requeue: bool },
}

impl Word {
    async fn say(self, channel: &Channel) -> lapin::Result<()> {
        match self {
            Self::Ack(Acknowledgement { tag, multiple }) => {
                channel.basic_ack(tag, BasicAckOptions { multiple }).await
            }
            Self::Nack { tag, requeue } => {
                channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue }).await
            }
        }
    }
}

impl Incoming for RabbitIncoming {
    async fn receive(&mut self, most: usize, into: &mut Vec<Delivery>) -> Result<(), LinkError> {
        poll_fn(|cx| self.poll_receive(cx, most, into)).await
    }

    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), LinkError> {
        self.settle_all(settlements).await
    }

    async fn close(self) {
        self.session.close().await;
    }
}
