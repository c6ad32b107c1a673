//! Copies the library's sources and plants every fault of `faults.rs` in the copy:
//!
//! ```text
//! { if crate::is_planted("its name") { broken } else { original } }
//! ```
//!
//! So one build holds them all, and the sources themselves know nothing of it.

#[allow(dead_code, reason = "what it takes to catch a fault is the test's affair")]
mod faults;

use std::{
    env,
    fmt::Write as _,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use faults::{FAULTS, Fault};

const SOURCES: &str = "../../src";
/// A protocol of slipring-events that a model looks at, and what faults call it.
const HANDOVER: &str = "../../crates/slipring-events/src/inline/handover.rs";
const HANDOVER_HERE: &str = "events/handover.rs";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(loom)");
    // The library's own, which are never on here.
    println!("cargo::rustc-check-cfg=cfg(feature, values(\"serde\", \"tracing\"))");
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rerun-if-changed={SOURCES}");
    println!("cargo::rerun-if-changed={HANDOVER}");
    println!("cargo::rerun-if-changed=faults.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names the folder"));
    let out = folder.join("src");
    let _ = fs::remove_dir_all(&out);
    copy(Path::new(SOURCES), Path::new(""), &out).expect("the sources can be copied");
    // An included file has no inner documentation.
    let handover = fs::read_to_string(HANDOVER).expect("it is there").replace("//!", "//");
    fs::create_dir_all(folder.join("events")).expect("there is room");
    fs::write(folder.join(HANDOVER_HERE), planted(&handover, HANDOVER_HERE))
        .expect("there is room");
    for Fault { name, file, .. } in FAULTS {
        assert!(
            *file == HANDOVER_HERE || out.join(file).exists(),
            "{name}: there is no src/{file}"
        );
    }
}

fn copy(root: &Path, folder: &Path, out: &Path) -> io::Result<()> {
    fs::create_dir_all(out.join(folder))?;
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(root, &path, out)?;
        } else {
            let name = path.to_string_lossy().replace('\\', "/");
            let mut text = fs::read_to_string(entry.path())?;
            if name == "lib.rs" {
                // An included file has no inner documentation.
                text = text.replace("//!", "//");
            }
            fs::write(out.join(&path), planted(&text, &name))?;
        }
    }
    Ok(())
}

/// The text of a file with all its faults.
fn planted(text: &str, file: &str) -> String {
    let mut places: Vec<(Range<usize>, Vec<&Fault>)> = Vec::new();
    for fault in FAULTS.iter().filter(|fault| fault.file == file) {
        let place = place(text, fault);
        match places.iter_mut().find(|(other, _)| *other == place) {
            Some((_, faults)) => faults.push(fault),
            None => places.push((place, vec![fault])),
        }
    }
    places.sort_by_key(|(place, _)| place.start);
    let (mut planted, mut done) = (String::new(), 0);
    for (place, faults) in places {
        let names: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
        assert!(done <= place.start, "{names:?} and one before want overlapping texts: {file}");
        planted += &text[done..place.start];
        planted += "{ ";
        for Fault { name, broken, .. } in faults {
            write!(planted, "if crate::is_planted({name:?}) {{ {broken} }} else ").expect("memory");
        }
        write!(planted, "{{ {} }} }}", &text[place.clone()]).expect("memory");
        done = place.end;
    }
    planted + &text[done..]
}

/// Where a fault's text stands. Layout and comments do not count.
fn place(text: &str, fault: &Fault) -> Range<usize> {
    let code: Vec<(usize, char)> = code(text).collect();
    let wanted: Vec<char> = fault.text.chars().filter(|char| !char.is_whitespace()).collect();
    let is_there = |window: &&[(usize, char)]| window.iter().map(|(_, char)| char).eq(&wanted);
    let found: Vec<_> = code.windows(wanted.len()).filter(is_there).collect();
    let [window] = found[..] else {
        let Fault { name, file, text, .. } = fault;
        panic!("{name}: stale: its text stands {} times in src/{file}: {text}", found.len());
    };
    let last = window[window.len() - 1];
    window[0].0..last.0 + last.1.len_utf8()
}

/// The characters that are neither white space nor part of a comment, with their places.
fn code(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut start = 0;
    text.split_inclusive('\n').flat_map(move |line| {
        let at = start;
        start += line.len();
        let is_comment =
            |place: &usize| line[..*place].chars().next_back().is_none_or(char::is_whitespace);
        let end =
            line.match_indices("//").map(|(place, _)| place).find(is_comment).unwrap_or(line.len());
        let code = line[..end].char_indices().filter(|(_, char)| !char.is_whitespace());
        code.map(move |(place, char)| (at + place, char))
    })
}
