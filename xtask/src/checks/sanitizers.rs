//! `cargo xtask sanitizers`: the real program under instruments that watch every access.
//!
//! | instrument | what it watches | what runs under it |
//! |---|---|---|
//! | valgrind | memory, leaks | the `orders` example |
//! | `AddressSanitizer` | memory, leaks | the stress machine |
//! | `ThreadSanitizer` | data races | the stress machine |
//! | Miri | undefined behaviour, aliasing, races, weak memory | `tests/small.rs`, several seeds |
//!
//! valgrind must be there. The others need a nightly toolchain with certain components; where one is
//! missing, the check says which instrument was left out and why.

use std::{path::Path, process::Command};

use crate::{command, project::Project};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Enough for some hundred rings; longer runs are a matter of one command.
const STRESS: [&str; 8] =
    ["run", "--quiet", "--release", "--package", "stress", "--", "--seconds", "15"];
/// Executions of each small test with different schedules and stale values.
const MIRI_FLAGS: &str = "-Zmiri-many-seeds=0..16";

pub fn run(project: &Project) -> Result<String, String> {
    valgrind(project)?;
    let instruments: [(&str, &str, Run); 3] = [
        ("AddressSanitizer", "rustc", address),
        ("ThreadSanitizer", "rust-src", thread),
        ("Miri", "miri", miri),
    ];
    let (mut ran, mut left_out) = (vec!["valgrind"], Vec::new());
    for (name, component, run) in instruments {
        match missing(component) {
            None => {
                run(project)?;
                ran.push(name);
            }
            Some(reason) => left_out.push(format!("{name} ({reason})")),
        }
    }
    let left_out = match &left_out[..] {
        [] => String::new(),
        names => format!(" LEFT OUT: {}.", names.join(", ")),
    };
    Ok(format!("Clean under {}.{left_out}", ran.join(", ")))
}

type Run = fn(&Project) -> Result<(), String>;

fn valgrind(project: &Project) -> Result<(), String> {
    // Not optimised: optimised code may look at a value before it knows that it will need it, which
    // valgrind takes for a use of uninitialised memory.
    command::run(&mut project.cargo(&["build", "--example", "orders"]))?;
    let orders = project.built("debug/examples/orders")?;
    let mut valgrind = Command::new("valgrind");
    // What is possibly lost is what the standard library keeps for the life of a thread.
    valgrind
        .args(["--quiet", "--error-exitcode=9", "--leak-check=full"])
        .args(["--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"])
        .arg(orders)
        .args(["--events", "5000", "--producers", "2"]);
    command::run(&mut valgrind)
        .map_err(|error| format!("{error}\n(valgrind is in the package of that name)"))
}

fn address(project: &Project) -> Result<(), String> {
    command::run(
        nightly(project, &STRESS)
            .env("RUSTFLAGS", "-Zsanitizer=address")
            .env("CARGO_BUILD_TARGET", TARGET)
            .env("CARGO_TARGET_DIR", project.built("asan")?),
    )
}

fn thread(project: &Project) -> Result<(), String> {
    // The standard library has to be built with it, or it reports the library's own locks.
    command::run(
        nightly(project, &STRESS)
            .env("RUSTFLAGS", "-Zsanitizer=thread")
            .env("CARGO_UNSTABLE_BUILD_STD", "std")
            .env("CARGO_BUILD_TARGET", TARGET)
            .env("CARGO_TARGET_DIR", project.built("tsan")?),
    )
}

fn miri(project: &Project) -> Result<(), String> {
    command::run(
        nightly(project, &["miri", "test", "--test", "small"])
            .env("MIRIFLAGS", MIRI_FLAGS)
            .env("CARGO_TARGET_DIR", project.built("miri")?),
    )
}

/// The nightly `cargo`, whatever toolchain runs this program.
fn nightly(project: &Project, arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command
        .current_dir(project.path("."))
        .args(["run", "nightly", "cargo"])
        .args(arguments)
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Why this component of the nightly toolchain cannot be used, if it cannot.
fn missing(component: &str) -> Option<String> {
    if std::env::consts::ARCH != "x86_64" || std::env::consts::OS != "linux" {
        return Some("only known to work on 64-bit Linux on x86".to_owned());
    }
    let Ok(sysroot) = command::output(
        Command::new("rustup")
            .args(["run", "nightly", "rustc", "--print", "sysroot"])
            .env_remove("RUSTUP_TOOLCHAIN"),
    ) else {
        return Some("no nightly toolchain".to_owned());
    };
    let part = match component {
        "rust-src" => "lib/rustlib/src/rust/library/std",
        "miri" => "bin/cargo-miri",
        _ => "bin/rustc",
    };
    let is_there = Path::new(sysroot.trim()).join(part).exists();
    (!is_there).then(|| format!("the nightly toolchain has no {component}"))
}
