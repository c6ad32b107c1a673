//! The link of an outbox.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use lapin::{
    BasicProperties, Confirmation, ErrorKind, PublisherConfirm, options::BasicPublishOptions,
    protocol::AMQPSoftError, types::ShortString,
};

use super::{
    Unrouted,
    message::{properties, sequence, unsendable},
    outlet::To,
    session::{Session, begun, done, failed, soft},
};
use crate::{LinkError, Outgoing, Parcel};

/// A link over which parcels go to a RabbitMQ server: made by a [`RabbitOutlet`](super::RabbitOutlet).
pub struct RabbitOutgoing {
    session: Session,
    exchange: ShortString,
    to: To,
    unrouted: Unrouted,
    /// Those that are not confirmed, in order.
    sent: VecDeque<Sent>,
    /// Those that nobody is bound for, by their sequence, as far as they are not reported yet.
    returned: BTreeMap<u64, Box<str>>,
}

struct Sent {
    sequence: u64,
    /// How many bytes its payload has.
    size: usize,
    state: State,
}

enum State {
    Waiting(PublisherConfirm),
    /// The server has it.
    Taken,
    /// It does not want it.
    NotTaken,
    /// Nobody knows.
    Failed(lapin::Error),
}

impl fmt::Debug for RabbitOutgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitOutgoing")
            .field("exchange", &self.exchange)
            .field("unconfirmed", &self.sent.len())
            .finish_non_exhaustive()
    }
}

impl RabbitOutgoing {
    pub(super) fn new(session: Session, exchange: ShortString, to: To, unrouted: Unrouted) -> Self {
        Self { session, exchange, to, unrouted, sent: VecDeque::new(), returned: BTreeMap::new() }
    }

    fn routing_key(&self, parcel: &Parcel) -> Result<ShortString, LinkError> {
        let problem = "its routing key has more than 255 bytes, which AMQP has no room for";
        let key = match &self.to {
            To::Topic => ShortString::try_new(parcel.topic.as_str()),
            To::Mapped(key) => ShortString::try_new(key(parcel)),
            To::Queue(name) => return Ok(name.clone()),
        };
        key.map_err(|_| unsendable(parcel, problem))
    }

    /// Waits until the oldest are settled, and looks how all of them are.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut settled = 0;
        for sent in &mut self.sent {
            if sent.poll(cx, &mut self.returned).is_pending() {
                break;
            }
            settled += 1;
        }
        if settled == 0 {
            return Poll::Pending;
        }
        if self.unrouted != Unrouted::Drop {
            // The client gives what comes back to the next confirm that it sees, whosever that is: it may be one behind
            // these. By now it has given away those of all that are settled here.
            self.look_at_all();
        }
        Poll::Ready(())
    }

    fn look_at_all(&mut self) {
        let mut nobody = Context::from_waker(Waker::noop());
        for sent in &mut self.sent {
            let _ = sent.poll(&mut nobody, &mut self.returned);
        }
    }

    /// What there is to say of the oldest one, which is settled and not as it should be.
    fn oldest_failed(&mut self) -> LinkError {
        const DOING: &str = "publishing";
        let Some(oldest) = self.sent.front() else {
            return LinkError::lost(DOING, "nothing is under way");
        };
        let sequence = oldest.sequence;
        if let State::Failed(error) = &oldest.state {
            let error = error.clone();
            return self.failure("waiting for confirms", &error);
        }
        match self.returned.get(&sequence).cloned() {
            Some(problem) if self.unrouted == Unrouted::SetAside => {
                LinkError::Unsendable { sequence, problem }
            }
            Some(problem) => LinkError::refused(DOING, problem),
            None => {
                let problem = "a queue that it goes to is full, or not well";
                LinkError::refused(
                    DOING,
                    format_args!("the server does not take event {sequence}: {problem}"),
                )
            }
        }
    }

    /// What an error of the client means, and for which event.
    fn failure(&mut self, doing: &'static str, error: &lapin::Error) -> LinkError {
        // A closed channel does not say why it was closed. What was under way does.
        let is_late = |error: &lapin::Error| {
            matches!(
                error.kind(),
                ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_)
            )
        };
        if is_late(error) {
            self.look_at_all();
        }
        let why = self.sent.iter().find_map(|sent| match &sent.state {
            State::Failed(why) if is_late(error) && !is_late(why) => Some(why),
            _ => None,
        });
        let error = why.unwrap_or(error);
        if let Some(AMQPSoftError::PRECONDITIONFAILED) = soft(error) {
            // "message size 1048577 is larger than configured max size 1048576"
            let text = error.to_string();
            let size = text.split("message size ").nth(1).and_then(|text| text.split(' ').next());
            if let Some(size) = size.and_then(|size| size.parse::<usize>().ok())
                && let Some(sent) = self.sent.iter().find(|sent| sent.size == size)
            {
                return LinkError::Unsendable { sequence: sent.sequence, problem: text.into() };
            }
        }
        failed(doing, error)
    }
}

