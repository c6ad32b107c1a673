//! Machines as trees of files in a temporary directory: what their kernels would say.

#![allow(dead_code)] // No test needs all of them.

use std::{fmt::Display, fs, ops::RangeInclusive, path::Path};

use tempfile::TempDir;

const CPU: &str = "sys/devices/system/cpu";
const FIELDS: &str = "1 0 0 0 0 0 0 0 0 0";

/// A `/proc` and a `/sys`.
pub struct Tree(TempDir);

impl Tree {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, path: &str, text: impl Display) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("there is room");
        fs::write(path, format!("{text}\n")).expect("there is room");
        self
    }

    pub fn without(&self, path: &str) -> &Self {
        let path = self.root().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            .expect("it is there");
        self
    }

    fn affinity(&self, cores: &str) -> &Self {
        self.file("proc/self/status", format!("Name:\tx\nCpus_allowed_list:\t{cores}"))
    }

    /// A core with its siblings, its cache, its package, and its highest frequency.
    fn core(&self, core: usize, siblings: &str, cache: &str, package: usize, khz: u64) -> &Self {
        let folder = format!("{CPU}/cpu{core}");
        self.file(&format!("{folder}/topology/thread_siblings_list"), siblings)
            .file(&format!("{folder}/topology/physical_package_id"), package)
            .file(&format!("{folder}/cache/index0/level"), 1)
            .file(&format!("{folder}/cache/index0/shared_cpu_list"), siblings)
            .file(&format!("{folder}/cache/index2/level"), 2)
            .file(&format!("{folder}/cache/index2/shared_cpu_list"), siblings)
            .file(&format!("{folder}/cache/index3/level"), 3)
            .file(&format!("{folder}/cache/index3/shared_cpu_list"), cache)
            .file(&format!("{folder}/cpufreq/cpuinfo_max_freq"), khz)
    }

    fn governor(&self, cores: RangeInclusive<usize>, governor: &str, driver: &str) -> &Self {
        for core in cores {
            let folder = format!("{CPU}/cpu{core}/cpufreq");
            self.file(&format!("{folder}/scaling_governor"), governor);
            self.file(&format!("{folder}/scaling_driver"), driver);
        }
        self
    }

    fn idle(&self, cores: RangeInclusive<usize>, name: &str, exit_us: u64) -> &Self {
        for core in cores {
            let state = format!("{CPU}/cpu{core}/cpuidle/state1");
            self.file(&format!("{state}/name"), name);
            self.file(&format!("{state}/latency"), exit_us);
            self.file(&format!("{state}/disable"), 0);
        }
        self
    }

    /// A row of counts for each interrupt, with its number and its device.
    fn interrupts(&self, cores: usize, rows: &[(u32, &str, &[u64])]) -> &Self {
        let header: Vec<String> = (0..cores).map(|core| format!("CPU{core}")).collect();
        let mut lines = vec![header.join(" ")];
        for (number, device, counts) in rows {
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            lines.push(format!("{number}: {} PCI-MSI 1-edge {device}", counts.join(" ")));
            self.file(&format!("proc/irq/{number}/smp_affinity_list"), format!("0-{}", cores - 1));
        }
        let between = vec!["9000000"; cores].join(" ");
        lines.push(format!("LOC: {between} Local timer interrupts"));
        self.file("proc/interrupts", lines.join("\n"))
    }

    /// What is the same everywhere, and harmless.
    fn system(&self) -> &Self {
        const CLOCK: &str = "sys/devices/system/clocksource/clocksource0";
        const PAGES: &str = "sys/kernel/mm/transparent_hugepage";
        self.file(&format!("{CLOCK}/current_clocksource"), "tsc")
            .file(&format!("{CLOCK}/available_clocksource"), "tsc hpet acpi_pm")
            .file(&format!("{PAGES}/enabled"), "always [madvise] never")
            .file(&format!("{PAGES}/defrag"), "always defer defer+madvise [madvise] never")
            .file("proc/meminfo", "MemTotal: 1 kB\nHugePages_Total:      64")
            .file("proc/swaps", "Filename Type Size Used Priority")
            .file("proc/sys/kernel/numa_balancing", 0)
            .file("proc/loadavg", "0.05 0.10 0.20 1/200 999")
            .file("proc/cpuinfo", "processor : 0\nflags\t\t: fpu tsc avx2")
            .file("proc/stat", format!("cpu  {FIELDS}\ncpu0 {FIELDS}"))
            .file(&format!("{CPU}/isolated"), "")
            .file(&format!("{CPU}/nohz_full"), "(null)")
    }

    /// Version 2, mounted where it always is; the process is in `group`.
    fn unified(&self, group: &str) -> &Self {
        let mount = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        self.file("proc/self/cgroup", format!("0::{group}"))
            .file("proc/self/mountinfo", format!("22 1 0:1 / /proc rw - proc proc rw\n{mount}"))
            .file("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory")
    }
}

