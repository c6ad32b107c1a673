//! What holds of every plan, on machines that nobody built.

use std::collections::BTreeSet;

use proptest::prelude::*;
use slipring_placement::{
    Choice, Core, CoreSet, Interrupt, Limit, Machine, Placement, Quota, Seat, examine,
};

/// Packages, nodes of each, caches of each node, physical cores of each cache, threads of each.
type Shape = (usize, usize, usize, usize, usize);

/// A machine of this shape. Siblings have neighbouring numbers, or are half of all cores apart.
fn machine((packages, nodes, caches, physical, threads): Shape, is_split: bool) -> Machine {
    let all = packages * nodes * caches * physical;
    let number = |core: usize, thread: usize| {
        if is_split { thread * all + core } else { core * threads + thread }
    };
    let group = |first: usize, cores: usize| -> CoreSet {
        (first..first + cores)
            .flat_map(|core| (0..threads).map(move |thread| number(core, thread)))
            .collect()
    };
    let mut machine = Machine::default();
    for core in 0..all {
        for thread in 0..threads {
            let mut place = Core::default();
            place.siblings = group(core, 1);
            place.cache = group(core / physical * physical, physical);
            place.node = Some(core / (physical * caches));
            place.package = Some(core / (physical * caches * nodes));
            machine.cores.insert(number(core, thread), place);
        }
    }
    machine
}

/// Draws some of the cores by the bits of a word.
fn some(machine: &Machine, bits: u64) -> CoreSet {
    machine.online().iter().filter(|core| bits >> (core % 64) & 1 == 1).collect()
}

fn any_machine() -> impl Strategy<Value = Machine> {
    let shape = (1..=2_usize, 1..=2_usize, 1..=2_usize, 1..=4_usize, 1..=2_usize);
    let sets = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let quota = prop::option::of(0..12_u64);
    let counts = prop::collection::vec(prop_oneof![0..10_u64, 0..1_000_000_u64], 0..64);
    (shape, any::<bool>(), sets, 0..3_u8, quota, counts).prop_map(
        |(shape, is_split, (allowed, isolated, few, slow), kind, quota, counts)| {
            let mut machine = machine(shape, is_split);
            // All cores, or half of them; none isolated, some, or half.
            machine.affinity = (kind > 0).then(|| some(&machine, allowed));
            machine.isolated = Some(match kind {
                0 => CoreSet::default(),
                1 => some(&machine, isolated & few),
                _ => some(&machine, isolated),
            });
            for core in &some(&machine, slow & few).iter().collect::<Vec<_>>() {
                machine.cores.entry(*core).and_modify(|core| core.capacity = Some(400));
            }
            for core in machine.cores.values_mut().filter(|core| core.capacity.is_none()) {
                core.capacity = Some(1_024);
            }
            if let Some(halves) = quota {
                let mut limit = Limit::default();
                (limit.granted_us, limit.period_us) = (halves * 50_000, 100_000);
                machine.quota = Quota::Limited(limit);
            }
            let mut interrupt = Interrupt::default();
            interrupt.counts = machine.cores.keys().copied().zip(counts).collect();
            machine.interrupts = Some(vec![interrupt]);
            machine
        },
    )
}

/// Threads of a flow; some are teams.
fn any_flow() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec((0..9_u8).prop_map(|name| format!("s{name}")), 0..14)
}

fn singles(threads: usize) -> Vec<String> {
    (0..threads).map(|thread| format!("s{thread}")).collect()
}

/// How good a plan is, the most important first; more is better.
fn worth(machine: &Machine, plan: &Placement) -> [usize; 4] {
    let cores: Vec<usize> = plan.seats().iter().filter_map(Seat::core).collect();
    let physical: BTreeSet<_> =
        cores.iter().map(|core| machine.cores[core].siblings.first()).collect();
    let slow = machine.slow();
    [
        cores.len(),
        cores.iter().filter(|core| machine.is_isolated(**core)).count(),
        physical.len(),
        cores.iter().filter(|core| !slow.contains(**core)).count(),
    ]
}

