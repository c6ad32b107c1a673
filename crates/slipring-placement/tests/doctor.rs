//! What is found on each machine.

mod common;

use common::{Tree, container_legacy, container_unified, laptop, server, server_by_default};
use slipring_placement::{Finding, Machine, Severity, examine};

fn findings(tree: &Tree) -> Vec<Finding> {
    examine(&Machine::read(tree.root()))
}

fn names(tree: &Tree, severity: Severity) -> Vec<&'static str> {
    let of = |finding: Finding| (finding.severity == severity).then_some(finding.name);
    findings(tree).into_iter().filter_map(of).collect()
}

fn named(tree: &Tree, name: &str) -> Finding {
    let found = findings(tree).into_iter().find(|finding| finding.name == name);
    found.unwrap_or_else(|| panic!("{name} is not found"))
}

#[test]
fn a_laptop_saves_power() {
    let tree = laptop();
    assert_eq!(names(&tree, Severity::Severe), [""; 0]);
    let warnings = ["smt", "interrupts", "governor", "idle-states", "transparent-pages", "swap"];
    assert_eq!(names(&tree, Severity::Warning), warnings);
    assert_eq!(names(&tree, Severity::Note), ["isolation"]);
    assert_eq!(named(&tree, "governor").what, "`powersave` on 0-11");
    assert_eq!(named(&tree, "smt").what, "0-7 are threads of physical cores that have two or more");
    let isolation = named(&tree, "isolation");
    assert!(isolation.mend[0].ends_with("isolcpus=2-11 nohz_full=2-11 rcu_nocbs=2-11"));
}

#[test]
fn the_worst_comes_first_and_each_says_why_and_what_to_do() {
    for tree in [laptop(), server(), container_unified()] {
        let findings = findings(&tree);
        assert!(findings.is_sorted_by_key(|finding| finding.severity));
        for finding in findings {
            assert!(finding.why.ends_with('.') && !finding.mend.is_empty(), "{finding}");
        }
    }
}

#[test]
fn a_governor_that_stays_at_the_lowest_frequency_is_severe() {
    let tree = laptop();
    tree.file("sys/devices/system/cpu/cpu9/cpufreq/scaling_driver", "acpi-cpufreq");
    assert_eq!(named(&tree, "governor").severity, Severity::Severe);
}

#[test]
fn a_server_that_was_set_up_has_little_to_mend() {
    let tree = server();
    assert_eq!(names(&tree, Severity::Severe), [""; 0]);
    assert_eq!(names(&tree, Severity::Warning), ["smt"]);
    assert_eq!(names(&tree, Severity::Note), [""; 0]);
}

#[test]
fn isolated_cores_that_nobody_asked_for_are_found() {
    let finding = named(&server_by_default(), "isolated-unused");
    assert_eq!(finding.mend, ["taskset -c 0-15 PROGRAM"]);
}

#[test]
fn isolation_that_leaks_is_found() {
    let tree = server();
    tree.file("sys/devices/system/cpu/isolated", "1-3");
    tree.file("sys/devices/system/cpu/nohz_full", "2-3");
    assert_eq!(
        named(&tree, "half-isolated").what,
        "9-11 not isolated, but siblings of cores that are"
    );
    assert_eq!(named(&tree, "tick").what, "1 isolated, but with a timer tick");
    let interrupts = named(&tree, "interrupts");
    assert_eq!(interrupts.what, "since the start, on 1-3: 120 (eth0-rx-0) 800010 times");
    assert_eq!(interrupts.mend[1], "echo 0 | sudo tee /proc/irq/120/smp_affinity_list");
    tree.file("proc/irq/120/smp_affinity_list", "0,8");
    assert!(findings(&tree).iter().all(|finding| finding.name != "interrupts"));
}

#[test]
fn a_quota_is_severe_if_two_threads_cannot_spin_or_if_it_was_used_up() {
    let unified = named(&container_unified(), "quota");
    assert_eq!(unified.severity, Severity::Severe);
    assert_eq!(
        unified.what,
        "the time of 1.5 cores in /sys/fs/cgroup/pod/cpu.max; used up in 12 periods so far"
    );
    assert_eq!(unified.mend[0], "echo max | sudo tee /sys/fs/cgroup/pod/cpu.max");
    let legacy = named(&container_legacy(), "quota");
    assert_eq!(legacy.severity, Severity::Severe);
    assert!(legacy.mend[0].starts_with("echo -1 | sudo tee /sys/fs/cgroup/cpu,cpuacct/"));

    let tree = container_legacy();
    let grant = |us: u32| tree.file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", us);
    grant(150_000);
    assert_eq!(named(&tree, "quota").severity, Severity::Warning);
    tree.file("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_throttled 1");
    assert_eq!(named(&tree, "quota").severity, Severity::Severe);
    tree.file("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_throttled 0");
    // As much as the four cores have.
    grant(200_000);
    assert!(findings(&tree).iter().all(|finding| finding.name != "quota"));
}

#[test]
fn one_core_or_two_threads_of_one_are_severe() {
    let tree = laptop();
    tree.file("proc/self/status", "Cpus_allowed_list:\t4-5");
    assert_eq!(named(&tree, "smt").severity, Severity::Severe);
    tree.file("proc/self/status", "Cpus_allowed_list:\t4");
    assert_eq!(named(&tree, "one-core").what, "this process may use core 4 and no other");
    assert_eq!(named(&tree, "smt").severity, Severity::Warning);
}

#[test]
fn settings_of_the_whole_system_are_found() {
    let tree = server();
    tree.file("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet")
        .file("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]")
        .file("sys/kernel/mm/transparent_hugepage/defrag", "[always] defer madvise never")
        .file("proc/meminfo", "HugePages_Total: 0")
        .file("proc/sys/kernel/numa_balancing", 1)
        .file("proc/loadavg", "15.5 1 1 1/2 3")
        .file("proc/cpuinfo", "flags : fpu hypervisor tsc")
        .file("proc/stat", "cpu  900 0 0 80 0 0 0 20 0 0");
    let warnings = ["smt", "clock", "stolen", "defrag", "numa-balancing"];
    assert_eq!(names(&tree, Severity::Warning), warnings);
    assert_eq!(names(&tree, Severity::Note), ["load", "guest", "huge-pages"]);
    assert!(named(&tree, "clock").mend[0].starts_with("echo tsc"));
    assert!(named(&tree, "stolen").what.contains("2.0 %"));
    tree.file("proc/loadavg", "16.5 1 1 1/2 3");
    assert_eq!(named(&tree, "load").severity, Severity::Warning);
}

#[test]
fn a_finding_is_shown_on_a_few_lines() {
    let text = named(&server_by_default(), "isolated-unused").to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("warning  isolated-unused: 2-3"), "{text}");
    assert!(lines[1].starts_with("         why   A program gets"), "{text}");
    assert_eq!(lines[2], "         mend  taskset -c 0-15 PROGRAM");
}
