//! Control groups, both versions: the time and the cores that they grant.
//!
//! A process is in a group of each hierarchy (`/proc/self/cgroup`); mounts say which folder holds a
//! hierarchy, and which of its groups is at the folder's top (`/proc/self/mountinfo`). A limit of any
//! group above counts, so all of them are looked at, up to the top.

use std::fmt;

use crate::{CoreSet, files::Files};

/// The processor time that a process may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Quota {
    /// It could not be read.
    #[default]
    Unknown,
    /// As much as there is.
    Unlimited,
    /// The smallest of its groups' limits.
    Limited(Limit),
}

/// Time that a control group grants in each period. When it is used up, every thread of the group
/// stands still until the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limit {
    /// Microseconds of all cores together.
    pub granted_us: u64,
    /// Microseconds of a period.
    pub period_us: u64,
    /// The file that says so.
    pub file: String,
    /// In how many periods the group stood still so far.
    pub throttled: Option<u64>,
}

impl Limit {
    /// How many threads can be busy all the time.
    pub fn busy_threads(&self) -> usize {
        usize::try_from(self.granted_us / self.period_us.max(1)).unwrap_or(usize::MAX)
    }

    /// The time as a number of cores, for people: `1.5`.
    pub fn cores(&self) -> impl fmt::Display {
        let hundredths = u128::from(self.granted_us) * 100 / u128::from(self.period_us.max(1));
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Whether it grants less than another limit.
    fn is_below(&self, other: &Self) -> bool {
        let product = |granted: u64, period: u64| u128::from(granted) * u128::from(period);
        product(self.granted_us, other.period_us) < product(other.granted_us, self.period_us)
    }
}

/// Where the groups of the process are, each from the innermost to the top.
#[derive(Debug)]
pub(super) struct Groups {
    /// Version 2; empty if there is none.
    unified: Vec<String>,
    /// Version 1, time.
    time: Vec<String>,
    /// Version 1, cores.
    cores: Vec<String>,
}

impl Groups {
    pub(super) fn find(files: &Files) -> Self {
        let groups = files.text("proc/self/cgroup").unwrap_or_default();
        let mounts = files.text("proc/self/mountinfo").unwrap_or_default();
        let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
        let folders = |controller| folders(&groups, &mounts, controller).unwrap_or_default();
        Self { unified: folders(""), time: folders("cpu"), cores: folders("cpuset") }
    }

    pub(super) fn quota(&self, files: &Files) -> Quota {
        let found = self.unified.iter().filter_map(|folder| unified_quota(files, folder));
        let found = found.chain(self.time.iter().filter_map(|folder| legacy_quota(files, folder)));
        let least = found.reduce(|least, next| match (least, next) {
            (Quota::Limited(least), Quota::Limited(next)) if next.is_below(&least) => {
                Quota::Limited(next)
            }
            (least @ Quota::Limited(_), _) => least,
            (_, next @ Quota::Limited(_)) => next,
            (Quota::Unlimited, Quota::Unlimited) => Quota::Unlimited,
            // A damaged file may have said anything.
            _ => Quota::Unknown,
        });
        least.unwrap_or_default()
    }

