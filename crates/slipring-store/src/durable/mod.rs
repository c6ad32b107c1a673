//! Handling that survives the program: what was handled, what was given up, and how far a handler is.

mod handler;
mod inbox;
mod letters;

pub use handler::StoreCheckpoint;
pub use inbox::{InboxError, Once, Output, StoreInbox};
pub use letters::StoreLetters;
