//! Models of the order service. Run with `--nocapture` to see what was searched.

mod explore;
mod query;

use std::time::Duration;

use explore::explore;
use loom::thread;
use order_service::{Figures, PRICE, Service};
use query::{STOCK, assert_explained};
use slipring::{Poll, PublishError};

/// Every execution: 3 threads, ring of 1, 1 order; 326 executions in 0.1 s.
#[test]
fn a_query_while_stages_work() {
    explore("a query while stages work", None, query::a_query_while_stages_work);
}

/// Up to 2 preemptions: 4 threads, ring of 2, 2 orders; 3,240 executions in 1 s.
#[test]
fn two_gateways() {
    explore("two gateways", Some(2), || {
        let (mut first, service, mut inventory, mut revenue) =
            Service::open_polled(2, STOCK).expect("a ring of 2");
        let mut second = first.clone();
        let ordering = thread::spawn(move || second.try_order(2).expect("there is room for both"));
        let deducting = thread::spawn(move || {
            inventory.poll().expect("no stage fails");
            inventory
        });
        let recording = thread::spawn(move || {
            revenue.poll().expect("no stage fails");
            revenue
        });
        let board = service.board();
        first.try_order(1).expect("there is room for both");
        assert_explained(board.figures());

        ordering.join().unwrap();
        let (mut inventory, mut revenue) = (deducting.join().unwrap(), recording.join().unwrap());
        drop(first);
        while let Poll::Events(_) = inventory.poll().expect("no stage fails") {}
        while let Poll::Events(_) = revenue.poll().expect("no stage fails") {}
        assert_eq!(revenue.poll(), Ok(Poll::Closed));
        assert_eq!(board.figures(), Figures { available: 0, revenue: 3 * PRICE });
        assert!(service.join().expect("no stage fails").is_complete());
    });
}

/// Up to 1 preemption: 3 threads, two of them the service's own; ring of 2, 1 order; 1,403 executions
/// in 0.3 s.
#[test]
fn the_last_gateway_closes() {
    explore("the last gateway closes", Some(1), || {
        let (mut gateway, service) = Service::open(2, STOCK).expect("a ring of 2");
        let board = service.board();
        gateway.order(2).expect("the service is open");
        assert_explained(board.figures());
        drop(gateway);
        let report = service.join().expect("no stage fails");
        assert!(report.is_complete());
        assert_eq!(board.figures(), Figures { available: 1, revenue: 2 * PRICE });
    });
}

/// Up to 1 preemption: 4 threads, two of them the service's own; ring of 2, 1 order, which is taken or
/// refused; 9,053 executions in 2 s.
#[test]
fn shutdown_under_a_gateway() {
    explore("shutdown under a gateway", Some(1), || {
        let (mut gateway, service) = Service::open(2, STOCK).expect("a ring of 2");
        let board = service.board();
        let ordering = thread::spawn(move || match gateway.order(2) {
            Ok(()) => 1,
            Err(PublishError::Closed) => 0,
            Err(error) => panic!("{error}"),
        });
        assert_explained(board.figures());
        // The clock stands still: this is as long as it takes.
        let report = service.shutdown(Duration::from_secs(10)).expect("no stage fails");
        let taken = ordering.join().unwrap();
        assert_eq!(report.published, taken);
        assert!(report.is_complete());
        let figures = Figures { available: STOCK - 2 * taken, revenue: 2 * taken * PRICE };
        assert_eq!(board.figures(), figures);
    });
}
