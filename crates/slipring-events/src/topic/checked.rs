//! What is wrong with a name, said so that the compiler can say it, too: [`events!`](crate::events)
//! has its topics looked at before there is a program.

use super::LONGEST;

/// The first flaw of a name. Places are counted in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Empty,
    EmptyWord(usize),
    /// In the name of a topic.
    Wildcard(usize),
    /// In a pattern, beside other letters of its word.
    PartOfWord(usize),
    TooLong,
}

/// Whether a name can be that of a topic.
#[doc(hidden)]
pub const fn is_topic(name: &str) -> bool {
    first_flaw(name.as_bytes(), false).is_none()
}

/// What is wrong with the name of a topic or with a pattern. A loop by hand, since a constant
/// cannot wait for an iterator. Bytes are enough: those of a letter of several are none of ours.
pub(super) const fn first_flaw(name: &[u8], is_pattern: bool) -> Option<Flaw> {
    if name.is_empty() {
        return Some(Flaw::Empty);
    }
    if name.len() > LONGEST {
        return Some(Flaw::TooLong);
    }
    let mut at = 0;
    while at <= name.len() {
        let is_first = at == 0 || name[at - 1] == b'.';
        let is_end = at == name.len() || name[at] == b'.';
        if is_end && is_first {
            return Some(Flaw::EmptyWord(at));
        }
        if !is_end && matches!(name[at], b'*' | b'#') {
            let is_last = at + 1 == name.len() || name[at + 1] == b'.';
            if !is_pattern {
                return Some(Flaw::Wildcard(at));
            }
            if !is_first || !is_last {
                return Some(Flaw::PartOfWord(at));
            }
        }
        at += 1;
    }
    None
}
