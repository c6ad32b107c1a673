//! What a parcel is as a message of AMQP, and back.

use std::{borrow::Cow, ops::ControlFlow};

use lapin::{
    BasicProperties,
    message::Delivery as Message,
    types::{AMQPValue, FieldTable, ShortString},
};
use slipring_events::{Clock, SystemClock, Time};

use super::incoming::Kept;
use crate::{LinkError, Parcel, Unreadable, header};

/// What the protocol says to the server and to the disk: keep it.
const PERSISTENT: u8 = 2;

/// The properties of a parcel, if they have room in one frame of so many bytes: they cannot be divided.
pub(super) fn properties(
    parcel: &Parcel,
    largest_frame: u32,
) -> Result<BasicProperties, LinkError> {
    let mut headers = FieldTable::default();
    // Kind of the frame, channel, length, end; class, weight, length of the body, flags; numbers, and length of the table.
    let mut size = 8 + 14 + 16;
    let _ = parcel.headers(|name, value| {
        if name != header::CONTENT_TYPE {
            size += 1 + name.len() + 1 + 4 + value.len();
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        ControlFlow::Continue(())
    });
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_timestamp(parcel.time.as_nanos() / 1_000_000_000);
    if !parcel.content_type.is_empty() {
        let problem = "its content type has more than 255 bytes, which AMQP has no room for";
        let content_type = ShortString::try_new(parcel.content_type.clone())
            .map_err(|_| unsendable(parcel, problem))?;
        properties = properties.with_content_type(content_type);
    }
    if let Some(id) = parcel.id {
        properties = properties.with_message_id(id.to_string().into());
    }
    // These two are for whoever looks at the queue with other tools; what is longer stands in the headers alone.
    if let Ok(topic) = ShortString::try_new(parcel.topic.as_str()) {
        properties = properties.with_type(topic);
    }
    if let (false, Ok(source)) =
        (parcel.source.is_empty(), ShortString::try_new(parcel.source.as_str()))
    {
        properties = properties.with_app_id(source);
    }
    // Four short texts of 256 bytes at most.
    size += 4 * 256;
    if largest_frame != 0 && size > largest_frame as usize {
        return Err(unsendable(
            parcel,
            &format!(
                "all but its payload has some {size} bytes, and this server's frames have {largest_frame} \
                 (`frame_max` in its settings)"
            ),
        ));
    }
    Ok(properties.with_headers(headers))
}

/// The server would not take it, whenever it is sent.
pub(super) fn unsendable(parcel: &Parcel, problem: &str) -> LinkError {
    let sequence = parcel.stamp.as_ref().map_or(0, |stamp| stamp.sequence);
    LinkError::Unsendable { sequence, problem: problem.into() }
}

/// Which event a message of ours is: [`Stamp::sequence`](crate::Stamp::sequence), or 0.
pub(super) fn sequence(properties: &BasicProperties) -> u64 {
    let text =
        properties.headers().as_ref().and_then(|headers| headers.inner().get(header::SEQUENCE));
    text.and_then(text_of)
        .and_then(|text| text.split(' ').next().and_then(|number| number.parse().ok()))
        .unwrap_or(0)
}

/// A message as a parcel. What comes from other programs gets their headers and properties as notes; with
/// `with_notes`, each one gets what the server says of it.
pub(super) fn parcel(
    message: &Message,
    payload: Vec<u8>,
    with_notes: bool,
) -> Result<Parcel, Unreadable> {
    let unreadable = |problem: String, payload| Unreadable {
        problem: problem.into(),
        topic: message.routing_key.as_str().into(),
        payload,
    };
    let empty = FieldTable::default();
    let headers = message.properties.headers().as_ref().unwrap_or(&empty).inner();
    let mut ours = Vec::with_capacity(header::ALL.len());
    // The content type is a property of its own.
    for name in header::ALL.into_iter().filter(|name| *name != header::CONTENT_TYPE) {
        if let Some(value) = headers.get(name) {
            let Some(text) = text_of(value) else {
                let problem = format!("header `{name}` is no text in UTF-8");
                return Err(unreadable(problem, payload));
            };
            ours.push((name, text));
        }
    }
    let is_ours = !ours.is_empty();
    if let Some(content_type) = message.properties.content_type() {
        ours.push((header::CONTENT_TYPE, Cow::Borrowed(content_type.as_str())));
    }
    let get = |name: &'static str| {
        ours.iter().find(|(other, _)| *other == name).map(|(_, text)| text.as_ref())
    };
    let topic = match message.properties.kind() {
        Some(kind) if !kind.as_str().is_empty() => kind.as_str(),
        _ => message.routing_key.as_str(),
    };
    let now = message.properties.timestamp().map_or_else(
        || SystemClock.now(),
        |seconds| Time::from_nanos(seconds.saturating_mul(1_000_000_000)),
    );
    // Without the payload, so that it is still there if they cannot be read.
    let mut parcel = match Parcel::from_headers(get, Vec::new(), topic, now) {
        Ok(parcel) => parcel,
        Err(error) => return Err(unreadable(error.to_string(), payload)),
    };
    parcel.payload = payload;
    if !is_ours {
        foreign(message, &mut parcel);
    }
    if with_notes {
        let notes = &mut parcel.metadata;
        notes.insert("rabbitmq-exchange", message.exchange.as_str());
        notes.insert("rabbitmq-routing-key", message.routing_key.as_str());
        notes.insert("rabbitmq-redelivered", message.redelivered.to_string());
    }
    Ok(parcel)
}

