//! `slipring doctor`, as it is called from a shell, on machines that are trees of files.

#[path = "../../slipring-placement/tests/common/mod.rs"]
mod common;

use std::{
    path::Path,
    process::{Command, Output},
};

use common::{Tree, container_unified, half_missing, laptop, server, server_by_default};
use serde_json::Value;

fn doctor(root: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.arg("doctor").arg("--root").arg(root).args(line.split_whitespace());
    command.output().expect("the program is there")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes UTF-8")
}

#[test]
fn findings_say_what_why_and_how_to_mend_it() {
    let output = doctor(laptop().root(), "");
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    for part in [
        "12 cores (8 physical), 1 package, 1 NUMA node; this process may use all of them\n\nwarning  ",
        "\n\nwarning  governor: `powersave` on 0-11\n         why   The frequency follows the load",
        "\n         mend  sudo swapoff -a\n",
        "\n0 severe, 6 warnings, 1 note.\n",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    assert!(!shown.contains("Unknown here"), "{shown}");
}

#[test]
fn what_is_severe_makes_the_exit_code_1() {
    let tree = container_unified();
    for line in ["", "--json"] {
        assert_eq!(doctor(tree.root(), line).status.code(), Some(1));
    }
}

#[test]
fn a_plan_has_a_line_for_each_thread() {
    let output = doctor(server().root(), "--stations producer,risk,price,price");
    let shown = text(&output.stdout);
    for part in [
        "\nproducer   core 2: isolated, without a timer tick; ",
        "\nprice 1/2  core ",
        "\nprice 2/2  core ",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    let counted = text(&doctor(server_by_default().root(), "--stations 2").stdout);
    for part in ["\nproducer   core 4: ", "\nstation-2  core ", "\nIsolated, but not in"] {
        assert!(counted.contains(part), "{part:?} is not in\n{counted}");
    }
}

#[test]
fn json_has_the_same_for_other_programs() {
    let output = doctor(container_unified().root(), "--json --stations producer,ledger");
    let value: Value = serde_json::from_slice(&output.stdout).expect("nothing else is written");
    assert_eq!(value["usable"], "2-5");
    assert_eq!(value["findings"][0]["severity"], "severe");
    assert_eq!(value["findings"][0]["name"], "quota");
    let mend = "echo max | sudo tee /sys/fs/cgroup/pod/cpu.max";
    assert_eq!(value["findings"][0]["mend"][0], mend);
    assert_eq!(value["plan"]["threads"][0]["core"], 2);
    assert_eq!(value["plan"]["threads"][1]["name"], "ledger");
    assert_eq!(value["plan"]["threads"][1]["core"], Value::Null);
    let without: Value = serde_json::from_slice(&doctor(laptop().root(), "--json").stdout)
        .expect("nothing else is written");
    assert_eq!(without["plan"], Value::Null);
}

#[test]
fn what_cannot_be_read_is_unknown_and_no_failure() {
    for tree in [half_missing(), Tree::new()] {
        let output = doctor(tree.root(), "--stations 3");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("Unknown here: "));
    }
}

#[test]
fn bad_options_say_what_would_be_good() {
    let tree = laptop();
    for (line, advice) in [
        ("--stations 0", "use 1 to 1024"),
        ("--stations 99999", "use 1 to 1024"),
        ("--stations a,,b", "producer,risk,ledger"),
        ("--governor", "unexpected argument"),
    ] {
        let output = doctor(tree.root(), line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(text(&output.stderr).contains(advice), "{line}: {}", text(&output.stderr));
    }
    let output = doctor(Path::new("/nowhere/at/all"), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nowhere/at/all is no folder"));
}

#[test]
fn this_machine_can_be_examined() {
    let output = doctor(Path::new("/"), "--stations 3");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output.stderr));
}
