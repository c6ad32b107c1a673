//! `slipring store`, as it is called from a shell.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use slipring_events::Time;
use slipring_store::{Batch, Checkpoint, Durability, Embedded, Entry, EventStore};

/// A store of ten events, one a second, in a directory that is removed with it.
struct Tree {
    directory: tempfile::TempDir,
}

const START: &str = "2026-03-01T00:00:00Z";

fn at(second: u64) -> Time {
    let start: Time = START.parse().expect("it is a time");
    start.saturating_add(Duration::from_secs(second))
}

impl Tree {
    fn empty() -> Self {
        Self { directory: tempfile::tempdir().expect("there is room") }
    }

    fn with_orders() -> Self {
        let tree = Self::empty();
        let store = Embedded::open(tree.store()).expect("it can be made");
        let mut batch = Batch::new();
        for number in 0..10_u64 {
            let topic = if number % 2 == 0 { "order.created" } else { "order.paid.late" };
            let payload = format!("{{\"order\":{number}}}");
            let entry = Entry::at(at(number), topic, &payload).stream("order-7");
            batch.append(entry).expect("it is an event");
        }
        Checkpoint::named("mail").put(&mut batch, 4);
        store.commit(&batch, Durability::Synced).expect("it is taken");
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("orders")
    }

    /// The command with the store behind its name.
    fn run(&self, command: &str, rest: &str) -> Output {
        slipring(command, &self.store(), rest).output().expect("the program is there")
    }

    /// What it writes when all is well.
    fn lines(&self, command: &str, rest: &str) -> Vec<String> {
        let output = self.run(command, rest);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(str::to_owned).collect()
    }

    fn positions(&self, command: &str, rest: &str) -> Vec<u64> {
        let lines = self.lines(command, rest);
        let position = |line: &String| {
            let line: Value = serde_json::from_str(line).expect("it is JSON");
            line["position"].as_u64().expect("it has a position")
        };
        lines.iter().map(position).collect()
    }
}

fn slipring(command: &str, store: &Path, rest: &str) -> Command {
    let mut slipring = Command::new(env!("CARGO_BIN_EXE_slipring"));
    slipring.args(["store", command]).arg(store).args(rest.split_whitespace());
    slipring.stdin(Stdio::null());
    slipring
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes UTF-8")
}

