//! Slipring passes the checks in every cell that fits it, in runs of a moment.

use slipring_bench::{Cell, Contestant, Fault, Load, Scenario, Wait, on_slipring::Slipring};

/// Not a multiple of 30: runs are rounded up to whole batches for every producer.
const EVENTS: u64 = 1_000;
/// A second, of runs that keep to a timetable.
const RATE: u64 = 100_000;

fn cells() -> impl Iterator<Item = Cell> {
    let stages = [1, 2, 4, 8].map(Scenario::Pipeline);
    let shared = [1, 7].into_iter().flat_map(|workers| {
        [Scenario::Share(workers), Scenario::Keyed(workers), Scenario::Skewed(workers)]
    });
    let sized = Scenario::SHARED.into_iter().chain([Scenario::Multicast(16)]).chain(stages);
    Scenario::CLASSIC.into_iter().chain(sized).chain(shared).flat_map(|scenario| {
        Wait::ALL.into_iter().flat_map(move |wait| {
            [(1, 8), (10, 64)]
                .map(move |(batch, bytes)| Cell::new(scenario, wait, batch, 64, bytes))
        })
    })
}

#[test]
fn as_fast_as_it_goes() {
    for contestant in [Slipring::PER_EVENT, Slipring::IN_SLICES] {
        for cell in cells().filter(|cell| contestant.fits(cell)) {
            let outcome = contestant.run(&cell, &Load::full(&cell, EVENTS));
            let outcome = outcome.unwrap_or_else(|fault| panic!("{cell}: {fault}"));
            assert!(outcome.events >= EVENTS, "{cell}");
            assert!((1.0..=64.0).contains(&outcome.average_batch), "{cell}");
        }
    }
}

#[test]
fn to_a_timetable() {
    let contestant = Slipring::PER_EVENT;
    for cell in cells().filter(|cell| contestant.fits_paced(cell)) {
        let outcome = contestant.run(&cell, &Load::paced(&cell, 50, RATE));
        let outcome = outcome.unwrap_or_else(|fault| panic!("{cell}: {fault}"));
        let latency = outcome.latency.expect("it was measured");
        let at_the_end = match cell.scenario {
            Scenario::Multicast(consumers) => u64::from(consumers),
            _ => 1,
        };
        assert_eq!(latency.len(), at_the_end * outcome.events, "{cell}");
        // The first event of a batch is as old as the time between it and the last one.
        let held_back = (cell.batch as u64 - 1) * 1_000_000_000 / RATE;
        assert!(latency.max() >= held_back, "{cell}");
    }
}

#[test]
fn events_of_all_sizes() {
    for words in [1, 2, 4, 8, 16, 32, 64, 128] {
        let cell = Cell::new(Scenario::Unicast, Wait::Yield, 1, 16, 8 * words);
        assert!(Slipring::PER_EVENT.run(&cell, &Load::full(&cell, EVENTS)).is_ok(), "{cell}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let cell = Cell::new(Scenario::Diamond, Wait::Block, 1, 64, 128);
    let contestant: &dyn Contestant = &Slipring::PER_EVENT;
    let refused = contestant.checked_run(&cell, &Load::full(&cell, 1));
    assert!(matches!(refused, Err(Fault::Peer(_))));
    // Each event goes to a worker: there is no slice, and nobody who would time them all.
    for scenario in [Scenario::Share(2), Scenario::Keyed(2), Scenario::Skewed(2)] {
        let shared = Cell::new(scenario, Wait::Yield, 10, 64, 8);
        assert!(contestant.fits(&shared) && !contestant.fits_paced(&shared));
        assert!(!Slipring::IN_SLICES.fits(&shared));
    }
    // A bus is more than its ring, also where the size of its events would do.
    for scenario in Scenario::BUSES {
        let bus = Cell::new(scenario, Wait::Yield, 1, 64, 64);
        assert!(!contestant.fits(&bus) && !contestant.fits_paced(&bus), "{bus}");
    }
    // Nothing would time these events.
    let sized = Cell::new(Scenario::Unicast, Wait::Yield, 1, 64, 128);
    assert!(contestant.fits(&sized) && !contestant.fits_paced(&sized));
}
