//! What is read of each machine.

mod common;

use std::path::Path;

use common::{
    Tree, container_legacy, container_unified, half_missing, laptop, server, server_by_default,
};
use slipring_placement::{Machine, Placement, Quota, examine};

fn read(tree: &Tree) -> Machine {
    Machine::read(tree.root())
}

#[test]
fn a_laptop_has_fast_and_slow_cores() {
    let machine = read(&laptop());
    assert_eq!(machine.online().to_string(), "0-11");
    assert_eq!(machine.cores[&3].siblings.to_string(), "2-3");
    assert_eq!(machine.cores[&9].siblings.to_string(), "9");
    assert_eq!(machine.cores[&9].cache.to_string(), "0-11");
    assert_eq!(machine.slow().to_string(), "8-11");
    assert_eq!(machine.interrupted().to_string(), "2");
    assert_eq!(machine.cores[&0].governor.as_deref(), Some("powersave"));
    assert_eq!(machine.cores[&0].idle[0].exit_us, 890);
    assert_eq!(machine.system.is_guest, Some(false));
    assert_eq!(machine.system.pages.transparent.as_deref(), Some("always"));
    assert_eq!(machine.quota, Quota::Unlimited);
    // What only other processors have, or nobody had to say.
    assert_eq!(machine.unknown(), [""; 0]);
    assert_eq!(
        machine.to_string(),
        "12 cores (8 physical), 1 package, 1 NUMA node; this process may use all of them"
    );
}

#[test]
fn a_capacity_tells_slow_cores_too() {
    let tree = Tree::new();
    tree.file("sys/devices/system/cpu/online", "0-1");
    tree.file("sys/devices/system/cpu/cpu0/cpu_capacity", 446);
    tree.file("sys/devices/system/cpu/cpu1/cpu_capacity", 1024);
    let machine = read(&tree);
    assert_eq!(machine.slow().to_string(), "0");
}

#[test]
fn a_server_has_nodes_and_isolated_cores() {
    let machine = read(&server());
    assert_eq!(machine.isolated.as_ref().expect("it is read").to_string(), "2-3,6-7,10-11,14-15");
    assert_eq!(machine.tickless, machine.isolated);
    assert_eq!((machine.cores[&3].node, machine.cores[&12].node), (Some(0), Some(1)));
    assert_eq!(machine.cores[&12].siblings.to_string(), "4,12");
    assert!(machine.isolated_out_of_reach().is_empty());
    assert_eq!(machine.interrupts.as_ref().expect("it is read").len(), 1);
    assert_eq!(machine.interrupts_taken()[&1], 800_000);

    let machine = read(&server_by_default());
    assert_eq!(machine.usable().to_string(), "0-1,4-5,8-9,12-13");
    assert_eq!(machine.isolated_out_of_reach().to_string(), "2-3,6-7,10-11,14-15");
}

#[test]
fn a_quota_is_found_in_both_versions_and_in_a_group_above() {
    for (tree, file, throttled) in [
        (container_unified(), "/sys/fs/cgroup/pod/cpu.max", 12),
        (container_legacy(), "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", 0),
    ] {
        let machine = read(&tree);
        let Quota::Limited(limit) = &machine.quota else { panic!("{:?}", machine.quota) };
        assert_eq!((limit.cores().to_string().as_str(), limit.busy_threads()), ("1.5", 1));
        assert_eq!((limit.file.as_str(), limit.throttled), (file, Some(throttled)));
        assert_eq!(machine.cpuset.as_ref().expect("it is read").to_string(), "2-5");
        assert_eq!(machine.usable().to_string(), "2-5");
        assert!(
            machine.to_string().ends_with("may use 2-5, for the time of 1.5 cores"),
            "{machine}"
        );
    }
}

#[test]
fn the_smallest_quota_counts() {
    let tree = container_unified();
    tree.file("sys/fs/cgroup/pod/app/cpu.max", "20000 10000");
    let Quota::Limited(limit) = read(&tree).quota else { panic!("there is one") };
    assert_eq!(limit.cores().to_string(), "1.5");
    tree.file("sys/fs/cgroup/pod/app/cpu.max", "5000 10000");
    let Quota::Limited(limit) = read(&tree).quota else { panic!("there is one") };
    assert_eq!(limit.cores().to_string(), "0.5");
}

#[test]
fn a_cpuset_limits_where_the_affinity_is_unknown() {
    let tree = container_unified();
    tree.without("proc/self/status");
    let machine = read(&tree);
    assert_eq!(machine.unknown(), ["affinity"]);
    assert_eq!(machine.usable().to_string(), "2-5");
}

#[test]
fn what_is_missing_or_damaged_is_unknown() {
    let machine = read(&half_missing());
    // The list is damaged; the folders tell.
    assert_eq!(machine.online().to_string(), "0-3");
    assert_eq!(machine.usable().to_string(), "0-3");
    assert_eq!(machine.quota, Quota::Unknown);
    let unknown = machine.unknown();
    for what in ["affinity", "quota", "SMT siblings", "shared caches", "NUMA nodes", "interrupts"] {
        assert!(unknown.contains(&what), "{what} is not in {unknown:?}");
    }
    assert!(!unknown.contains(&"cores"));
    assert_eq!(examine(&machine), []);
    assert_eq!(Placement::on(&machine, ["a", "b"]).cores("b"), [2]);
}

#[test]
fn nothing_at_all_is_a_machine_of_which_nothing_is_known() {
    for root in [Tree::new().root(), Path::new("/nowhere/at/all")] {
        let machine = Machine::read(root);
        assert_eq!(machine, Machine::default());
        assert_eq!(machine.to_string(), "a machine whose cores are unknown");
        assert_eq!(machine.unknown().len(), 20);
        assert_eq!(examine(&machine), []);
    }
}

#[test]
fn any_file_may_be_missing() {
    for make in [server, container_unified, container_legacy] {
        let mut files = Vec::new();
        list(make().root(), Path::new(""), &mut files);
        // One file of each kind: those of the cores are alike.
        files.retain(|file| !file.contains("/cpu1") && !file.contains("/cpu2"));
        assert!(files.len() > 30);
        let tree = make();
        for file in files {
            let text = std::fs::read_to_string(tree.root().join(&file)).expect("it is text");
            for damage in ["", "99999999999999999999", "0-4000000000"] {
                tree.file(&file, damage);
                check(&tree);
            }
            tree.without(&file);
            check(&tree);
            tree.file(&file, text.trim_end());
        }
    }
}

fn check(tree: &Tree) {
    let machine = read(tree);
    let plan = Placement::on(&machine, ["a", "b", "c"]);
    let text = format!("{machine}{plan}{:?}", machine.unknown());
    assert!(!text.is_empty() && plan.seats().len() == 3);
    for finding in examine(&machine) {
        assert!(!finding.to_string().is_empty());
    }
}

fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(root.join(folder)).expect("it is there").flatten() {
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            list(root, &path, files);
        } else {
            files.push(path.to_str().expect("it is UTF-8").to_owned());
        }
    }
}

#[test]
fn this_machine_can_be_read() {
    let machine = Machine::here();
    let plan = Placement::auto(["producer", "station"]);
    for core in plan.seats().iter().filter_map(slipring_placement::Seat::core) {
        assert!(machine.usable().contains(core));
    }
}
