//! The same work without a ring: one plain loop, and the comparison with what the ring gave.

use crate::input::Source;
use crate::order::{Books, Inventory, Ledger, Order, Record, Risk};

/// Processes the orders of `source` in a given sequence, one after the other.
fn replay(source: &Source, sequence: &[u32], mut inventory: Inventory) -> Result<Books, String> {
    let mut risk = Risk::default();
    let mut ledger = Ledger::default();
    let mut record = Record::with_capacity(sequence.len());
    for &index in sequence {
        let mut order = Order::new(index, source.get(index), 0);
        order.create();
        risk.note(&order);
        ledger.book(&order);
        inventory.fill(&mut order)?;
        record.note(&order);
    }
    Ok(Books { risk, ledger, inventory, record })
}

/// Checks what the stations of the ring kept; every difference gives one line.
///
/// A replay alone would not notice an order that the ring lost or doubled, because it repeats
/// what the ring did. So the sequence is checked first.
pub(crate) fn differences(
    source: &Source,
    producers: u32,
    stock: Inventory,
    found: &Books,
) -> Vec<String> {
    let sequence = &found.record.sequence;
    let mut differences = sequence_flaws(sequence, source.len().unwrap_or(0), producers);
    if !differences.is_empty() {
        return differences;
    }
    match replay(source, sequence, stock) {
        Ok(expected) => compare(&expected, found, &mut differences),
        Err(error) => differences.push(format!("the plain loop failed: {error}")),
    }
    differences
}

/// Checks that the sequence has each order once, and those of one producer as it sent them.
fn sequence_flaws(sequence: &[u32], events: u32, producers: u32) -> Vec<String> {
    let mut flaws = Vec::new();
    // Producer p sends the orders p, p + producers, p + 2 * producers and so on.
    let mut next: Vec<u64> = (0..u64::from(producers)).collect();
    let mut misplaced = 0_u64;
    let mut first_misplaced = None;
    for (position, &index) in sequence.iter().enumerate() {
        let next = &mut next[(index % producers) as usize];
        if index >= events || u64::from(index) != *next {
            misplaced += 1;
            first_misplaced.get_or_insert((position, index));
        }
        *next = u64::from(index) + u64::from(producers);
    }
    if let Some((position, index)) = first_misplaced {
        flaws.push(format!(
            "{misplaced} order(s) did not follow the one their producer sent before, the first \
             being order {index} at sequence {position}"
        ));
    }
    if sequence.len() != events as usize {
        flaws.push(format!("{} orders came out of {events} sent", sequence.len()));
    }
    flaws
}

/// Compares the books field by field.
fn compare(expected: &Books, found: &Books, differences: &mut Vec<String>) {
    let mut check = |what: &str, same: bool, detail: String| {
        if !same {
            differences.push(format!("{what}: {detail}"));
        }
    };
    let (risk, ledger) = (&expected.risk, &expected.ledger);
    check(
        "totals per customer",
        risk.totals == found.risk.totals,
        count_different(
            risk.totals.iter().filter(|(id, total)| found.risk.totals.get(id) != Some(total)),
        ),
    );
    check(
        "orders over the credit limit",
        risk.over_limit == found.risk.over_limit,
        format!("{} instead of {}", found.risk.over_limit, risk.over_limit),
    );
    check("ledger", *ledger == found.ledger, format!("{:?} instead of {ledger:?}", found.ledger));
    let stock = expected.inventory.stock.iter().zip(&found.inventory.stock);
    check(
        "stock per product",
        expected.inventory == found.inventory,
        count_different(stock.filter(|(expected, found)| expected != found)),
    );
    let back_orders = expected.record.back_orders.iter().zip(&found.record.back_orders);
    check(
        "back-orders",
        expected.record.back_orders == found.record.back_orders,
        format!(
            "{} instead of {}, {}",
            found.record.back_orders.len(),
            expected.record.back_orders.len(),
            count_different(back_orders.filter(|(expected, found)| expected != found))
        ),
    );
    check(
        "final fields of the orders",
        expected.record.digest == found.record.digest,
        format!("hash {:#x} instead of {:#x}", found.record.digest, expected.record.digest),
    );
}

/// Says how many entries differ.
fn count_different(entries: impl Iterator) -> String {
    format!("{} entries differ", entries.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source = Source::Generated { seed: 1, events: 6 };

    fn stock() -> Inventory {
        Inventory::plan(SOURCE.iter(), 1)
    }

    fn books(sequence: &[u32]) -> Books {
        replay(&SOURCE, sequence, stock()).unwrap()
    }

    fn found(books: &Books) -> Vec<String> {
        differences(&SOURCE, 2, stock(), books)
    }

    #[test]
    fn any_mix_of_the_producers_is_right() {
        for sequence in [[0, 1, 2, 3, 4, 5], [1, 0, 3, 5, 2, 4], [0, 2, 4, 1, 3, 5]] {
            assert_eq!(found(&books(&sequence)), Vec::<String>::new());
        }
    }

    #[test]
    fn a_lost_a_doubled_and_a_displaced_order_are_noticed() {
        for sequence in [
            &[0, 1, 2, 3, 4][..],
            &[0, 2, 4, 3, 5],
            &[0, 0, 1, 2, 3, 4, 5],
            &[0, 1, 1, 3, 4, 5],
            &[2, 0, 4, 1, 3, 5],
        ] {
            assert!(!found(&books(sequence)).is_empty(), "{sequence:?}");
        }
    }

    #[test]
    fn an_order_that_nobody_sent_is_noticed() {
        let mut books = books(&[0, 1, 2, 3, 4, 5]);
        books.record.sequence[5] = 7;
        assert!(!found(&books).is_empty());
    }

    #[test]
    fn each_book_is_compared() {
        type Tamper = fn(&mut Books);
        let tampers: [(&str, Tamper); 6] = [
            ("totals", |books| {
                books.risk.totals.insert(u32::MAX, 1);
            }),
            ("credit limit", |books| books.risk.over_limit += 1),
            ("ledger", |books| books.ledger.checksum += 1),
            ("stock", |books| books.inventory.stock[3] += 1),
            ("back-orders", |books| books.record.back_orders.push(0)),
            ("final fields", |books| books.record.digest += 1),
        ];
        for (what, tamper) in tampers {
            let mut books = books(&[0, 1, 2, 3, 4, 5]);
            tamper(&mut books);
            let differences = found(&books);
            assert_eq!(differences.len(), 1, "{what}: {differences:?}");
            assert!(differences[0].contains(what), "{differences:?}");
        }
    }
}
