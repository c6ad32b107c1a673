//! What goes over a bus: an enum, as programs have them.

use slipring_bench::event::{Payload, Words};

/// An event of `WORDS` words and a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<const WORDS: usize> {
    /// Of an even value.
    Ordered(Words<WORDS>),
    /// Of an odd one.
    Paid(Words<WORDS>),
}

const _: () = assert!(size_of::<Message<1>>() == 16 && size_of::<Message<7>>() == 64);

impl<const WORDS: usize> Message<WORDS> {
    /// The event of a value.
    #[inline]
    pub fn of(value: u64) -> Self {
        let mut words = Words::default();
        words.write(value);
        if value.is_multiple_of(2) { Self::Ordered(words) } else { Self::Paid(words) }
    }
}

impl<const WORDS: usize> Default for Message<WORDS> {
    fn default() -> Self {
        Self::Ordered(Words::default())
    }
}

impl<const WORDS: usize> Payload for Message<WORDS> {
    #[inline]
    fn write(&mut self, value: u64) {
        *self = Self::of(value);
    }

    #[inline]
    fn read(&self) -> (u64, bool) {
        let (words, even) = match self {
            Self::Ordered(words) => (words, true),
            Self::Paid(words) => (words, false),
        };
        let (value, intact) = words.read();
        (value, intact & (value.is_multiple_of(2) == even))
    }
}

impl<const WORDS: usize> slipring_events::Event for Message<WORDS> {
    #[inline]
    fn name(&self) -> &'static str {
        match self {
            Self::Ordered(_) => "shop.ordered",
            Self::Paid(_) => "shop.paid",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_a_wrong_tag_is_noticed() {
        for value in [0, 1, 2, u64::MAX] {
            assert_eq!(Message::<7>::of(value).read(), (value, true));
        }
        let Message::Ordered(words) = Message::<1>::of(4) else { panic!("4 is even") };
        assert_eq!(Message::Paid(words).read(), (4, false));
        assert_eq!(Message::Ordered(Words([4, 4])).read(), (4, false));
    }
}
