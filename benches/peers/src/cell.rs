//! What is measured: a [`Cell`] of scenario, wait, batch and capacity.

use std::fmt;
use std::str::FromStr;

/// Declares an enum whose variants have names, with `ALL`, `Display` and `FromStr`.
macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$doc])* $variant,)+ }

        impl $type {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name on the command line and in the table.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(self.name())
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                $crate::cell::find(Self::ALL, name)
            }
        }
    };
}
pub(crate) use named;

named! {
    /// The shape of the flow.
    Scenario {
        /// P → C, events of 8 bytes.
        Unicast = "unicast",
        /// Three producers → C, events of 8 bytes.
        Mpsc3 = "mpsc3",
        /// P → {C1, C2, C3}, each sees all, events of 8 bytes.
        Multicast = "multicast",
        /// P → C1 → C2 → C3, events of 24 bytes; P, C1 and C2 write a field each, C3 reads all.
        Pipeline = "pipeline",
        /// P → {C1, C2} → C3, events of 24 bytes; P, C1 and C2 write a field each, C3 reads all.
        Diamond = "diamond",
    }
}

named! {
    /// What a thread does that finds nothing to take, or no room.
    Wait {
        /// Spins with the processor's pause hint.
        Hint = "hint",
        /// Gives its time slice away.
        Yield = "yield",
        /// Is put to sleep until it is woken.
        Block = "block",
    }
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The shape of the flow.
    pub scenario: Scenario,
    /// How both sides wait.
    pub wait: Wait,
    /// Events per publication.
    pub batch: usize,
    /// Slots of the ring, or of each channel.
    pub capacity: usize,
}

impl Scenario {
    /// Threads that publish.
    #[must_use]
    pub fn producers(self) -> u64 {
        match self {
            Self::Mpsc3 => 3,
            Self::Unicast | Self::Multicast | Self::Pipeline | Self::Diamond => 1,
        }
    }

    /// Bytes of an event.
    #[must_use]
    pub fn event_bytes(self) -> usize {
        match self {
            Self::Unicast | Self::Mpsc3 | Self::Multicast => 8,
            Self::Pipeline | Self::Diamond => 24,
        }
    }
}

impl Cell {
    /// The next number of events that divides into whole batches for every producer; never 0.
    #[must_use]
    pub fn whole_batches(&self, events: u64) -> u64 {
        let share = self.scenario.producers() * self.batch as u64;
        events.max(1).next_multiple_of(share)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, wait, batch, capacity } = self;
        write!(out, "{scenario}, {wait}, batch {batch}, capacity {capacity}")
    }
}

/// The one of `all` that displays as `name`; the error lists what there is.
pub(crate) fn find<T: Copy + fmt::Display>(all: &[T], name: &str) -> Result<T, String> {
    all.iter().copied().find(|one| one.to_string() == name).ok_or_else(|| {
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        format!("unknown name `{name}`; known are: {}", known.join(", "))
    })
}
