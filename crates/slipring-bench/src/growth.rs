//! Cost as the work grows: what is measured along each axis, and what theory expects there.

use crate::{
    cell::{Cell, Scenario, Wait},
    results::{Axis, Growth, GrowthPoint},
};

/// Slots of the ring along the other axes.
const CAPACITY: usize = 1024;

/// The values along an axis.
#[must_use]
pub fn values(axis: Axis) -> Vec<u64> {
    match axis {
        Axis::Consumers | Axis::Producers => vec![1, 2, 3, 4, 6, 8, 12, 16],
        Axis::Stages => (1..=8).collect(),
        Axis::Capacity => (4..=22).step_by(2).map(|power| 1 << power).collect(),
        Axis::Bytes => (3..=10).map(|power| 1 << power).collect(),
    }
}

/// The cell at `x` of an axis.
///
/// # Panics
///
/// When `x` is none of [`values`].
#[must_use]
pub fn cell(axis: Axis, x: u64, wait: Wait) -> Cell {
    let size = |x| u8::try_from(x).expect("a few threads");
    let (scenario, capacity, bytes) = match axis {
        Axis::Consumers => (Scenario::Multicast(size(x)), CAPACITY, 8),
        Axis::Stages => (Scenario::Pipeline(size(x)), CAPACITY, 8),
        Axis::Producers => (Scenario::Mpsc(size(x)), CAPACITY, 8),
        Axis::Capacity => (Scenario::Unicast, x as usize, 8),
        Axis::Bytes => (Scenario::Unicast, CAPACITY, x as usize),
    };
    Cell::new(scenario, wait, 1, capacity, bytes)
}

/// What a curve along the axis must look like, and why.
#[must_use]
pub fn theory(axis: Axis) -> &'static str {
    match axis {
        Axis::Consumers => {
            "Every consumer looks at every event. With a core for each thread the cost is flat; beyond \
             the cores the threads share them, and the cost grows as threads / cores. The line is the \
             first point, continued by that rule."
        }
        Axis::Stages => {
            "Each stage adds its own work. With a core for each thread stages work side by side and \
             the cost is flat, while latency grows; beyond the cores it grows as threads / cores. The \
             line is the first point, continued by that rule."
        }
        Axis::Producers => {
            "An event is published once and read once, however many producers there are: the ideal is \
             flat at the first point. What is above the line is contention for the claim."
        }
        Axis::Capacity => {
            "A lap costs at least one round trip of a cache line, shared by all slots: the cost falls \
             as 1 / slots, and is flat while the ring fits the caches. The line is the cost at 4096 slots plus \
             round trip / slots. A rise on the right is a ring that has left a cache."
        }
        Axis::Bytes => {
            "A fixed cost, and a cost for each cache line of 64 bytes. The line goes through the points \
             at 8 and at 64 bytes."
        }
    }
}

/// Adds the theory to a curve that was measured on so many cores.
pub fn explain(curve: &mut Growth, cores: usize, round_trip_ns: Option<f64>) {
    theory(curve.axis).clone_into(&mut curve.theory);
    let expected = expectation(curve, cores.max(1), round_trip_ns);
    for point in &mut curve.points {
        point.expected_ns = expected.as_ref().map(|expected| expected(point));
    }
}

type Expectation = Box<dyn Fn(&GrowthPoint) -> f64>;

fn expectation(curve: &Growth, cores: usize, round_trip_ns: Option<f64>) -> Option<Expectation> {
    let cost_at = |x: u64| cost_of(curve.points.iter().find(|point| point.x == x)?);
    let first = curve.points.iter().find(|point| point.fault.is_none())?;
    let first_cost = cost_of(first)?;
    match curve.axis {
        Axis::Consumers | Axis::Stages => {
            let crowding = move |cell: &Cell| (cell.threads() as f64 / cores as f64).max(1.0);
            let alone = first_cost / crowding(&first.cell);
            Some(Box::new(move |point| alone * crowding(&point.cell)))
        }
        Axis::Producers => Some(Box::new(move |_| first_cost)),
        Axis::Capacity => {
            let (flat, trip) = (cost_at(1 << 12)?, round_trip_ns?);
            // A disturbed round trip must not make events free.
            let flat = (flat - trip / f64::from(1 << 12)).max(0.0);
            Some(Box::new(move |point| flat + trip / point.x as f64))
        }
        Axis::Bytes => {
            let (small, line) = (cost_at(8)?, cost_at(64)?);
            // A line may be cheaper than a word by luck; it cannot be so by nature.
            let per_byte = ((line - small) / (64.0 - 8.0)).max(0.0);
            Some(Box::new(move |point| small + per_byte * (point.x as f64 - 8.0)))
        }
    }
}

fn cost_of(point: &GrowthPoint) -> Option<f64> {
    Some(point.cost_ns()?.median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::curve;

    fn expected(axis: Axis, costs: &[(u64, f64)], cores: usize) -> Vec<f64> {
        let mut curve = curve(axis, "slipring", "slipring", costs);
        explain(&mut curve, cores, Some(80.0));
        assert!(!curve.theory.is_empty());
        curve.points.iter().map(|point| point.expected_ns.expect("it can be computed")).collect()
    }

    fn assert_near(left: &[f64], right: &[f64]) {
        assert_eq!(left.len(), right.len());
        for (left, right) in left.iter().zip(right) {
            assert!((left - right).abs() < 1e-6, "{left} is not {right}");
        }
    }

    #[test]
    fn threads_share_the_cores() {
        let costs = [(1, 2.0), (3, 9.0), (7, 9.0)];
        assert_near(&expected(Axis::Consumers, &costs, 2), &[2.0, 4.0, 8.0]);
        assert_near(&expected(Axis::Stages, &costs, 4), &[2.0, 2.0, 4.0]);
        assert_near(&expected(Axis::Producers, &costs, 4), &[2.0, 2.0, 2.0]);
    }

    #[test]
    fn a_lap_shares_a_round_trip_and_events_are_linear() {
        let costs = [(16, 9.0), (1 << 12, 1.0 + 80.0 / 4096.0)];
        assert_near(&expected(Axis::Capacity, &costs, 2), &[6.0, 1.0 + 80.0 / 4096.0]);
        let costs = [(8, 2.0), (64, 3.0), (120, 1.0)];
        assert_near(&expected(Axis::Bytes, &costs, 2), &[2.0, 3.0, 4.0]);
    }

    #[test]
    fn every_point_has_its_cell() {
        for axis in Axis::ALL {
            let cells: Vec<_> =
                values(axis).into_iter().map(|x| cell(axis, x, Wait::Yield)).collect();
            assert!(cells.is_sorted(), "{axis:?}");
        }
    }
}
