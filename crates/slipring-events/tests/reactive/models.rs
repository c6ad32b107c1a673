//! Every operator that has nothing to do with time or threads beside a function of vectors, on sources that
//! stutter.

use std::collections::VecDeque;

use futures_util::stream;
use proptest::{collection::vec, option, prelude::*};
use slipring_events::reactive::{Flow, Pool};

use crate::common::{drain, stutter};

type Pauses<T> = Vec<Option<T>>;

fn script() -> impl Strategy<Value = Pauses<u8>> {
    vec(option::weighted(0.7, 0..8_u8), 0..40)
}

fn items<T: Clone>(script: &Pauses<T>) -> Vec<T> {
    script.iter().flatten().cloned().collect()
}

fn distinct(items: &[u8], most: usize) -> Vec<u8> {
    let (mut last, mut out) = (VecDeque::new(), Vec::new());
    for item in items {
        if !last.contains(item) {
            out.push(*item);
            last.push_back(*item);
            if last.len() > most {
                last.pop_front();
            }
        }
    }
    out
}

/// Odd ones are errors.
fn results(script: Pauses<u8>) -> Flow<Result<u8, u8>> {
    stutter(script).map(|item| if item % 2 == 1 { Err(item) } else { Ok(item) })
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

proptest! {
    #[test]
    fn one_in_one_out(script in script()) {
        let all = items(&script);
        prop_assert_eq!(drain(stutter(script.clone())), all.clone());
        let mapped: Vec<u32> = all.iter().map(|item| u32::from(*item) * 3).collect();
        prop_assert_eq!(drain(stutter(script.clone()).map(|item| u32::from(item) * 3)), mapped);
        let mut sum = 0_u32;
        let sums: Vec<u32> = all.iter().map(|item| { sum += u32::from(*item); sum }).collect();
        let scanned = stutter(script).scan(0_u32, |sum, item| { *sum += u32::from(item); *sum });
        prop_assert_eq!(drain(scanned), sums);
    }

    #[test]
    fn one_in_none_or_one_out(script in script(), count in 0..12_usize) {
        let all = items(&script);
        let even: Vec<u8> = all.iter().copied().filter(|item| item % 2 == 0).collect();
        prop_assert_eq!(drain(stutter(script.clone()).filter(|item| item % 2 == 0)), even.clone());
        let half = |item: u8| item.is_multiple_of(2).then_some(item / 2);
        let halves: Vec<u8> = even.iter().map(|item| item / 2).collect();
        prop_assert_eq!(drain(stutter(script.clone()).filter_map(half)), halves);
        let first: Vec<u8> = all.iter().copied().take(count).collect();
        prop_assert_eq!(drain(stutter(script.clone()).take(count)), first);
        let rest: Vec<u8> = all.iter().copied().skip(count).collect();
        prop_assert_eq!(drain(stutter(script).skip(count)), rest);
    }

    #[test]
    fn one_in_several_out(script in script()) {
        let all: Vec<u8> = items(&script).into_iter().flat_map(|item| 0..item).collect();
        prop_assert_eq!(drain(stutter(script).flat_map(|item| 0..item)), all);
    }

    #[test]
    fn buffers(script in script(), count in 1..6_usize) {
        let chunks: Vec<Vec<u8>> = items(&script).chunks(count).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(drain(stutter(script).buffer(count)), chunks);
    }

    #[test]
    fn what_was_there_already(script in script(), most in 0..6_usize) {
        let all = items(&script);
        prop_assert_eq!(drain(stutter(script.clone()).distinct(most)), distinct(&all, most));
        let parities: Vec<u8> = all.iter().map(|item| item % 2).collect();
        let by_parity = stutter(script.clone()).distinct_by(most, |item| item % 2).map(|item| item % 2);
        prop_assert_eq!(drain(by_parity), distinct(&parities, most));
        let mut changes = all;
        changes.dedup();
        prop_assert_eq!(drain(stutter(script).distinct_until_changed()), changes);
    }

    #[test]
    fn two_sources(left in script(), right in script()) {
        let (lefts, rights) = (items(&left), items(&right));
        let pairs: Vec<(u8, u8)> = lefts.iter().copied().zip(rights.iter().copied()).collect();
        prop_assert_eq!(drain(stutter(left.clone()).zip(stutter(right.clone()))), pairs);
        let right = stutter(right).map(Err);
        let merged = drain(stutter(left).map(Ok).merge(right));
        prop_assert_eq!(merged.iter().filter_map(|item| item.ok()).collect::<Vec<_>>(), lefts);
        prop_assert_eq!(merged.iter().filter_map(|item| item.err()).collect::<Vec<_>>(), rights);
    }

    #[test]
    fn errors_are_items(script in script()) {
        let all = items(&script);
        prop_assert_eq!(drain(results(script.clone()).recover(|error| error)), all.clone());
        let even: Vec<u8> = all.iter().copied().filter(|item| item % 2 == 0).collect();
        prop_assert_eq!(drain(results(script.clone()).on_error(|_| ())), even);
        let one = |item: u8| if item % 2 == 1 { vec![item; usize::from(item)] } else { vec![item] };
        let instead: Vec<u8> = all.iter().copied().flat_map(one).collect();
        let caught = results(script.clone())
            .catch(|error| stream::iter(vec![error; usize::from(error)]));
        prop_assert_eq!(drain(caught), instead);
        let first = all.iter().position(|item| item % 2 == 1).map_or(all.len(), |at| at + 1);
        let until: Vec<u8> = drain(results(script).until_error().map(|item| match item {
            Ok(value) | Err(value) => value,
        }));
        prop_assert_eq!(until, all[..first].to_vec());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn work_of_several_threads(script in script(), workers in 1..4_usize, in_flight in 1..8_usize) {
        let pool = Pool::new(workers).expect("threads");
        let all: Vec<u32> = items(&script).into_iter().map(|item| u32::from(item) + 1).collect();
        let work = |item: u8| {
            // Something for the others to overtake.
            (0..item).for_each(|_| std::thread::yield_now());
            u32::from(item) + 1
        };
        let flow = stutter(script.clone()).observe_on(&pool, in_flight, work);
        prop_assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), all.clone());
        let flow = stutter(script).observe_on_unordered(&pool, in_flight, work);
        prop_assert_eq!(sorted(smol::block_on(flow.collect::<Vec<_>>())), sorted(all));
    }
}
