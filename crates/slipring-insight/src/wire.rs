//! What is sent: JSON, a message a line; first a [`Hello`], then a snapshot of each ring each interval.

use serde::{Deserialize, Serialize};
use slipring::Snapshot;

/// Raised whenever an older client could misread what is sent.
pub(crate) const VERSION: u64 = 1;

/// No line is longer, in bytes: a snapshot has some 600 for each station, and some 60 for each figure that
/// the station tells.
pub(crate) const LINE_MAX: usize = 4 << 20;

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The first.
    Hello(Hello),
    /// The first and last: why there is nothing to see.
    Refused(String),
    Snapshot {
        /// Its place in [`Hello::rings`].
        ring: usize,
        snapshot: Box<Snapshot>,
    },
}

/// Who shows its rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hello {
    /// The version of what is sent.
    pub version: u64,
    /// The program's name.
    pub program: String,
    /// The names of the rings.
    pub rings: Vec<String>,
    /// The time from one snapshot to the next, in milliseconds.
    pub interval_ms: u64,
}

/// As much of a first line as every version has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FirstLine {
    Hello { version: u64 },
    Refused(String),
}

/// Appends a message with the end of its line.
pub(crate) fn append(lines: &mut Vec<u8>, message: &Message) {
    let before = lines.len();
    match serde_json::to_writer(&mut *lines, message) {
        Ok(()) => lines.push(b'\n'),
        // Nothing in a message can fail to be written; half a line would be worse than none.
        Err(_) => lines.truncate(before),
    }
}
