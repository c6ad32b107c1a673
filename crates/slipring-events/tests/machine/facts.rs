//! What goes over the bus, and who wants which of it.

use slipring_events::{Carries, events};

/// A numbered note. No two events of a round have the same number.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    pub number: u64,
    pub key: u8,
    /// How many it follows from.
    pub depth: u8,
    /// Somebody waits for a reply.
    pub asks: bool,
}

/// The same, of another type.
#[derive(Clone, Debug)]
pub struct Remark(pub Note);

events! {
    pub enum Fact {
        Note = "note",
        Remark = "remark",
    }
}

impl Fact {
    pub fn note(&self) -> &Note {
        match self {
            Self::Note(note) | Self::Remark(Remark(note)) => note,
        }
    }
}

/// A topic that some notes are published under.
pub const APART: &str = "apart.one";

/// What a handler asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Notes,
    Apart,
}

impl Scope {
    pub fn wants(self, fact: &Fact, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Notes => Carries::<Note>::get(fact).is_some(),
            Self::Apart => topic == APART,
        }
    }
}