    pub(super) fn cpuset(&self, files: &Files) -> Option<CoreSet> {
        let named = |folders: &[String], names: [&str; 2]| {
            // A group without a set of its own has that of the group above.
            folders.iter().find_map(|folder| {
                let mut sets =
                    names.iter().filter_map(|name| files.cores(&format!("{folder}/{name}")));
                sets.find(|cores| !cores.is_empty())
            })
        };
        named(&self.unified, ["cpuset.cpus.effective", "cpuset.cpus"])
            .or_else(|| named(&self.cores, ["cpuset.effective_cpus", "cpuset.cpus"]))
    }
}

/// What a group of version 2 says; `None` if it says nothing, and so has no limit of its own.
fn unified_quota(files: &Files, folder: &str) -> Option<Quota> {
    let file = format!("{folder}/cpu.max");
    let Some(text) = files.text(&file) else {
        // The top of all groups never has the file.
        let is_top = files.text(&format!("{folder}/cgroup.type")).is_none();
        let is_there = files.text(&format!("{folder}/cgroup.controllers")).is_some();
        return (is_top && is_there).then_some(Quota::Unlimited);
    };
    let mut words = text.split_whitespace();
    Some(match (words.next(), words.next().and_then(|period| period.parse().ok())) {
        (Some("max"), _) => Quota::Unlimited,
        (Some(granted), Some(period_us)) => limited(files, folder, granted, period_us, file),
        _ => Quota::Unknown,
    })
}

/// The same of version 1.
fn legacy_quota(files: &Files, folder: &str) -> Option<Quota> {
    let file = format!("{folder}/cpu.cfs_quota_us");
    let granted = files.text(&file)?;
    Some(match files.number(&format!("{folder}/cpu.cfs_period_us")) {
        _ if granted == "-1" => Quota::Unlimited,
        Some(period_us) => limited(files, folder, &granted, period_us, file),
        None => Quota::Unknown,
    })
}

fn limited(files: &Files, folder: &str, granted: &str, period_us: u64, file: String) -> Quota {
    let Some(granted_us) = granted.parse().ok().filter(|_| period_us > 0) else {
        return Quota::Unknown;
    };
    let figures = files.text(&format!("{folder}/cpu.stat")).unwrap_or_default();
    let throttled = figures.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    let throttled = throttled.and_then(|count| count.trim().parse().ok());
    Quota::Limited(Limit { granted_us, period_us, file, throttled })
}

/// A mounted hierarchy.
#[derive(Debug)]
struct Mount {
    /// The group at the folder's top.
    top: String,
    folder: String,
    /// Of version 1; none for version 2.
    controllers: Option<Vec<String>>,
}

impl Mount {
    /// A line such as `31 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (top, folder) = (unescaped(mount.next()?), unescaped(mount.next()?));
        let mut kind = kind.split(' ');
        let controllers = match kind.next()? {
            "cgroup2" => None,
            "cgroup" => Some(kind.nth(1)?.split(',').map(str::to_owned).collect()),
            _ => return None,
        };
        Some(Self { top, folder, controllers })
    }
}

/// Mounts write a space as `\040`.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ")
}

/// The folders of the group that the process is in and of those above it; of version 2 if
/// `controller` is empty.
fn folders(groups: &str, mounts: &[Mount], controller: &str) -> Option<Vec<String>> {
    // A line is `4:cpu,cpuacct:/a/group`, and `0::/a/group` for version 2.
    let group = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(group)
    })?;
    let mount = mounts.iter().find(|mount| match &mount.controllers {
        None => controller.is_empty(),
        Some(controllers) => controllers.iter().any(|name| name == controller),
    })?;
    // In a container the mount begins at its own group, or far above: then the path does not begin
    // with the top of the mount, and the folder itself is all that can be seen.
    let below = group.strip_prefix(mount.top.trim_end_matches('/')).unwrap_or("");
    let is_inside = (below.is_empty() || below.starts_with('/')) && !below.contains("..");
    let mut below = if is_inside { below.trim_end_matches('/') } else { "" };
    let mut folders = vec![format!("{}{below}", mount.folder)];
    while let Some((above, _)) = below.rsplit_once('/') {
        below = above;
        folders.push(format!("{}{below}", mount.folder));
    }
    Some(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(groups: &str, mount: &str, controller: &str) -> Option<Vec<String>> {
        let mounts: Vec<Mount> = mount.lines().filter_map(Mount::parse).collect();
        folders(groups, &mounts, controller)
    }

    #[test]
    fn every_group_up_to_the_top_is_looked_at() {
        let mount = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let expected = ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"];
        assert_eq!(found("0::/a/b", mount, "").expect("it is mounted"), expected);
        assert_eq!(found("0::/", mount, "").expect("it is mounted"), ["/sys/fs/cgroup"]);
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_top() {
        let mount = "31 23 0:28 /docker/a /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct";
        let groups = "5:cpu,cpuacct:/docker/a/b\n4:memory:/docker/a";
        let expected = ["/sys/fs/cgroup/cpu/b", "/sys/fs/cgroup/cpu"];
        assert_eq!(found(groups, mount, "cpu").expect("it is mounted"), expected);
        let outside = found("5:cpu:/docker/ab", mount, "cpu").expect("it is mounted");
        assert_eq!(outside, ["/sys/fs/cgroup/cpu"]);
        assert_eq!(found(groups, mount, "cpuset"), None);
    }

    #[test]
    fn limits_compare_by_time_of_a_core() {
        let limit = |granted_us, period_us| Limit { granted_us, period_us, ..Limit::default() };
        assert!(limit(50_000, 100_000).is_below(&limit(10_000, 10_000)));
        assert!(!limit(20_000, 10_000).is_below(&limit(150_000, 100_000)));
        assert_eq!(limit(150_000, 100_000).cores().to_string(), "1.5");
        assert_eq!(limit(200_000, 100_000).cores().to_string(), "2");
        assert_eq!(limit(1_000_000, 100_000).cores().to_string(), "10");
        assert_eq!(limit(150_000, 100_000).busy_threads(), 1);
        assert_eq!(limit(50_000, 100_000).busy_threads(), 0);
    }
}
