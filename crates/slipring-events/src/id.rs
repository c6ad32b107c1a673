//! What an event is known by, everywhere and for ever.
//!
//! The id of an event on a bus is made of where it comes from and of its number there. It costs
//! nothing to make, an event that is read again has the same one, and of a source whose events are
//! read in order one number says which have been seen. As a UUID of version 8 it reads, from the
//! highest bit:
//!
//! ```text
//! 48 bits          4        12 bits                 2         62 bits
//! source, high     1000     source, low 10          10        sequence, low
//!                           sequence, high 2
//! ```

use std::{fmt, str::FromStr};

use uuid::{Uuid, Variant};

/// The id of an event: a UUID.
///
/// Ids of one source are ordered as their sequences are.
///
/// # Examples
/// ```
/// use slipring_events::{EventId, Source};
///
/// let shop = Source::named("shop");
/// let id = EventId::of(shop, 42);
/// assert_eq!((id.source(), id.sequence()), (Some(shop), Some(42)));
/// assert!(id < EventId::of(shop, 43));
/// assert_eq!(id.to_string().parse(), Ok(id));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct EventId(Uuid);

/// The bits that a UUID has for the sequence below those that say what it is.
const SEQUENCE_LOW: u32 = 62;
const VERSION: u128 = 8 << 76;
const VARIANT: u128 = 0b10 << SEQUENCE_LOW;

impl EventId {
    /// The id of an event by its source and its number there: each time the same.
    pub const fn of(source: Source, sequence: u64) -> Self {
        let (source, sequence) = (source.0 as u128, sequence as u128);
        let custom = source << 64 | sequence;
        let high = custom >> 74 << 80;
        let middle = (custom >> SEQUENCE_LOW & 0xfff) << 64;
        let low = custom & ((1 << SEQUENCE_LOW) - 1);
        Self(Uuid::from_u128(high | VERSION | middle | VARIANT | low))
    }

    /// An id for an event that is on no bus yet: a UUID of version 7, which begins with the time.
    /// It asks the system for randomness, so it is not for events made by the million.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::EventId;
    ///
    /// let id = EventId::random();
    /// assert_ne!(id, EventId::random());
    /// assert_eq!(id.sequence(), None);
    /// ```
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The source it was made of, if it was made by [`of`](Self::of). Of ids from elsewhere that
    /// have version 8, too, it cannot be told that they were not.
    pub fn source(self) -> Option<Source> {
        self.custom().map(|custom| Source((custom >> 64) as u64))
    }

    /// The number it was made of, if it was made by [`of`](Self::of), like [`source`](Self::source).
    pub fn sequence(self) -> Option<u64> {
        self.custom().map(|custom| custom as u64)
    }

    /// The 122 bits that are ours.
    fn custom(self) -> Option<u128> {
        let is_ours = self.0.get_version_num() == 8 && self.0.get_variant() == Variant::RFC4122;
        let bits = self.0.as_u128();
        let low = bits & ((1 << SEQUENCE_LOW) - 1);
        let middle = bits >> 64 & 0xfff;
        is_ours.then_some(bits >> 80 << 74 | middle << SEQUENCE_LOW | low)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<EventId> for Uuid {
    fn from(id: EventId) -> Self {
        id.0
    }
}

/// Where events come from, in 58 bits: whoever gives them consecutive numbers.
///
/// Two that count on their own must not be the same source, or different events have the same id.
/// One that counts from 0 again whenever the program starts is another each time: see
/// [`fresh`](Self::fresh).
///
/// # Examples
/// ```
/// use slipring_events::Source;
///
/// // A journal goes on counting where it was: it keeps its name, and so its ids.
/// assert_eq!(Source::named("journal"), Source::named("journal"));
/// // A bus in memory begins anew.
/// assert_ne!(Source::fresh("bus"), Source::fresh("bus"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(u64);

impl Source {
    /// How many bits a source has.
    pub const BITS: u32 = 58;

    const MASK: u64 = (1 << Self::BITS) - 1;

    /// The source of a name: the 64 bits of its FNV-1a hash, with the highest six folded onto the
    /// lowest by an exclusive or. This is so in every version of this crate. Of a hundred thousand
    /// names, the odds that any two are the same source are one to fifty million.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Source;
    ///
    /// assert_eq!(Source::named("shop").bits(), 0x2dc_5e18_e28e_2418);
    /// ```
    pub const fn named(name: &str) -> Self {
        Self::hashed(fnv_1a(name.as_bytes()))
    }

    /// A source that is another at each call, in each run and on each machine, whatever the name: a
    /// UUID of version 7 is hashed behind it.
    pub fn fresh(name: &str) -> Self {
        let named = fnv_1a(name.as_bytes());
        Self::hashed(more_fnv_1a(named, Uuid::now_v7().as_bytes()))
    }

    /// The source of a number that somebody else gives out, such as that of a machine. Only the
    /// lowest 58 bits count.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Source;
    ///
    /// assert_eq!(Source::from_bits(7).bits(), 7);
    /// assert_eq!(Source::from_bits(u64::MAX).bits(), (1 << 58) - 1);
    /// ```
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::MASK)
    }

