//! Loss of power: of what was not synced, any part may be there.

use fastrand::Rng;
use slipring_events::Time;
use slipring_store::{Batch, Durability, EventStore, Retention};

use crate::{
    common::for_seeds,
    disk::{Disk, Failing, small},
    log::{Told, compare, fill},
};

/// What was told before the power went.
#[derive(Default)]
pub struct Story {
    pub told: Vec<Told>,
    pub durable: u64,
    pub last_begun: u64,
}

impl Story {
    /// Works until the disk fails, or for so many steps. An error ends it.
    pub fn work(
        &mut self,
        disk: &Disk,
        rng: &mut Rng,
        steps: usize,
        quick: bool,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let store = disk.open(&small().quick_repair(quick))?;
        self.durable = self.durable.max(store.bounds()?.durable);
        let mut batch = Batch::new();
        for _ in 0..steps {
            match rng.u8(..12) {
                0 => self.durable = store.sync()?,
                1 => {
                    let keep = Retention::everything().events(rng.u64(..400));
                    store.retain(&keep, Time::EPOCH)?;
                }
                kind => {
                    self.last_begun += 1;
                    let name = self.last_begun;
                    let events = if rng.u8(..40) == 0 { 5000 } else { rng.u32(1..30) };
                    fill(&mut batch, rng, name, events);
                    let durability =
                        if kind < 7 { Durability::Synced } else { Durability::Visible };
                    let committed = store.commit(&batch, durability)?;
                    let (first, end) = (committed.first, committed.end);
                    self.told.push(Told { first, end, name });
                    if durability == Durability::Synced {
                        self.durable = end;
                    }
                }
            }
        }
        // The program does not get to the end of its work.
        disk.fail(Failing::From(0));
        Ok(())
    }

    /// Forgets what was committed, but was not found again.
    pub fn lose(&mut self, end: u64) {
        self.told.retain(|told| told.end <= end);
    }
}

#[test]
fn what_was_synced_is_there_after_a_loss_of_power() {
    for_seeds("POWER_CUTS", 25, |mut rng| {
        let mut disk = Disk::new();
        let mut story = Story::default();
        // It is made in peace.
        drop(disk.open(&small()).unwrap());
        for _ in 0..rng.u8(1..4) {
            disk.fail(Failing::From(rng.u64(1..150)));
            let quick = rng.bool();
            let worked = story.work(&disk, &mut rng, 60, quick);
            // Or the power goes again while the store is being opened.
            disk = disk.cut(&mut rng);
            disk.fail(Failing::From(rng.u64(..20)));
            drop(disk.open(&small()));
            disk = disk.cut(&mut rng);
            let found = disk.open(&small()).unwrap_or_else(|error| {
                panic!("it does not open after {worked:?}: {error}");
            });
            compare(&found, &story.told, story.durable, story.last_begun);
            story.lose(found.bounds().unwrap().end);
            story.durable = found.bounds().unwrap().durable;
        }
    });
}