/// What another program says of its message.
fn foreign(message: &Message, parcel: &mut Parcel) {
    let properties = &message.properties;
    let text = |text: &Option<ShortString>| {
        text.as_ref().map(ShortString::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    parcel.id = text(properties.message_id()).and_then(|id| id.parse().ok());
    parcel.source = text(properties.app_id()).unwrap_or_default();
    let notes = &mut parcel.metadata;
    for (name, value) in [
        ("rabbitmq-message-id", properties.message_id()),
        ("rabbitmq-correlation-id", properties.correlation_id()),
        ("rabbitmq-reply-to", properties.reply_to()),
        ("rabbitmq-content-encoding", properties.content_encoding()),
        ("rabbitmq-user-id", properties.user_id()),
    ] {
        if let Some(value) = text(value) {
            notes.insert(name, value);
        }
    }
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if let Some(value) = text_of(value) {
            notes.insert(name.as_str(), value);
        }
    }
}

/// A value as a text, if it is a plain one.
fn text_of(value: &AMQPValue) -> Option<Cow<'_, str>> {
    Some(match value {
        AMQPValue::LongString(text) => Cow::Borrowed(std::str::from_utf8(text.as_bytes()).ok()?),
        AMQPValue::ShortString(text) => Cow::Borrowed(text.as_str()),
        AMQPValue::Boolean(value) => value.to_string().into(),
        AMQPValue::ShortShortInt(value) => value.to_string().into(),
        AMQPValue::ShortShortUInt(value) => value.to_string().into(),
        AMQPValue::ShortInt(value) => value.to_string().into(),
        AMQPValue::ShortUInt(value) => value.to_string().into(),
        AMQPValue::LongInt(value) => value.to_string().into(),
        AMQPValue::LongUInt(value) => value.to_string().into(),
        AMQPValue::LongLongInt(value) => value.to_string().into(),
        AMQPValue::Timestamp(value) => value.to_string().into(),
        AMQPValue::Float(value) => value.to_string().into(),
        AMQPValue::Double(value) => value.to_string().into(),
        _ => return None,
    })
}

/// What a dead letter is published with: what it had, where it came from, and why it is dead.
pub(super) fn epitaph(
    kept: &Kept,
    reason: &str,
    queue: &str,
    largest_frame: u32,
) -> BasicProperties {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let old = &kept.properties;
    let mut headers = FieldTable::default();
    let mut size = 2_048;
    for (name, value) in old.headers().iter().flat_map(FieldTable::inner) {
        // To those two the server would send it, too.
        if !["CC", "BCC"].contains(&name.as_str()) {
            size += name.as_str().len()
                + 16
                + match text_of(value) {
                    Some(text) => text.len(),
                    None => format!("{value:?}").len(),
                };
            headers.insert(name.clone(), value.clone());
        }
    }
    headers.insert("rabbitmq-queue".into(), text(queue));
    headers.insert("rabbitmq-exchange".into(), text(kept.exchange.as_str()));
    headers.insert("rabbitmq-routing-key".into(), text(kept.routing_key.as_str()));
    // Everything but the payload has to fit in one frame. So did what it had; the reason gets what is left.
    let left =
        if largest_frame == 0 { usize::MAX } else { (largest_frame as usize).saturating_sub(size) };
    let reason = &reason[..reason.floor_char_boundary(left.min(16 << 10))];
    headers.insert(header::REASON.into(), text(reason));
    // An expiry would have it vanish there, and a user that is not this one would have it refused.
    let mut new = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    let set = |new: BasicProperties,
               value: &Option<ShortString>,
               with: fn(BasicProperties, ShortString) -> BasicProperties| match value
    {
        Some(value) => with(new, value.clone()),
        None => new,
    };
    new = set(new, old.content_type(), BasicProperties::with_content_type);
    new = set(new, old.content_encoding(), BasicProperties::with_content_encoding);
    new = set(new, old.correlation_id(), BasicProperties::with_correlation_id);
    new = set(new, old.reply_to(), BasicProperties::with_reply_to);
    new = set(new, old.message_id(), BasicProperties::with_message_id);
    new = set(new, old.kind(), BasicProperties::with_type);
    new = set(new, old.app_id(), BasicProperties::with_app_id);
    if let Some(timestamp) = old.timestamp() {
        new = new.with_timestamp(*timestamp);
    }
    if let Some(priority) = old.priority() {
        new = new.with_priority(*priority);
    }
    new
}
