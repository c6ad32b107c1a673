//! Gives this package, and no other, the model checker's face; and the models what they look at besides the library.

use std::{env, fs, path::PathBuf};

/// A protocol of slipring-events, which has no sources of its own here.
const HANDOVER: &str = "../crates/slipring-events/src/inline/handover.rs";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(loom)");
    // The library's own, which are never on here.
    println!("cargo::rustc-check-cfg=cfg(feature, values(\"serde\", \"tracing\"))");
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rerun-if-changed={HANDOVER}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names the folder"));
    // An included file has no inner documentation.
    let text = fs::read_to_string(HANDOVER).expect("it is there").replace("//!", "//");
    fs::create_dir_all(out.join("events")).expect("there is room");
    fs::write(out.join("events/handover.rs"), text).expect("there is room");
}
