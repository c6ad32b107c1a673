//! The service as it runs: two gateways, two stages, and a query thread on real threads.

use std::{thread, time::Duration};

use order_service::{PRICE, Service};

#[test]
fn figures_are_explained_at_any_time() {
    const STOCK: u64 = 10_000;
    let (first, service) = Service::open(64, STOCK).expect("a ring of 64");
    let second = first.clone();
    thread::scope(|scope| {
        for mut gateway in [first, second] {
            scope.spawn(move || {
                for _ in 0..1_500 {
                    gateway.order(4).expect("the service is open");
                }
            });
        }
        let board = service.board();
        scope.spawn(move || {
            while board.available() > 0 {
                let figures = board.figures();
                assert!(figures.revenue <= (STOCK - figures.available) * PRICE, "{figures:?}");
                thread::yield_now();
            }
        });
    });
    let board = service.board();
    let report = service.shutdown(Duration::from_secs(10)).expect("no stage fails");
    assert!(report.is_complete());
    assert_eq!(report.published, 3_000);
    assert_eq!((board.available(), board.figures().revenue), (0, STOCK * PRICE));
}