    /// It as a number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    const fn hashed(hash: u64) -> Self {
        Self::from_bits(hash ^ hash >> Self::BITS)
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// The same in every version, of the program and of Rust.
pub(crate) const fn fnv_1a(bytes: &[u8]) -> u64 {
    more_fnv_1a(FNV_BASIS, bytes)
}

/// The hash of what was hashed to `state`, followed by these bytes.
const fn more_fnv_1a(mut state: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        state = (state ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv_1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn names_are_the_same_sources_in_every_version() {
        for (name, bits) in [
            ("", 0x3f2_9ce4_8422_2317),
            ("a", 0x363_dc4c_8601_eca7),
            ("shop", 0x2dc_5e18_e28e_2418),
            ("größe", 0x345_0e1e_f581_40f7),
        ] {
            assert_eq!(Source::named(name).bits(), bits, "{name}");
        }
    }

    #[test]
    fn ids_are_the_same_in_every_version() {
        let id = EventId::of(Source::from_bits(0x2aa_aaaa_aaaa_aaab), 0xc123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "aaaaaaaa-aaaa-8aaf-8123-456789abcdef");
    }

    #[test]
    fn an_id_is_sixteen_bytes() {
        assert_eq!(size_of::<EventId>(), 16);
    }

    #[test]
    fn the_ends_of_both_numbers() {
        for source in [0, 1, 0x3ff, 0x400, Source::MASK] {
            for sequence in [0, 1, 1 << 61, 1 << 62, 1 << 63, u64::MAX] {
                let id = EventId::of(Source::from_bits(source), sequence);
                assert_eq!(id.source().map(Source::bits), Some(source));
                assert_eq!(id.sequence(), Some(sequence));
            }
        }
    }

    #[test]
    fn ids_from_elsewhere_have_no_sequence() {
        let ours = Uuid::from(EventId::of(Source::named("shop"), 1)).as_u128();
        let other_variant = Uuid::from_u128(ours ^ 1 << 63);
        let other_version = Uuid::from_u128(ours ^ 1 << 76);
        let others = [Uuid::now_v7(), Uuid::nil(), Uuid::max(), other_variant, other_version];
        for id in others.map(EventId::from) {
            assert_eq!((id.source(), id.sequence()), (None, None), "{id}");
        }
    }

    #[test]
    fn what_is_fresh_was_not_there_before() {
        let ids: HashSet<_> = (0..1000).map(|_| EventId::random()).collect();
        let sources: HashSet<_> = (0..1000).map(|_| Source::fresh("bus")).collect();
        assert_eq!((ids.len(), sources.len()), (1000, 1000));
    }

    fn pairs() -> impl Strategy<Value = (Source, u64)> {
        (any::<u64>().prop_map(Source::from_bits), any::<u64>())
    }

    proptest! {
        #[test]
        fn an_id_tells_what_it_was_made_of((source, sequence) in pairs()) {
            let id = EventId::of(source, sequence);
            prop_assert_eq!((id.source(), id.sequence()), (Some(source), Some(sequence)));
            let uuid = Uuid::from(id);
            prop_assert_eq!((uuid.get_version_num(), uuid.get_variant()), (8, Variant::RFC4122));
            prop_assert_eq!(EventId::from(uuid), id);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn ids_are_ordered_by_source_and_then_by_sequence(
            a in pairs(), b in pairs(), is_near in any::<bool>(),
        ) {
            let b = if is_near { (a.0, b.1) } else { b };
            prop_assert_eq!(EventId::of(a.0, a.1).cmp(&EventId::of(b.0, b.1)), a.cmp(&b));
        }

        #[test]
        fn no_text_is_too_odd(text in "[0-9a-f-]{0,40}|.*") {
            let _ = text.parse::<EventId>();
        }

        #[test]
        fn any_uuid_is_an_id(bits in any::<u128>()) {
            let id = EventId::from(Uuid::from_u128(bits));
            if let (Some(source), Some(sequence)) = (id.source(), id.sequence()) {
                prop_assert_eq!(EventId::of(source, sequence), id);
            }
        }
    }
}
