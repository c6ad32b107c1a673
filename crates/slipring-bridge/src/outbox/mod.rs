//! From a store, or a ring, to a broker.
//!
//! A thread reads the store and picks; a task in another one sends, and writes down how far the broker has confirmed.

mod books;
mod builder;
mod error;
mod flow;
mod handle;
mod letters;
mod reader;
mod ring;
mod selection;
mod window;

pub use builder::{BeginAt, Outbox, OutboxBuilder};
pub use error::{NotConfirmed, OutboxHalt, StartError};
pub(crate) use error::{check_name, may_mend};
pub use handle::{OutboxHandle, OutboxReport, OutboxState, OutboxStatus};
pub(crate) use handle::{PATIENCE_OF_DROP, join_until};
pub use letters::{OutboxLetter, OutboxLetters};
pub use ring::{RingOutbox, RingOutboxHandle, WhenUnsendable};
