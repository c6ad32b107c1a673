//! A real ring takes a plan as it is.

use slipring::{At, Builder, read, share, update};
use slipring_placement::Placement;

#[test]
fn stations_are_pinned_by_a_plan() {
    let plan = Placement::auto(["producer", "price", "risk", "risk", "ledger"]);
    let (mut producer, dispatcher) = Builder::new(64, || 0_u64)
        .then(update("price", |event: &mut u64, _| *event += 1).pin_each(plan.cores("price")))
        .then(share("risk", 2, |_| |_: &u64, _: At<'_>| {}).pin_each(plan.cores("risk")))
        .then(read("ledger", |event: &u64, _| assert!(*event > 0)).pin_each(plan.cores("ledger")))
        .start()
        .expect("a plan names only cores that can be had");
    for sequence in 0..1_000 {
        producer.publish(|event| *event = sequence).expect("nobody closes it");
    }
    drop(producer);
    assert_eq!(dispatcher.join().expect("nobody fails").published, 1_000);
}
