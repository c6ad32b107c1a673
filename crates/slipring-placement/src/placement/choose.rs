//! Which cores, and in what order along the flow.
//!
//! Each core has a grade, by the rules that [`Placement`](crate::Placement) lists; the best so many are
//! taken, and of equal ones those that are near each other. What is near depends on where one stands:
//! every group of cores that share a cache is tried as the home of the flow, and the home from which it
//! crosses the fewest borders wins.

use std::collections::{BTreeMap, BTreeSet};

use crate::{CoreSet, Machine};

/// How good a core is for a thread that spins; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grade {
    is_shared: bool,
    /// How many better cores of the same physical core there are.
    rank: usize,
    is_slow: bool,
    /// What the system and devices do there, or beside it on the same physical core.
    noise: usize,
}

/// Where a core is, from the outside in; what is unknown is one place for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    package: Option<usize>,
    node: Option<usize>,
    /// The first core of those that share its cache.
    cache: Option<usize>,
}

impl Site {
    /// How many borders are between the two.
    fn distance(&self, other: &Self) -> u8 {
        if self.package != other.package {
            3
        } else if self.node != other.node {
            2
        } else {
            u8::from(self.cache != other.cache)
        }
    }
}

#[derive(Debug)]
struct Candidate {
    core: usize,
    grade: Grade,
    site: Site,
}

/// `wanted` cores in the order of the flow; fewer if the process may not use so many.
pub(super) fn cores(machine: &Machine, wanted: usize) -> Vec<usize> {
    let candidates = candidates(machine);
    let homes: BTreeSet<Site> = candidates.iter().map(|candidate| candidate.site).collect();
    let plans = homes.iter().map(|home| {
        let mut chosen: Vec<&Candidate> = candidates.iter().collect();
        chosen.sort_by_key(|c| (c.grade, c.site.distance(home), c.site, c.core));
        chosen.truncate(wanted);
        chosen.sort_by_key(|c| (c.site.distance(home), c.site, c.grade, c.core));
        let cores: Vec<usize> = chosen.iter().map(|candidate| candidate.core).collect();
        (borders(&chosen), cores)
    });
    plans.min().map(|(_, cores)| cores).unwrap_or_default()
}

/// What the flow crosses: packages, nodes, caches, the dearest first.
fn borders(chosen: &[&Candidate]) -> [usize; 3] {
    let steps = || chosen.windows(2).map(|pair| pair[0].site.distance(&pair[1].site));
    [3, 2, 1].map(|border| steps().filter(|distance| *distance == border).count())
}

fn candidates(machine: &Machine) -> Vec<Candidate> {
    let (slow, interrupted) = (machine.slow(), machine.interrupted());
    let system = CoreSet::from_iter([0]);
    let noise = |core: usize| {
        let sources = [&system, &interrupted].into_iter();
        // What is on the core itself weighs twice what is on a sibling.
        let weights = sources.map(|source| {
            let is_near = !source.and(&machine.cores[&core].siblings).is_empty();
            if source.contains(core) { 2 } else { usize::from(is_near) }
        });
        weights.sum()
    };
    let own = |core: usize| (!machine.is_isolated(core), slow.contains(core), noise(core));
    let mut cores: Vec<usize> = machine.usable().iter().collect();
    cores.sort_by_cached_key(|core| (own(*core), *core));
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let mut candidate = |core: usize| {
        let place = &machine.cores[&core];
        let physical = place.siblings.first().unwrap_or(core);
        let rank = taken.entry(physical).or_default();
        let (is_shared, is_slow, noise) = own(core);
        let grade = Grade { is_shared, rank: *rank, is_slow, noise };
        *rank += 1;
        let cache = place.cache.first();
        Candidate { core, grade, site: Site { package: place.package, node: place.node, cache } }
    };
    cores.into_iter().map(&mut candidate).collect()
}