impl Sent {
    fn poll(&mut self, cx: &mut Context<'_>, returned: &mut BTreeMap<u64, Box<str>>) -> Poll<()> {
        let State::Waiting(confirm) = &mut self.state else { return Poll::Ready(()) };
        let confirmation = std::task::ready!(Pin::new(confirm).poll(cx));
        self.state = match &confirmation {
            Ok(Confirmation::Nack(_)) => State::NotTaken,
            Ok(_) => State::Taken,
            Err(error) => State::Failed(error.clone()),
        };
        if let Ok(Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message))) =
            confirmation
        {
            let problem = format!(
                "{} {}: no queue of exchange `{}` is bound for routing key `{}`; bind one, or say what is to become of \
                 such events (`unrouted`)",
                message.reply_code, message.reply_text, message.exchange, message.routing_key
            );
            returned.insert(sequence(&message.properties), problem.into());
        }
        Poll::Ready(())
    }
}

impl Outgoing for RabbitOutgoing {
    async fn submit(&mut self, parcels: &[Parcel]) -> Result<(), LinkError> {
        let largest_frame = self.session.connection.configuration().frame_max();
        let wrap = |parcel: &Parcel| -> Result<(ShortString, BasicProperties), LinkError> {
            Ok((self.routing_key(parcel)?, properties(parcel, largest_frame)?))
        };
        let wrapped = parcels.iter().map(wrap).collect::<Result<Vec<_>, _>>()?;
        let channel = self.session.channel.clone();
        let options = BasicPublishOptions {
            mandatory: self.unrouted != Unrouted::Drop,
            ..BasicPublishOptions::default()
        };
        let mut publishing = Vec::with_capacity(parcels.len());
        for (parcel, (key, properties)) in parcels.iter().zip(wrapped) {
            let exchange = self.exchange.clone();
            let publish =
                channel.basic_publish(exchange, key, options, &parcel.payload, properties);
            publishing.push(begun(publish));
        }
        for (parcel, publish) in parcels.iter().zip(publishing) {
            let confirm =
                done(publish).await.map_err(|error| self.failure("publishing", &error))?;
            self.sent.push_back(Sent {
                sequence: parcel.stamp.as_ref().map_or(0, |stamp| stamp.sequence),
                size: parcel.payload.len(),
                state: State::Waiting(confirm),
            });
        }
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<usize, LinkError> {
        poll_fn(|cx| self.poll_settled(cx)).await;
        let good = self.sent.iter().take_while(|sent| {
            matches!(sent.state, State::Taken) && !self.returned.contains_key(&sent.sequence)
        });
        match good.count() {
            0 => Err(self.oldest_failed()),
            good => {
                self.sent.drain(..good);
                Ok(good)
            }
        }
    }

    fn held_up(&self) -> Option<String> {
        let is_blocked = self.session.connection.status().blocked();
        is_blocked.then(|| {
            "the server takes nothing: it is short of memory, or of room on its disk".into()
        })
    }

    async fn close(self) {
        self.session.close().await;
    }
}
