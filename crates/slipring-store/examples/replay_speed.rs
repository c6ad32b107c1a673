//! How fast events are replayed into a ring, beside the store's own scan: `cargo run --release --example replay_speed`.

use std::{
    hint::black_box,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use slipring::{Builder, read};
use slipring_events::Time;
use slipring_store::{Batch, CodecError, Durability, Entry, EventStore, Memory, Replay};

const EVENTS: u32 = 2_000_000;

fn rate(time: Duration) -> f64 {
    f64::from(EVENTS) / time.as_secs_f64() / 1e6
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Arc::new(Memory::new());
    let mut batch = Batch::new();
    for number in 0..EVENTS {
        batch.append(Entry::at(Time::from_nanos(1), "number", &[number as u8; 64]))?;
        if batch.len() == 1_000 {
            store.commit(&batch, Durability::Synced)?;
            batch.clear();
        }
    }
    for _ in 0..3 {
        let begun = Instant::now();
        store.scan(0, &mut |record| {
            black_box(record.payload);
            ControlFlow::Continue(())
        })?;
        let scanned = begun.elapsed();
        let mut sum = 0_u64;
        let (mut producer, dispatcher) = Builder::new(8_192, || [0_u8; 64])
            .then(read("sum", move |event: &[u8; 64], _| {
                sum += u64::from(event[0]);
                black_box(sum);
            }))
            .start()?;
        let begun = Instant::now();
        Replay::new(store.clone()).into_ring(
            &mut producer,
            || [0; 64],
            |record, event| {
                *event =
                    record.payload.try_into().map_err(|_| CodecError::unwritable("64 bytes"))?;
                Ok(())
            },
        )?;
        drop(producer);
        let report = dispatcher.join()?;
        let replayed = begun.elapsed();
        assert_eq!(report.published, u64::from(EVENTS));
        println!(
            "scan {:.1} M/s, replay into a ring {:.1} M/s, {:.2} times the time",
            rate(scanned),
            rate(replayed),
            replayed.as_secs_f64() / scanned.as_secs_f64()
        );
    }
    Ok(())
}
