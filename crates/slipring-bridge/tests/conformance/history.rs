//! Whether what has arrived can have come from what was sent: anomalies by name, in the manner of the Kafka workload of
//! Jepsen. It is a function of two histories, and knows no broker.

use std::{collections::BTreeMap, sync::Arc};

/// An event that somebody has sent.
#[derive(Clone, Debug)]
pub struct Sent<V> {
    pub lane: Arc<str>,
    pub sequence: u64,
    pub value: V,
    /// Whether it was confirmed. One that was not may arrive, or not.
    pub is_certain: bool,
}

/// An event that has arrived: in a history they are in the order in which the receiver has them.
#[derive(Clone, Debug)]
pub struct Seen<V> {
    pub lane: Arc<str>,
    pub sequence: u64,
    pub value: V,
}

/// What must not be. Places are a lane and a sequence in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly<V> {
    /// It was confirmed, and is not there in the end.
    Lost { lane: Arc<str>, sequence: u64 },
    /// It is there more than once: so often.
    Duplicated { lane: Arc<str>, sequence: u64, times: usize },
    /// It is there behind one that was sent after it.
    Reordered { lane: Arc<str>, sequence: u64, behind: u64 },
    /// It was confirmed, and one that was sent after it came first.
    Skipped { lane: Arc<str>, sequence: u64, seen: u64 },
    /// Nobody has sent it.
    Phantom { lane: Arc<str>, sequence: u64 },
    /// It is not what was sent.
    Changed { lane: Arc<str>, sequence: u64, sent: V, seen: V },
}

