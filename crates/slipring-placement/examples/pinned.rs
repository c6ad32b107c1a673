//! A ring whose stations are pinned by a plan: `cargo run -p slipring-placement --example pinned`.

use slipring::{Builder, read, update};
use slipring_placement::Placement;

#[derive(Default)]
struct Order {
    quantity: u64,
    total: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plan = Placement::auto(["producer", "price", "ledger"]);
    println!("{plan}\n");

    let price = update("price", |order: &mut Order, _| order.total = order.quantity * 5);
    let ledger = read("ledger", |order: &Order, at| println!("{}: {}", at.sequence(), order.total));
    let (mut producer, dispatcher) = Builder::new(1024, Order::default)
        // No cores, no pinning: a plan that has none for a station leaves it as it is.
        .then(price.pin_each(plan.cores("price")))
        .then(ledger.pin_each(plan.cores("ledger")))
        .start()?;
    for quantity in 1..=3 {
        producer.publish(|order| order.quantity = quantity)?;
    }
    drop(producer);
    println!("{}", dispatcher.join()?);
    Ok(())
}
