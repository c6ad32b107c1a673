//! Made-up results, for tests.

use crate::{
    cell::{Cell, Scenario, Wait},
    growth,
    results::{
        Axis, FloorFigures, Growth, GrowthPoint, Knee, KneePoint, Latency, Percentiles, Results,
        Throughput, Who,
    },
};

pub(crate) fn who(contestant: &str, family: &str) -> Who {
    Who { contestant: contestant.into(), family: family.into() }
}

/// A row of unicast, yield, ring 1024, or of another scenario there.
pub(crate) fn row(scenario: Scenario, name: &str, family: &str, rates: &[f64]) -> Throughput {
    Throughput {
        cell: Cell::new(scenario, Wait::Yield, 1, 1024, 8),
        who: who(name, family),
        rates: rates.to_vec(),
        average_batches: vec![12.5; rates.len()],
        fault: None,
    }
}

fn latency(name: &str, ns: u64) -> Latency {
    Latency {
        cell: Cell::new(Scenario::Unicast, Wait::Yield, 1, 1024, 8),
        rate: 100_000,
        who: who(name, name),
        percentiles: Some(Percentiles {
            p50: ns,
            p90: 2 * ns,
            p99: 10 * ns,
            p99_9: 100 * ns,
            p99_99: 1_000 * ns,
            max: 10_000 * ns,
        }),
        p50_by_round: vec![ns, ns + 1],
        achieved: vec![100_000.0, 99_999.0],
        curve: vec![(0.5, ns), (0.9, 2 * ns), (0.99, 10 * ns), (0.999, 100 * ns)],
        omitted: None,
        fault: None,
    }
}

fn knee(name: &str, peak: f64) -> Knee {
    #[allow(clippy::cast_sign_loss, reason = "positive")]
    let point = |percent: u32| KneePoint {
        percent,
        offered: (peak * f64::from(percent) / 100.0) as u64,
        achieved: peak * f64::from(percent.min(100)) / 100.0,
        p50: 100 + u64::from(percent).pow(3) / 100,
        p99: 1_000 + u64::from(percent).pow(4) / 10,
    };
    Knee {
        cell: Cell::new(Scenario::Unicast, Wait::Yield, 1, 1024, 8),
        who: who(name, name),
        peak,
        points: [5, 50, 90, 100, 110].map(point).to_vec(),
        fault: None,
    }
}

pub(crate) fn curve(axis: Axis, name: &str, family: &str, costs_ns: &[(u64, f64)]) -> Growth {
    let point = |&(x, cost): &(u64, f64)| GrowthPoint {
        x,
        cell: growth::cell(axis, x, Wait::Yield),
        rates: vec![1e9 / cost],
        expected_ns: None,
        memory: Some(1_000 + 8 * x as usize),
        fault: None,
    };
    Growth {
        axis,
        who: who(name, family),
        theory: String::new(),
        points: costs_ns.iter().map(point).collect(),
    }
}

/// One of everything.
pub(crate) fn results() -> Results {
    let mut results = Results {
        command: "slipring bench all".into(),
        machine: "2 cores".into(),
        cores: 2,
        load_before: "0.10 0.20 0.30".into(),
        load_after: "1.10 0.20 0.30".into(),
        rounds: 2,
        seconds: 0.1,
        floor: FloorFigures { line_round_trip_ns: Some(85.0), held_rate: Some(1e9) },
        throughput: vec![
            row(Scenario::Unicast, "slipring", "slipring", &[8e8, 9e8]),
            row(Scenario::Unicast, "rtrb", "rtrb", &[4e8, 3e8]),
            row(Scenario::Unicast, "floor-held", "floor", &[9e8, 1e9]),
            row(Scenario::Pipeline(3), "slipring", "slipring", &[6e7, 7e7]),
            row(Scenario::Pipeline(3), "rtrb", "rtrb", &[7e7, 8e7]),
        ],
        latency: vec![latency("slipring", 90), latency("rtrb", 100), latency("floor", 110)],
        knee: vec![knee("slipring", 2e7), knee("rtrb", 1.5e7)],
        growth: vec![
            curve(Axis::Consumers, "slipring", "slipring", &[(1, 2.0), (2, 3.0), (4, 5.0)]),
            curve(Axis::Bytes, "slipring", "slipring", &[(8, 2.0), (64, 4.0), (1024, 60.0)]),
        ],
    };
    for curve in &mut results.growth {
        growth::explain(curve, results.cores, Some(85.0));
    }
    results
}
