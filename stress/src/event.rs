//! What travels round the ring: events whose content can be told from their producer and number.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use slipring::{Claim, Producer, PublishError};

/// Scatters a number over 64 bits (the finalizer of splitmix64).
pub fn scattered(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The trace that a changing station leaves behind on what it found.
pub fn passed(trace: u64, station: usize) -> u64 {
    trace.wrapping_mul(31).wrapping_add(station as u64 + 1)
}

/// What a producer writes. Its two seals lie around the rest, so that half an event shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    seal: u64,
    pub producer: u32,
    pub number: u32,
    /// 0 when published; changing stations add to it.
    pub trace: u64,
    counter_seal: u64,
}

impl Stamp {
    /// What is in a slot that nobody has written to since it was made or reset.
    pub const CLEAR: Self = Self { seal: 0, producer: 0, number: 0, trace: 0, counter_seal: 0 };

    pub fn new(producer: u32, number: u32) -> Self {
        let seal = Self::seal(producer, number);
        Self { seal, producer, number, trace: 0, counter_seal: !seal }
    }

    fn seal(producer: u32, number: u32) -> u64 {
        scattered(Self::id(producer, number))
    }

    fn id(producer: u32, number: u32) -> u64 {
        u64::from(producer) << 32 | u64::from(number)
    }

    /// Which of so many keys it has.
    pub fn key(&self, keys: u32) -> u32 {
        (Self::seal(self.producer, self.number) % u64::from(keys)) as u32
    }

    fn is_whole(&self) -> bool {
        let seal = Self::seal(self.producer, self.number);
        self.seal == seal && self.counter_seal == !seal
    }
}

/// How long a publish call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    None,
    Until(Instant),
    Forever,
}

/// What a round's events are. `Stamp` itself is copied; [`Parcel`] owns something.
pub trait Event: Send + Sync + Sized + 'static {
    /// What the factory makes.
    fn blank(census: &Arc<Census>) -> Self;
    /// What a producer does to its slot.
    fn write(&mut self, stamp: Stamp, census: &Arc<Census>);
    fn stamp(&self) -> Stamp;
    fn stamp_mut(&mut self) -> &mut Stamp;
    /// Whether all of it is as one producer wrote it.
    fn is_whole(&self) -> bool;
    /// What the reset hook does.
    fn clear(&mut self);
    /// Publishes a slice, where events can be copied, and a batch otherwise.
    fn publish_slice<C: Claim>(
        producer: &mut Producer<Self, C>,
        patience: Patience,
        stamps: &[Stamp],
        census: &Arc<Census>,
    ) -> Result<Range<u64>, PublishError>;
}

impl Event for Stamp {
    fn blank(_: &Arc<Census>) -> Self {
        Self::CLEAR
    }

    fn write(&mut self, stamp: Stamp, _: &Arc<Census>) {
        *self = stamp;
    }

    fn stamp(&self) -> Stamp {
        *self
    }

    fn stamp_mut(&mut self) -> &mut Stamp {
        self
    }

    fn is_whole(&self) -> bool {
        self.is_whole()
    }

    fn clear(&mut self) {
        *self = Self::CLEAR;
    }

    fn publish_slice<C: Claim>(
        producer: &mut Producer<Self, C>,
        patience: Patience,
        stamps: &[Stamp],
        _: &Arc<Census>,
    ) -> Result<Range<u64>, PublishError> {
        match patience {
            Patience::None => producer.try_publish_slice(stamps),
            Patience::Until(deadline) => producer.publish_slice_deadline(deadline, stamps),
            Patience::Forever => producer.publish_slice(stamps),
        }
    }
}

/// An event that owns something on the heap, of which the census knows.
#[derive(Debug)]
pub struct Parcel {
    stamp: Stamp,
    token: Option<Token>,
}

impl Event for Parcel {
    /// With a token as well: what the factory made has to be dropped once, too.
    fn blank(census: &Arc<Census>) -> Self {
        Self { stamp: Stamp::CLEAR, token: Some(Token::new(u64::MAX, census)) }
    }

