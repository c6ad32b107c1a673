//! The window against a list that is plainly right.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Do {
    Push(bool),
    Submit(usize),
    Confirm(usize),
    Lose,
    SetAside(usize),
}

fn dos() -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => any::<bool>().prop_map(Do::Push),
        4 => (1_usize..6).prop_map(Do::Submit),
        4 => (1_usize..6).prop_map(Do::Confirm),
        1 => Just(Do::Lose),
        1 => any::<usize>().prop_map(Do::SetAside),
    ]
}

/// What a receiver makes of what comes over the links: a chain for each lane.
fn is_chained(last: &mut [Option<u64>; 2], parcel: &Parcel) -> bool {
    let stamp = parcel.stamp.as_ref().unwrap();
    let lane = usize::from(stamp.lane.ends_with("!letters"));
    let is_next = stamp.previous == last[lane];
    last[lane] = Some(stamp.sequence);
    is_next
}

proptest! {
    #[test]
    fn what_is_confirmed_is_a_chain_and_the_prefix_is_true(
        dos in prop::collection::vec(dos(), 0..200), most in 1_usize..20,
    ) {
        let mut window = Window::new(most, "lane", [None; 2], 0);
        // What is not confirmed: lane, sequence. What was: also.
        let mut open: Vec<(usize, u64)> = Vec::new();
        let (mut next, mut chain, mut confirmed) = ([0_u64, 1 << 62], [None; 2], [None; 2]);
        for action in dos {
            match action {
                Do::Push(is_letter) => {
                    let lane = if is_letter { Lane::Letters } else { Lane::Events };
                    let sequence = next[lane as usize];
                    next[lane as usize] += 2;
                    window.push(lane, sequence, sequence, Parcel::new("a", "b"));
                    if lane == Lane::Events {
                        window.read_to(sequence + 2);
                    }
                    open.push((lane as usize, sequence));
                }
                Do::Submit(many) => {
                    let parcels = window.unsubmitted(many);
                    prop_assert!(parcels.len() <= many);
                    for (index, parcel) in parcels.iter().enumerate() {
                        let (_, sequence) = open[window.submitted() + index];
                        prop_assert_eq!(parcel.stamp.as_ref().unwrap().sequence, sequence);
                    }
                    let count = parcels.len();
                    window.note_submitted(count);
                    prop_assert!(window.submitted() <= most);
                }
                Do::Confirm(many) => {
                    let many = many.min(window.submitted());
                    for (_, sequence) in &open[..many] {
                        let (_, out) = window.find(*sequence).unwrap();
                        prop_assert!(is_chained(&mut chain, &out.parcel), "{:?}", out.parcel.stamp);
                    }
                    let letters = window.confirm(many);
                    let gone: Vec<_> = open.drain(..many).collect();
                    for (lane, sequence) in &gone {
                        confirmed[*lane] = Some(*sequence);
                    }
                    let wanted: Vec<u64> =
                        gone.iter().filter(|(lane, _)| *lane == 1).map(|(_, at)| *at).collect();
                    prop_assert_eq!(letters, wanted);
                }
                Do::Lose => window.link_lost(),
                Do::SetAside(_) if open.is_empty() => {}
                Do::SetAside(any) => {
                    let (lane, sequence) = open.remove(any % open.len());
                    let (index, out) = window.find(sequence).unwrap();
                    prop_assert_eq!((out.lane as usize, out.sequence), (lane, sequence));
                    window.take_out(index);
                    prop_assert_eq!(window.submitted(), 0);
                }
            }
            let first = open.iter().find(|(lane, _)| *lane == 0).map(|(_, sequence)| *sequence);
            prop_assert_eq!(window.prefix(), first.unwrap_or(next[0]));
            prop_assert_eq!(window.len(), open.len());
            prop_assert_eq!(window.confirmed(), confirmed);
        }
    }
}

#[test]
fn what_is_large_takes_room() {
    let mut window = Window::new(1_000, "lane", [None; 2], 0);
    for sequence in 0..9 {
        assert_eq!(window.room() > 0, sequence < 8, "{sequence}");
        window.push(Lane::Events, sequence, sequence, Parcel::new("a", vec![0; 8 << 20]));
    }
    window.note_submitted(1);
    window.confirm(1);
    assert_eq!(window.room(), 0);
    window.take_out(3);
    assert_eq!(window.room(), 993);
    while window.len() > 0 {
        window.note_submitted(1);
        window.confirm(1);
    }
    assert_eq!((window.room(), window.bytes), (1_000, 0));
}