/// All anomalies of a history. `is_over`: nothing more is to come, so what is not there is lost.
pub fn check<V: Clone + PartialEq>(
    sent: &[Sent<V>],
    seen: &[Seen<V>],
    is_over: bool,
) -> Vec<Anomaly<V>> {
    let mut lanes: BTreeMap<&str, BTreeMap<u64, &Sent<V>>> = BTreeMap::new();
    for event in sent {
        let before = lanes.entry(&event.lane).or_default().insert(event.sequence, event);
        assert!(before.is_none(), "two were sent as {} of {}", event.sequence, event.lane);
    }
    let (mut anomalies, mut marks) = (Vec::new(), BTreeMap::<&str, u64>::new());
    let mut times: BTreeMap<(&str, u64), usize> = BTreeMap::new();
    for event in seen {
        let Seen { lane, sequence, value } = event;
        let (lane, sequence) = (lane.clone(), *sequence);
        let of_lane = lanes.get(&*event.lane);
        match of_lane.and_then(|of_lane| of_lane.get(&sequence)) {
            None => anomalies.push(Anomaly::Phantom { lane: lane.clone(), sequence }),
            Some(was) if was.value != *value => anomalies.push(Anomaly::Changed {
                lane: lane.clone(),
                sequence,
                sent: was.value.clone(),
                seen: value.clone(),
            }),
            Some(_) => {}
        }
        let so_often = times.entry((&event.lane, sequence)).or_default();
        *so_often += 1;
        // Once more is one anomaly, and says nothing of the order.
        if *so_often > 1 {
            continue;
        }
        let from = match marks.get(&*event.lane) {
            Some(mark) if *mark > sequence => {
                anomalies.push(Anomaly::Reordered { lane, sequence, behind: *mark });
                continue;
            }
            mark => mark.map_or(0, |mark| mark + 1),
        };
        let between = of_lane.into_iter().flat_map(|of_lane| of_lane.range(from..sequence));
        let skipped = between.filter(|(_, skipped)| skipped.is_certain);
        anomalies.extend(skipped.map(|(skipped, _)| Anomaly::Skipped {
            lane: lane.clone(),
            sequence: *skipped,
            seen: sequence,
        }));
        marks.insert(&event.lane, sequence);
    }
    for ((lane, sequence), times) in &times {
        if *times > 1 {
            let (lane, sequence, times) = ((*lane).into(), *sequence, *times);
            anomalies.push(Anomaly::Duplicated { lane, sequence, times });
        }
    }
    let lost = sent.iter().filter(|event| is_over && event.is_certain);
    let lost = lost.filter(|event| !times.contains_key(&(&*event.lane, event.sequence)));
    anomalies.extend(
        lost.map(|event| Anomaly::Lost { lane: event.lane.clone(), sequence: event.sequence }),
    );
    anomalies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(lane: &str, sequences: &[u64]) -> Vec<Sent<u64>> {
        let one = |sequence: &u64| Sent {
            lane: lane.into(),
            sequence: *sequence,
            value: sequence * 10,
            is_certain: true,
        };
        sequences.iter().map(one).collect()
    }

    fn seen(lane: &str, sequences: &[u64]) -> Vec<Seen<u64>> {
        let one =
            |sequence: &u64| Seen { lane: lane.into(), sequence: *sequence, value: sequence * 10 };
        sequences.iter().map(one).collect()
    }

    fn a() -> Arc<str> {
        "a".into()
    }

    #[test]
    fn nothing_is_wrong_with_lanes_that_are_in_order_whatever_lies_between_them() {
        let both = [sent("a", &[1, 4, 9]), sent("b", &[1, 2])].concat();
        assert_eq!(check(&both, &[], false), []);
        let mixed = [seen("b", &[1]), seen("a", &[1, 4]), seen("b", &[2]), seen("a", &[9])];
        assert_eq!(check(&both, &mixed.concat(), true), []);
        // What is not over may still come.
        assert_eq!(check(&both, &mixed[..2].concat(), false), []);
    }

    #[test]
    fn lost() {
        let wrong = check(&sent("a", &[1, 4, 9]), &seen("a", &[1, 4]), true);
        assert_eq!(wrong, [Anomaly::Lost { lane: a(), sequence: 9 }]);
    }

    #[test]
    fn what_was_not_confirmed_may_be_there_or_not() {
        let mut sent = sent("a", &[1, 4, 9]);
        sent[1].is_certain = false;
        sent[2].is_certain = false;
        assert_eq!(check(&sent, &seen("a", &[1]), true), []);
        assert_eq!(check(&sent, &seen("a", &[1, 9]), true), []);
        assert_eq!(check(&sent, &seen("a", &[1, 4, 9]), true), []);
    }

    #[test]
    fn duplicated() {
        let wrong = check(&sent("a", &[1, 4]), &seen("a", &[1, 4, 1, 4, 1]), true);
        let twice = |sequence, times| Anomaly::Duplicated { lane: a(), sequence, times };
        assert_eq!(wrong, [twice(1, 3), twice(4, 2)]);
    }

    #[test]
    fn skipped_and_lost() {
        let wrong = check(&sent("a", &[1, 4, 9]), &seen("a", &[4, 9]), true);
        let skipped = Anomaly::Skipped { lane: a(), sequence: 1, seen: 4 };
        assert_eq!(wrong, [skipped.clone(), Anomaly::Lost { lane: a(), sequence: 1 }]);
        assert_eq!(check(&sent("a", &[1, 4, 9]), &seen("a", &[4]), false), [skipped]);
    }

    #[test]
    fn reordered() {
        let wrong = check(&sent("a", &[1, 4, 9]), &seen("a", &[1, 9, 4]), true);
        assert_eq!(
            wrong,
            [
                Anomaly::Skipped { lane: a(), sequence: 4, seen: 9 },
                Anomaly::Reordered { lane: a(), sequence: 4, behind: 9 },
            ]
        );
    }

    #[test]
    fn phantoms_and_others() {
        let mut arrived = seen("a", &[1, 4, 5]);
        arrived[1].value = 41;
        let wrong = check(&sent("a", &[1, 4]), &arrived, true);
        assert_eq!(
            wrong,
            [
                Anomaly::Changed { lane: a(), sequence: 4, sent: 40, seen: 41 },
                Anomaly::Phantom { lane: a(), sequence: 5 },
            ]
        );
        let elsewhere = check(&sent("a", &[1]), &seen("b", &[1]), false);
        assert_eq!(elsewhere, [Anomaly::Phantom { lane: "b".into(), sequence: 1 }]);
    }

    /// Whatever is done to a history, it is found.
    #[test]
    fn whatever_is_planted_is_found() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..2_000 {
            let sequences: Vec<u64> =
                (0..30).filter(|_| random.bool()).chain([31, 32, 33]).collect();
            let sent = sent("a", &sequences);
            let mut arrived = seen("a", &sequences);
            let at = random.usize(..arrived.len() - 1);
            let sequence = arrived[at].sequence;
            let is_it: fn(&Anomaly<u64>) -> Option<u64> = match random.u8(..5) {
                0 => {
                    arrived.remove(at);
                    |wrong| {
                        if let Anomaly::Lost { sequence, .. } = wrong {
                            Some(*sequence)
                        } else {
                            None
                        }
                    }
                }
                1 => {
                    let again = arrived[at].clone();
                    arrived.insert(random.usize(at..arrived.len()), again);
                    |wrong| {
                        if let Anomaly::Duplicated { sequence, .. } = wrong {
                            Some(*sequence)
                        } else {
                            None
                        }
                    }
                }
                2 => {
                    let late = arrived.remove(at);
                    arrived.insert(random.usize(at + 1..=arrived.len()), late);
                    |wrong| {
                        if let Anomaly::Reordered { sequence, .. } = wrong {
                            Some(*sequence)
                        } else {
                            None
                        }
                    }
                }
                3 => {
                    arrived[at].value += 1;
                    |wrong| {
                        if let Anomaly::Changed { sequence, .. } = wrong {
                            Some(*sequence)
                        } else {
                            None
                        }
                    }
                }
                _ => {
                    arrived[at].lane = "z".into();
                    |wrong| {
                        if let Anomaly::Phantom { sequence, .. } = wrong {
                            Some(*sequence)
                        } else {
                            None
                        }
                    }
                }
            };
            let wrong = check(&sent, &arrived, true);
            assert!(wrong.iter().filter_map(is_it).eq([sequence]), "{sequence}: {wrong:?}");
        }
    }
}