    fn write(&mut self, stamp: Stamp, census: &Arc<Census>) {
        self.stamp = stamp;
        self.token = Some(Token::new(Stamp::id(stamp.producer, stamp.number), census));
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn stamp_mut(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn is_whole(&self) -> bool {
        let id = Stamp::id(self.stamp.producer, self.stamp.number);
        self.stamp.is_whole() && self.token.as_ref().is_some_and(|token| *token.id == id)
    }

    fn clear(&mut self) {
        self.stamp = Stamp::CLEAR;
        self.token = None;
    }

    fn publish_slice<C: Claim>(
        producer: &mut Producer<Self, C>,
        patience: Patience,
        stamps: &[Stamp],
        census: &Arc<Census>,
    ) -> Result<Range<u64>, PublishError> {
        let write = |index: usize, event: &mut Self| event.write(stamps[index], census);
        match patience {
            Patience::None => producer.try_publish_batch(stamps.len(), write),
            Patience::Until(deadline) => {
                producer.publish_batch_deadline(deadline, stamps.len(), write)
            }
            Patience::Forever => producer.publish_batch(stamps.len(), write),
        }
    }
}

#[derive(Debug)]
struct Token {
    /// On the heap, so that whoever drops or reads it once too often is likely to be caught.
    id: Box<u64>,
    /// Which of all tokens it is.
    serial: u64,
    census: Arc<Census>,
}

impl Token {
    fn new(id: u64, census: &Arc<Census>) -> Self {
        let serial = census.made.fetch_add(1, Ordering::Relaxed);
        Self { id: Box::new(id), serial, census: Arc::clone(census) }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.census.gone.fetch_add(1, Ordering::Relaxed);
        self.census.gone_sum.fetch_add(scattered(self.serial), Ordering::Relaxed);
    }
}

/// Counts tokens. That each was dropped exactly once shows in two figures: as many as were made,
/// and the same ones, by a sum over their scattered serial numbers.
#[derive(Debug, Default)]
pub struct Census {
    made: AtomicU64,
    gone: AtomicU64,
    gone_sum: AtomicU64,
}

/// The census at the end of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub made: u64,
    pub gone: u64,
    pub gone_sum: u64,
}

impl Census {
    pub fn count(&self) -> Count {
        Count {
            made: self.made.load(Ordering::Relaxed),
            gone: self.gone.load(Ordering::Relaxed),
            gone_sum: self.gone_sum.load(Ordering::Relaxed),
        }
    }
}

impl Count {
    /// Whether each token was dropped once.
    pub fn is_even(&self) -> bool {
        let sum = (0..self.made).map(scattered).fold(0_u64, u64::wrapping_add);
        self.made == self.gone && self.gone_sum == sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_event_shows() {
        let (mut one, other) = (Stamp::new(1, 7), Stamp::new(1, 8));
        assert!(one.is_whole() && other.is_whole() && !Stamp::CLEAR.is_whole());
        one.trace = passed(0, 3);
        assert!(one.is_whole(), "a trace is not the producer's");
        assert!(!Stamp { counter_seal: other.counter_seal, ..one }.is_whole());
        assert!(!Stamp { number: other.number, ..one }.is_whole());
    }

    #[test]
    fn a_parcel_is_whole_with_its_own_token_only() {
        let census = Arc::default();
        let mut parcel = Parcel::blank(&census);
        assert!(!parcel.is_whole());
        parcel.write(Stamp::new(2, 3), &census);
        assert!(parcel.is_whole());
        parcel.stamp = Stamp::new(2, 4);
        assert!(!parcel.is_whole());
    }

    #[test]
    fn the_census_notices_leaks_and_double_drops() {
        let census = Arc::new(Census::default());
        let tokens = [Token::new(1, &census), Token::new(1, &census)];
        assert!(!census.count().is_even(), "two are alive");
        drop(tokens);
        let even = census.count();
        assert!(even.is_even());
        assert!(
            !Count { gone: 3, gone_sum: even.gone_sum.wrapping_add(scattered(1)), ..even }
                .is_even()
        );
        // One leaked, the other dropped twice: only the sum tells.
        assert!(!Count { gone_sum: scattered(1).wrapping_mul(2), ..even }.is_even());
    }
}
