//! A query while stages work: three threads, ring of 1, one order.

use loom::thread;
use order_service::{Figures, PRICE, Service};
use slipring::Poll;

pub const STOCK: u64 = 3;

/// The service's promise to those who ask.
pub fn assert_explained(figures: Figures) {
    let sold = STOCK - figures.available;
    assert!(figures.revenue <= sold * PRICE, "more revenue than units sold explain: {figures:?}");
}

/// Each stage looks once, and finds the order or does not; the main thread asks meanwhile, and does
/// at the end what is left.
pub fn a_query_while_stages_work() {
    let (mut gateway, service, mut inventory, mut revenue) =
        Service::open_polled(1, STOCK).expect("a ring of 1");
    gateway.try_order(2).expect("the ring is empty");
    let deducting = thread::spawn(move || {
        inventory.poll().expect("no stage fails");
        inventory
    });
    let recording = thread::spawn(move || {
        revenue.poll().expect("no stage fails");
        revenue
    });
    let board = service.board();
    assert_explained(board.figures());

    let (mut inventory, mut revenue) = (deducting.join().unwrap(), recording.join().unwrap());
    drop(gateway);
    while let Poll::Events(_) = inventory.poll().expect("no stage fails") {}
    while let Poll::Events(_) = revenue.poll().expect("no stage fails") {}
    assert_eq!(revenue.poll(), Ok(Poll::Closed));
    assert_eq!(board.figures(), Figures { available: 1, revenue: 2 * PRICE });
    assert!(service.join().expect("no stage fails").is_complete());
}