proptest! {
    #[test]
    fn a_core_is_given_once_and_only_if_it_is_allowed(machine in any_machine(), flow in any_flow()) {
        let plan = Placement::on(&machine, flow.clone());
        let cores: Vec<usize> = plan.seats().iter().filter_map(Seat::core).collect();
        let distinct: CoreSet = cores.iter().copied().collect();
        prop_assert_eq!(distinct.len(), cores.len(), "{}", plan);
        prop_assert_eq!(distinct.and(&machine.usable()), distinct, "{}", plan);
    }

    #[test]
    fn every_thread_is_placed_or_told_why_not(machine in any_machine(), flow in any_flow()) {
        let plan = Placement::on(&machine, flow.clone());
        let names: Vec<&str> = plan.seats().iter().map(Seat::name).collect();
        prop_assert_eq!(names, flow.iter().map(String::as_str).collect::<Vec<_>>());
        for seat in plan.seats() {
            prop_assert!(!seat.choice().to_string().is_empty());
            let is_placed = matches!(seat.choice(), Choice::Pinned { .. });
            prop_assert_eq!(is_placed, seat.core().is_some());
            // A team has all of its cores or none.
            let team = flow.iter().filter(|name| *name == seat.name()).count();
            let cores = plan.cores(seat.name()).len();
            prop_assert_eq!(cores, if is_placed { team } else { 0 });
        }
        let lines = plan.to_string().lines().count();
        prop_assert_eq!(lines, flow.len() + plan.remarks().len());
    }

    #[test]
    fn a_quota_is_never_outspent_and_a_core_stays_free_for_the_rest(
        machine in any_machine(),
        flow in any_flow(),
    ) {
        let plan = Placement::on(&machine, flow.clone());
        let placed = plan.seats().iter().filter_map(Seat::core).count();
        if let Quota::Limited(limit) = &machine.quota {
            prop_assert!(placed <= limit.busy_threads(), "{}", plan);
        }
        let usable = machine.usable().len();
        prop_assert!(placed == flow.len() || placed < usable.max(1), "{}", plan);
        if machine.quota == Quota::Unknown && flow.len() <= usable {
            prop_assert_eq!(placed, flow.len(), "{}", plan);
        }
    }

    #[test]
    fn the_same_machine_gets_the_same_plan(machine in any_machine(), flow in any_flow()) {
        let plan = Placement::on(&machine, flow.clone());
        prop_assert_eq!(&plan, &Placement::on(&machine.clone(), flow));
        prop_assert_eq!(examine(&machine), examine(&machine.clone()));
    }

    #[test]
    fn one_more_core_never_makes_it_worse(
        machine in any_machine(),
        threads in 0..14_usize,
        pick in any::<prop::sample::Index>(),
    ) {
        let flow = singles(threads);
        let missing = machine.online().without(&machine.usable());
        prop_assume!(!missing.is_empty());
        let more = missing.iter().nth(pick.index(missing.len()));
        let mut larger = machine.clone();
        larger.affinity = Some(machine.usable().iter().chain(more).collect());
        let before = worth(&machine, &Placement::on(&machine, flow.clone()));
        let after = worth(&larger, &Placement::on(&larger, flow));
        // Where more threads are placed, what the others have is another question.
        prop_assert!(after[0] > before[0] || after >= before, "{:?} then {:?}", before, after);
    }

    #[test]
    fn more_cores_place_no_fewer_threads_of_any_flow(machine in any_machine(), flow in any_flow()) {
        let placed = |machine: &Machine| {
            let plan = Placement::on(machine, flow.clone());
            plan.seats().iter().filter_map(Seat::core).count()
        };
        let mut all = machine.clone();
        all.affinity = None;
        prop_assert!(placed(&machine) <= placed(&all));
    }

    #[test]
    fn better_cores_are_taken_first(machine in any_machine(), threads in 0..14_usize) {
        let plan = Placement::on(&machine, singles(threads));
        let taken: CoreSet = plan.seats().iter().filter_map(Seat::core).collect();
        let left = machine.usable().without(&taken);
        let is_shared = |core: usize| !machine.is_isolated(core);
        let is_beside = |core: &usize| {
            machine.cores[core].siblings.and(&taken).len() > usize::from(taken.contains(*core))
        };
        for core in taken.iter() {
            // Nobody is on a core that others use while an isolated one is left.
            prop_assert!(!is_shared(core) || left.iter().all(is_shared), "{}", plan);
            // Nobody shares a physical core while one as isolated is left.
            let mut alike = left.iter().filter(|other| is_shared(*other) == is_shared(core));
            let mut is_excused = || alike.all(|other| is_beside(&other));
            prop_assert!(
                !is_beside(&core) || is_excused(),
                "{}", plan
            );
        }
    }

    #[test]
    fn a_flow_that_fits_behind_a_cache_stays_there(
        shape in (1..=2_usize, 1..=2_usize, 1..=2_usize, 2..=6_usize, 1..=2_usize),
        is_split in any::<bool>(),
    ) {
        let (packages, nodes, caches, physical, _) = shape;
        // Where there are others, the group of core 0 is avoided.
        let fits = if packages * nodes * caches > 1 { physical } else { physical - 1 };
        let machine = machine(shape, is_split);
        let plan = Placement::on(&machine, singles(fits));
        let caches: BTreeSet<_> = plan.seats().iter().filter_map(Seat::core)
            .map(|core| machine.cores[&core].cache.first()).collect();
        prop_assert_eq!(caches.len(), 1, "{}", plan);
    }
}
