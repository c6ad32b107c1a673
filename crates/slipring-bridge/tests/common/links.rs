//! What tests of links to brokers have in common.

use std::{collections::VecDeque, time::Duration};

use slipring_bridge::{
    Connect, Delivery, Incoming, LinkError, Outgoing, Parcel, Settled, Settlement, Stamp,
};
use slipring_events::{EventId, Time};

/// How long anything may take.
pub const LONG: Duration = Duration::from_mins(1);

/// Runs it on a runtime of its own, as a bridge does.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONG, work).await.expect("it does not end") })
}

/// The events of a lane, every third position, each with its number as payload.
pub fn lane(name: &str, numbers: std::ops::Range<u64>) -> Vec<Parcel> {
    numbers
        .map(|number| {
            let mut parcel = Parcel::new("orders.placed", number.to_string());
            parcel.id = Some(EventId::random());
            parcel.stamp = Some(Stamp {
                lane: name.into(),
                sequence: number * 3,
                previous: number.checked_sub(1).map(|before| before * 3),
            });
            parcel
        })
        .collect()
}

/// One of each kind: all headers, none, texts that are none of ASCII, no payload, a large one.
pub fn samples(large: usize) -> Vec<Parcel> {
    let mut full = Parcel::new("заказы/нові – 注文 \"x\" 🚀", vec![0, 255, 10, 13, 0]);
    full.time = Time::from_nanos(1_234_567_890_123_456_789);
    full.id = Some(EventId::random());
    full.source = "kassa 7 ß".into();
    full.correlation = Some(EventId::random());
    full.causation = Some(EventId::random());
    full.schema = 65_535;
    full.content_type = "application/json".into();
    full.metadata.insert("кто", "völlig\negal\r\n\"\\ \u{0}x");
    full.metadata.insert("", "");
    full.metadata.insert("many", "m".repeat(5_000));
    let mut empty = Parcel::new("t", "");
    empty.time = Time::from_nanos(0);
    let large =
        Parcel::new("large", fastrand::Rng::with_seed(7).u8(..).to_string().repeat(large / 3));
    let mut parcels = vec![full, empty, large, Parcel::new("{\"a\":1}", "{\"a\":1}")];
    let mut previous = None;
    for (number, parcel) in parcels.iter_mut().enumerate() {
        let sequence = number as u64 * 10;
        parcel.stamp = Some(Stamp { lane: "проба \"1\"".into(), sequence, previous });
        previous = Some(sequence);
    }
    parcels
}

/// Waits until so many are confirmed.
pub async fn confirm(link: &mut impl Outgoing, mut count: usize) -> Result<(), LinkError> {
    while count > 0 {
        let confirmed = link.confirmed().await?;
        assert!((1..=count).contains(&confirmed), "{confirmed} of {count}");
        count -= confirmed;
    }
    Ok(())
}

/// Sends parcels in batches of random sizes, with so many unconfirmed at most; counts those that are confirmed. When the
/// link fails, those behind are sent again over another. `between` is called now and then with how many are confirmed.
pub async fn send_all<C: Connect>(
    connect: &C,
    parcels: &[Parcel],
    window: usize,
    random: &mut fastrand::Rng,
    mut between: impl FnMut(usize),
) -> usize {
    let (mut confirmed, mut links) = (0, 0);
    while confirmed < parcels.len() {
        let mut link = match connect.connect().await {
            Ok(link) => link,
            Err(error) => {
                assert!(!matches!(error, LinkError::Refused { .. }), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        links += 1;
        let mut sent = confirmed;
        let failed = loop {
            between(confirmed);
            if sent < parcels.len() && sent - confirmed < window {
                let room = (parcels.len() - sent).min(window - (sent - confirmed));
                let batch = &parcels[sent..sent + random.usize(1..=room)];
                if let Err(error) = link.submit(batch).await {
                    break Some(error);
                }
                sent += batch.len();
            }
            if sent > confirmed && (sent == parcels.len() || random.bool()) {
                match link.confirmed().await {
                    Ok(count) => {
                        assert!((1..=sent - confirmed).contains(&count));
                        confirmed += count;
                    }
                    Err(error) => break Some(error),
                }
            }
            if confirmed == parcels.len() {
                break None;
            }
        };
        if let Some(error) = failed {
            assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        } else {
            link.close().await;
        }
    }
    links
}

/// Waits until so many are delivered; none of them is settled.
pub async fn take(link: &mut impl Incoming, count: usize) -> Result<Vec<Delivery>, LinkError> {
    let mut into = Vec::new();
    while into.len() < count {
        let before = into.len();
        link.receive(count - before, &mut into).await?;
        assert!(into.len() > before && into.len() <= count);
    }
    assert!(into.windows(2).all(|pair| pair[0].tag < pair[1].tag), "tags grow");
    Ok(into)
}

/// Settles them all the same way.
pub async fn settle(
    link: &mut impl Incoming,
    deliveries: &[Delivery],
    settled: &Settled,
) -> Result<(), LinkError> {
    let settlements: Vec<_> = deliveries
        .iter()
        .map(|delivery| Settlement { tag: delivery.tag, settled: settled.clone() })
        .collect();
    link.settle(&settlements).await
}

/// Takes so many, and settles each batch at once.
pub async fn take_done(link: &mut impl Incoming, count: usize) -> Result<Vec<Parcel>, LinkError> {
    let mut parcels = Vec::new();
    while parcels.len() < count {
        let mut batch = Vec::new();
        link.receive(count - parcels.len(), &mut batch).await?;
        settle(link, &batch, &Settled::Done).await?;
        parcels.extend(batch.into_iter().map(parcel));
    }
    Ok(parcels)
}

pub fn parcel(delivery: Delivery) -> Parcel {
    delivery.content.unwrap()
}

/// What the parcels say: the number of each.
pub fn numbers(parcels: &[Parcel]) -> Vec<u64> {
    let text = |parcel: &Parcel| String::from_utf8(parcel.payload.clone()).unwrap();
    parcels.iter().map(|parcel| text(parcel).parse().unwrap()).collect()
}

/// What an inbox makes of deliveries: each of a lane once and in order, whatever comes twice or early. An error if
/// one is missing.
#[derive(Default)]
pub struct Turns {
    last: Option<u64>,
    early: VecDeque<Parcel>,
}

impl Turns {
    /// One that has had those up to that sequence.
    pub fn behind(last: u64) -> Self {
        Self { last: Some(last), ..Self::default() }
    }

    /// Gives those whose turn it is.
    pub fn take(&mut self, parcel: Parcel) -> Vec<Parcel> {
        self.early.push_back(parcel);
        let mut turn = Vec::new();
        while let Some(at) = self.early.iter().position(|parcel| {
            let stamp = parcel.stamp.as_ref().unwrap();
            stamp.previous <= self.last
        }) {
            let parcel = self.early.remove(at).unwrap();
            let stamp = parcel.stamp.as_ref().unwrap();
            if self.last.is_none_or(|last| stamp.sequence > last) {
                self.last = Some(stamp.sequence);
                turn.push(parcel);
            }
        }
        turn
    }
}

/// A seed of a test, printed so that a failure can be had again.
pub fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    seed
}
