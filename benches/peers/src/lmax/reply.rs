//! What the program replies, and the verdict on it: the same checks as for all others.

use std::time::Duration;

use serde::Deserialize;
use slipring_bench::{
    Cell, Fault, Load, Outcome, Scenario,
    witness::{self, InOrder, Lanes, Order as _, Sight},
};

use super::Failure;

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Error { error: String },
    Reply(Reply),
}

/// A run, as the program saw it.
#[derive(Debug, Deserialize)]
pub struct Reply {
    nanos: u64,
    consumers: Vec<Consumer>,
    /// Nanoseconds, and how many events took them.
    latency: Vec<(u64, u64)>,
}

#[derive(Debug, Deserialize)]
struct Consumer {
    seen: u64,
    /// Unsigned, which is more than a number of Java's can hold.
    sum: String,
    broken: u64,
    batches: u64,
}

impl Reply {
    /// Reads a line.
    pub fn parse(line: &str) -> Result<Self, Failure> {
        match serde_json::from_str(line) {
            Ok(Line::Reply(reply)) => Ok(reply),
            Ok(Line::Error { error }) => Err(Failure::Refused(Fault::Peer(error))),
            Err(_) => Err(Failure::Lost(Fault::Peer(format!("not a reply: {line}")))),
        }
    }

    /// Whether every consumer saw what was asked for.
    pub fn verdict(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        let wanted = consumers(cell);
        if self.consumers.len() != wanted {
            let found = self.consumers.len();
            return Err(Fault::Peer(format!("{found} consumers replied, not {wanted}")));
        }
        let checksum = match cell.scenario {
            Scenario::Mpsc(producers) => Lanes::checksum(load, u64::from(producers)),
            _ => InOrder::checksum(load, 1),
        };
        let (mut seen, mut runs) = (0, 0);
        for consumer in &self.consumers {
            let sight = consumer.sight()?;
            sight.check(load.events, checksum)?;
            if sight.runs == 0 {
                return Err(Fault::Unflagged);
            }
            seen += sight.seen;
            runs += sight.runs;
        }
        #[allow(clippy::cast_precision_loss)]
        let average_batch = seen as f64 / runs as f64;
        Ok(Outcome {
            events: load.events,
            elapsed: Duration::from_nanos(self.nanos),
            average_batch,
            latency: load.rate.map(|_| {
                let mut all = witness::latencies();
                for &(nanos, count) in &self.latency {
                    all.saturating_record_n(nanos, count);
                }
                all
            }),
        })
    }
}

impl Consumer {
    fn sight(&self) -> Result<Sight, Fault> {
        Ok(Sight {
            seen: self.seen,
            runs: self.batches,
            broken: self.broken,
            sum: self.sum.parse().map_err(|_| Fault::Peer(format!("a sum of {}", self.sum)))?,
            ..Sight::default()
        })
    }
}

/// How many the program reports: in the ping-pong, P is one as well.
fn consumers(cell: &Cell) -> usize {
    cell.scenario.consumers() + usize::from(cell.scenario == Scenario::PingPong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipring_bench::Wait;

    fn verdict(line: &str) -> Result<Outcome, Fault> {
        let cell = Cell::new(Scenario::Unicast, Wait::Yield, 1, 64, 8);
        match Reply::parse(line) {
            Ok(reply) => reply.verdict(&cell, &Load::paced(&cell, 4, 1_000)),
            Err(Failure::Refused(fault) | Failure::Lost(fault)) => Err(fault),
        }
    }

    fn of_consumers(consumers: &str) -> Result<Outcome, Fault> {
        verdict(&format!(r#"{{"nanos":5,"consumers":[{consumers}],"latency":[[7,3],[9,1]]}}"#))
    }

    #[test]
    fn a_right_reply_becomes_an_outcome() {
        let outcome = of_consumers(r#"{"seen":4,"sum":"6","broken":0,"batches":2}"#);
        let outcome = outcome.expect("it is right");
        assert_eq!((outcome.events, outcome.elapsed), (4, Duration::from_nanos(5)));
        assert!((outcome.average_batch - 2.0).abs() < f64::EPSILON);
        let latency = outcome.latency.expect("there is a rate");
        assert_eq!((latency.len(), latency.min(), latency.max()), (4, 7, 9));
    }

    #[test]
    fn a_wrong_reply_is_a_fault() {
        let fault = |consumers| of_consumers(consumers).expect_err(consumers);
        let broken = fault(r#"{"seen":4,"sum":"6","broken":1,"batches":2}"#);
        assert_eq!(broken, Fault::Order { broken: 1 });
        let short = fault(r#"{"seen":3,"sum":"6","broken":0,"batches":2}"#);
        assert_eq!(short, Fault::Count { seen: 3, published: 4 });
        let other = fault(r#"{"seen":4,"sum":"18446744073709551615","broken":0,"batches":2}"#);
        assert_eq!(other, Fault::Checksum);
        assert_eq!(fault(r#"{"seen":4,"sum":"6","broken":0,"batches":0}"#), Fault::Unflagged);
        assert!(matches!(fault(""), Fault::Peer(_)));
        assert!(matches!(fault(r#"{"seen":4,"sum":"x","broken":0,"batches":2}"#), Fault::Peer(_)));
    }

    #[test]
    fn an_error_keeps_the_program_and_nonsense_does_not() {
        let refused = Reply::parse(r#"{"error":"no"}"#);
        assert!(matches!(refused, Err(Failure::Refused(Fault::Peer(error))) if error == "no"));
        assert!(matches!(Reply::parse("what?"), Err(Failure::Lost(_))));
    }
}
