//! What a ring takes, by the count of an allocator that the program brings along.

use slipring::{Builder, Station, read, update};

use crate::{
    cell::{Cell, Scenario},
    event::{Payload, Staged, Words},
};

/// Bytes that are allocated now, in the whole program.
pub type HeapProbe = fn() -> usize;

/// Bytes that slipring's ring for this cell takes with its stations; thread stacks are not counted.
/// None if there is no such ring.
#[must_use]
pub fn ring_bytes(cell: &Cell, allocated: HeapProbe) -> Option<usize> {
    match (cell.scenario, cell.bytes) {
        (Scenario::Pipeline(stages), 24) => staged(cell, stages, allocated),
        (Scenario::Unicast | Scenario::Mpsc(_) | Scenario::Multicast(_), bytes) => match bytes {
            8 => plain::<Words<1>>(cell, allocated),
            16 => plain::<Words<2>>(cell, allocated),
            32 => plain::<Words<4>>(cell, allocated),
            64 => plain::<Words<8>>(cell, allocated),
            128 => plain::<Words<16>>(cell, allocated),
            256 => plain::<Words<32>>(cell, allocated),
            512 => plain::<Words<64>>(cell, allocated),
            1024 => plain::<Words<128>>(cell, allocated),
            _ => None,
        },
        _ => None,
    }
}

fn plain<P: Payload>(cell: &Cell, allocated: HeapProbe) -> Option<usize> {
    let before = allocated();
    let stations: Vec<Station<P, _>> = (0..cell.scenario.consumers())
        .map(|index| read(format!("c{index}"), |_: &P, _| {}))
        .collect();
    let builder = Builder::new(cell.capacity, P::default).then(stations);
    if let Scenario::Mpsc(producers) = cell.scenario {
        let (producer, dispatcher) = builder.start_multi().ok()?;
        let producers = vec![producer; usize::from(producers)];
        let taken = allocated().saturating_sub(before);
        drop(producers);
        dispatcher.join().ok()?;
        Some(taken)
    } else {
        let (producer, dispatcher) = builder.start().ok()?;
        let taken = allocated().saturating_sub(before);
        drop(producer);
        dispatcher.join().ok()?;
        Some(taken)
    }
}

fn staged(cell: &Cell, stages: u8, allocated: HeapProbe) -> Option<usize> {
    let before = allocated();
    let mut builder = Builder::new(cell.capacity, Staged::<0>::default);
    for index in 0..stages {
        builder = builder.then(update(format!("c{index}"), |_: &mut Staged<0>, _| {}));
    }
    let (producer, dispatcher) = builder.start().ok()?;
    let taken = allocated().saturating_sub(before);
    drop(producer);
    dispatcher.join().ok()?;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wait;

    #[test]
    fn every_shape_along_an_axis_can_be_built() {
        for scenario in [Scenario::Mpsc(3), Scenario::Multicast(2), Scenario::Pipeline(2)] {
            let cell = Cell::new(scenario, Wait::Yield, 1, 16, 8);
            assert_eq!(ring_bytes(&cell, || 0), Some(0), "{cell}");
        }
        let diamond = Cell::new(Scenario::Diamond, Wait::Yield, 1, 16, 8);
        assert_eq!(ring_bytes(&diamond, || 0), None);
    }
}
