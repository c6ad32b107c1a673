//! The library, with every fault of `faults.rs` in it. One of them is awake in a process: the one
//! that the variable `PLANTED` names. The build script makes these sources.

// They are judged where they are written, and what is planted in them is wrong by design.
#![allow(warnings, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/src/lib.rs"));

/// Whether this fault is awake.
pub fn is_planted(fault: &str) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let planted = PLANTED.get_or_init(|| std::env::var("PLANTED").ok());
    planted.as_deref() == Some(fault)
}