/// What is refused, with that exit code.
fn refused(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn it_is_told_what_is_in_a_store() {
    let tree = Tree::with_orders();
    let shown = tree.lines("inspect", "").join("\n");
    for part in [
        "events       10, from position 0 to before 10",
        "durable      to before 10",
        "  order.created: 5 events, the first at 2026-03-01T00:00:00.000000000Z",
        "  mail at 4, 6 behind",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    let json: Value =
        serde_json::from_str(&tree.lines("inspect", "--json").join("\n")).expect("it is JSON");
    assert_eq!(json["end"], 10);
    assert_eq!(json["topics"][1]["topic"], "order.paid.late");
    assert_eq!(json["checkpoints"][0]["behind"], 6);
}

#[test]
fn events_are_found_by_topic_and_time_with_both_ends() {
    let tree = Tree::with_orders();
    assert_eq!(tree.positions("query", "--topic order.created"), [0, 2, 4, 6, 8]);
    assert_eq!(tree.positions("query", "--topic order.* --limit 2"), [0, 2]);
    let within = "--topic order.# --from 2026-03-01T00:00:03Z --to 2026-03-01T00:00:05Z";
    assert_eq!(tree.positions("query", within), [3, 4, 5]);
    assert_eq!(tree.positions("query", "--from 2026-03-02T00:00:00Z"), [0; 0]);
    let short = tree.lines("query", "--limit 1 --form short");
    let line = "       0  2026-03-01T00:00:00.000000000Z  order.created  order-7/0  {\"order\":0}";
    assert_eq!(short, [line]);
}

#[test]
fn the_last_events_are_shown_or_those_from_somewhere_on() {
    let tree = Tree::with_orders();
    assert_eq!(tree.positions("tail", "-n 3"), [7, 8, 9]);
    assert_eq!(tree.positions("tail", "-n 100"), (0..10).collect::<Vec<_>>());
    assert_eq!(tree.positions("tail", "--from 10"), [0; 0]);
    let beyond = refused(&tree.run("tail", "--from 11"), 2);
    assert_eq!(beyond, "error: the store ends before 10, and 11 was asked for\n");
}

#[test]
fn a_copy_by_lines_is_the_same() {
    let tree = Tree::with_orders();
    let file = tree.path("orders.jsonl");
    let name = file.to_str().expect("it is a text");
    tree.lines("export", name);
    let copy = tree.path("copy");
    let imported = slipring("import", &copy, &format!("{name} --batch 3")).output();
    let imported = imported.expect("the program is there");
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    let exported = slipring("export", &copy, "").output().expect("the program is there");
    assert_eq!(text(&exported.stdout), fs::read_to_string(&file).expect("it was written"));
    assert_eq!(tree.positions("export", "- --from 3 --to 5"), [3, 4]);
}

#[test]
fn an_import_that_stops_says_where_to_go_on() {
    let tree = Tree::with_orders();
    let mut lines = tree.lines("export", "");
    lines.insert(4, "{\"id\":7}".to_owned());
    let file = tree.path("orders.jsonl");
    fs::write(&file, lines.join("\n")).expect("there is room");
    let copy = tree.path("copy");
    let import = |rest: &str| {
        let rest = format!("{} {rest}", file.display());
        slipring("import", &copy, &rest).output().expect("the program is there")
    };
    let why = refused(&import("--batch 2"), 2);
    assert!(
        why.contains("orders.jsonl, line 5 (lines 1 to 4 are stored: go on with --skip 4): "),
        "{why}"
    );
    assert!(why.contains("column 7: "), "{why}");
    let rest = import("--skip 5");
    assert!(rest.status.success(), "{}", text(&rest.stderr));
    assert_eq!(text(&rest.stderr), format!("6 events into {}\n", copy.display()));
    let copied = Embedded::open(&copy).expect("it is there").bounds().expect("it can be read");
    assert_eq!((copied.first, copied.end), (0, 10));
}

#[test]
fn a_replay_writes_everything_and_says_what_it_was() {
    let tree = Tree::with_orders();
    assert_eq!(tree.positions("replay", ""), (0..10).collect::<Vec<_>>());
    // Ten seconds in a tenth of a millisecond.
    assert_eq!(tree.positions("replay", "--speed 100000 --from 2 --to 4"), [2, 3]);
    assert_eq!(tree.positions("replay", "--since 2026-03-01T00:00:08Z"), [8, 9]);
    let silent = tree.run("replay", "--silent");
    assert!(silent.stdout.is_empty());
    let told = text(&silent.stderr);
    for part in ["10 events, 110 bytes of what happened, ", "         5  order.paid.late\n"] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
}

#[test]
fn what_need_not_be_kept_goes_and_gives_its_room_back() {
    let tree = Tree::with_orders();
    let kept = tree.lines("retain", "--events 0");
    assert_eq!(
        kept,
        ["0 events removed; the first is now 0", "more is kept for checkpoint `mail`"]
    );
    let refused = refused(&tree.run("retain", ""), 2);
    assert!(refused.contains("--age") && refused.contains("--events"), "{refused}");
    let compacted = tree.lines("compact", "").join("\n");
    assert!(compacted.contains(" bytes before, "), "{compacted}");
    assert_eq!(tree.positions("export", "").len(), 10);
}

#[test]
fn damage_is_found_and_makes_the_exit_code_1() {
    let tree = Tree::with_orders();
    let sound = tree.run("verify", "");
    assert!(sound.status.success(), "{}", text(&sound.stderr));
    let file = tree.store().join("events.redb");
    let mut bytes = fs::read(&file).expect("it is there");
    let event =
        bytes.windows(11).position(|part| part == b"{\"order\":3}").expect("it is in there");
    bytes[event + 9] ^= 1;
    fs::write(&file, bytes).expect("there is room");
    let why = refused(&tree.run("verify", ""), 1);
    assert!(why.contains("damaged"), "{why}");
    assert!(refused(&tree.run("export", ""), 1).contains("damaged"));
}

#[test]
fn what_is_no_store_is_not_made_one() {
    let tree = Tree::empty();
    for command in ["inspect", "query", "tail", "verify", "export", "replay", "compact"] {
        let why = refused(&tree.run(command, ""), 2);
        assert!(why.contains(&*tree.store().to_string_lossy()), "{why}");
        assert!(!tree.store().exists());
        fs::create_dir(tree.store()).expect("there is room");
        let why = refused(&tree.run(command, ""), 2);
        assert!(why.contains("is no store"), "{why}");
        fs::remove_dir(tree.store()).expect("nothing was put into it");
    }
    let wrong = slipring("inspect", Path::new("http://localhost#orders"), "").output();
    assert!(refused(&wrong.expect("the program is there"), 2).contains("redis://HOST:PORT#NAME"));
}

#[test]
fn a_store_that_is_open_elsewhere_is_left_alone() {
    let tree = Tree::with_orders();
    let _open = Embedded::open(tree.store()).expect("it is there");
    assert!(refused(&tree.run("inspect", ""), 2).contains("is in use"));
}

#[test]
fn whoever_reads_may_stop_before_the_end() {
    let tree = Tree::with_orders();
    let store = Embedded::open(tree.store()).expect("it is there");
    let mut batch = Batch::new();
    for _ in 0..20_000 {
        batch.append(Entry::at(at(9), "order.created", "1")).expect("it is an event");
    }
    store.commit(&batch, Durability::Synced).expect("it is taken");
    drop(store);
    let mut child = slipring("export", &tree.store(), "")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is there");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn lines_come_from_a_pipe_too() {
    let tree = Tree::with_orders();
    let lines = tree.lines("export", "").join("\n");
    let copy = tree.path("copy");
    let mut child = slipring("import", &copy, "")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is there");
    child.stdin.take().expect("it is a pipe").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), format!("10 events into {}\n", copy.display()));
}
