//! Who gets a core at all: by how many there are, and by how many busy threads a quota feeds.

use std::collections::BTreeMap;

use super::{Row, Unpinned};
use crate::{Machine, Quota};

/// How many threads can have a core, and what keeps the others from it.
#[derive(Debug)]
pub(super) struct Supply {
    threads: usize,
    pub(super) cores: usize,
    /// What the quota grants, and how many busy threads that feeds.
    pub(super) quota: Option<(String, usize)>,
    is_known: bool,
}

impl Supply {
    pub(super) fn of(machine: &Machine, threads: usize) -> Self {
        let quota = match &machine.quota {
            Quota::Limited(limit) => Some((limit.cores().to_string(), limit.busy_threads())),
            Quota::Unlimited | Quota::Unknown => None,
        };
        let is_known = !machine.cores.is_empty();
        Self { threads, cores: machine.usable().len(), quota, is_known }
    }

    /// Threads that can be pinned. If not all can, a core stays free for the rest.
    fn seats(&self) -> usize {
        let cores =
            if self.threads <= self.cores { self.threads } else { self.cores.saturating_sub(1) };
        self.quota.as_ref().map_or(cores, |(_, busy)| cores.min(*busy))
    }

    /// Who gets a seat: the first in the flow, and a team only if there is one for each of its threads.
    pub(super) fn shared_out(&self, rows: &[Row]) -> Vec<bool> {
        let mut left = self.seats();
        let mut has_seat: BTreeMap<&str, bool> = BTreeMap::new();
        let mut decide = |row: &Row| {
            let fits = row.workers <= left;
            left -= if fits { row.workers } else { 0 };
            fits
        };
        for row in rows.iter().filter(|row| row.worker == 0) {
            has_seat.insert(&row.name, decide(row));
        }
        rows.iter().map(|row| has_seat[row.name.as_str()]).collect()
    }

    /// Why somebody has no seat.
    pub(super) fn lack(&self) -> Unpinned {
        match &self.quota {
            _ if !self.is_known => Unpinned::Unknown,
            Some((granted, busy)) if *busy <= self.seats() => {
                Unpinned::Quota { granted: granted.clone(), busy: *busy }
            }
            _ => Unpinned::Cores { threads: self.threads, cores: self.cores },
        }
    }
}