/// Four fast cores of two threads each (0 to 7), four slow ones (8 to 11), one cache for all; set up to
/// save power.
pub fn laptop() -> Tree {
    let tree = Tree::new();
    tree.system().affinity("0-11").unified("/user.slice/session");
    tree.file("sys/fs/cgroup/cpuset.cpus.effective", "0-11");
    tree.file(&format!("{CPU}/online"), "0-11");
    tree.file("sys/devices/system/node/node0/cpulist", "0-11");
    for core in 0..8 {
        let first = core / 2 * 2;
        tree.core(core, &format!("{first}-{}", first + 1), "0-11", 0, 5_100_000);
    }
    for core in 8..12 {
        tree.core(core, &core.to_string(), "0-11", 0, 3_900_000);
    }
    tree.governor(0..=11, "powersave", "intel_pstate").idle(0..=11, "C10", 890);
    tree.interrupts(12, &[(16, "i2c_designware", &[0, 0, 90_000, 1, 1, 1, 1, 1, 1, 1, 1, 1])]);
    tree.file("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never");
    tree.file("proc/swaps", "Filename Type Size Used Priority\n/swapfile file 1 0 -2");
    tree
}

/// Two sockets, each a node of four physical cores with two threads (`n` and `n + 8`); 2, 3, 6, 7 and
/// their siblings are isolated and have no tick; the process was started with all cores.
pub fn server() -> Tree {
    let tree = Tree::new();
    tree.system().affinity("0-15").unified("/system.slice/app.service");
    tree.file("sys/fs/cgroup/system.slice/app.service/cpu.max", "max 100000");
    tree.file("sys/fs/cgroup/system.slice/app.service/cpuset.cpus.effective", "0-15");
    tree.file(&format!("{CPU}/online"), "0-15");
    tree.file(&format!("{CPU}/isolated"), "2-3,6-7,10-11,14-15");
    tree.file(&format!("{CPU}/nohz_full"), "2-3,6-7,10-11,14-15");
    let nodes = ["0-3,8-11", "4-7,12-15"];
    for (node, cores) in nodes.iter().enumerate() {
        tree.file(&format!("sys/devices/system/node/node{node}/cpulist"), cores);
    }
    for core in 0..16 {
        let (first, node) = (core % 8, core % 8 / 4);
        tree.core(core, &format!("{first},{}", first + 8), nodes[node], node, 3_500_000);
    }
    tree.governor(0..=15, "performance", "acpi-cpufreq").idle(0..=15, "C1", 2);
    let mut counts = [5; 16];
    counts[1] = 800_000;
    tree.interrupts(16, &[(120, "eth0-rx-0", &counts)]);
    tree
}

/// The server, to a program that was started without asking for the isolated cores.
pub fn server_by_default() -> Tree {
    let tree = server();
    tree.affinity("0-1,4-5,8-9,12-13");
    tree
}

/// Cores 2 to 5 of a larger machine, without siblings.
fn container() -> Tree {
    let tree = Tree::new();
    tree.system().affinity("2-5");
    tree.file(&format!("{CPU}/online"), "0-7");
    tree.file("sys/devices/system/node/node0/cpulist", "0-7");
    for core in 0..8 {
        tree.core(core, &core.to_string(), "0-7", 0, 3_000_000);
    }
    tree.governor(0..=7, "performance", "acpi-cpufreq").idle(0..=7, "C1", 2);
    tree.interrupts(8, &[(30, "nvme0q1", &[5; 8])]);
    tree
}

/// A quota of 1.5 cores under version 2, on a group above the process's own.
pub fn container_unified() -> Tree {
    let tree = container();
    tree.unified("/pod/app");
    tree.file("sys/fs/cgroup/pod/cpu.max", "150000 100000");
    tree.file("sys/fs/cgroup/pod/cpu.stat", "nr_periods 40\nnr_throttled 12\nthrottled_usec 9");
    tree.file("sys/fs/cgroup/pod/app/cpu.max", "max 100000");
    tree.file("sys/fs/cgroup/pod/app/cpuset.cpus.effective", "2-5");
    tree
}

/// The same under version 1, as a container sees it: its own group is at the top of the mount.
pub fn container_legacy() -> Tree {
    let tree = container();
    let mounts = [
        "40 30 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct",
        "41 30 0:31 /docker/abc /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset",
    ];
    tree.file("proc/self/mountinfo", mounts.join("\n"));
    tree.file("proc/self/cgroup", "5:cpuset:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/");
    tree.file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", 75_000);
    tree.file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", 50_000);
    tree.file("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_periods 0\nnr_throttled 0");
    tree.file("sys/fs/cgroup/cpuset/cpuset.cpus", "2-5");
    tree
}

/// Four cores of which little can be read, and some of that is damaged.
pub fn half_missing() -> Tree {
    let tree = Tree::new();
    tree.file(&format!("{CPU}/online"), "0-");
    for core in 0..4 {
        tree.file(&format!("{CPU}/cpu{core}/topology/physical_package_id"), "none");
    }
    tree.file(&format!("{CPU}/cpu1/topology/thread_siblings_list"), "7-9");
    tree.file(&format!("{CPU}/cpu2/cpufreq/cpuinfo_max_freq"), "-5");
    tree.file(&format!("{CPU}/cpu3/cache/index3/level"), "three");
    tree.file("proc/self/status", "Name: x\nCpus_allowed_list: all of them");
    tree.file("proc/self/cgroup", "4:cpu\n0::/a/../b\nnonsense");
    tree.file("proc/self/mountinfo", "31 - cgroup2\n31 23 0:28 / /sys/fs/cgroup rw - cgroup2 x rw");
    tree.file("sys/fs/cgroup/cpu.max", "150000");
    tree.file("proc/interrupts", "\u{0}\u{1}\n1: 2");
    tree.file("proc/stat", "cpu 1 2");
    tree.file("proc/loadavg", "high");
    tree.file("sys/kernel/mm/transparent_hugepage/enabled", "always madvise never");
    tree
}
