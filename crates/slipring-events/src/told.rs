//! What a handler tells of itself to whoever looks at its ring.

use std::sync::{Arc, OnceLock};

use slipring::{Calls, Figure};

use crate::{account::Account, card::Card, event::Event, times::Times};

/// Tells what is known of a handler, as soon as there is one.
pub(crate) fn teller<E: Event>(
    card: Arc<OnceLock<Arc<Card<E>>>>,
    times: Option<Times>,
) -> impl Fn(&mut Vec<Figure>) + Send + Sync + 'static {
    move |figures| {
        if let Some(card) = card.get() {
            tell(&card.account(), figures);
            figures.push(Figure::level("held", u64::from(card.is_held())));
        }
        if let Some(times) = &times {
            times.tell(figures);
        }
    }
}

/// What is in an account and not in the ring's: what nobody should have to look for comes first.
fn tell(account: &Account, figures: &mut Vec<Figure>) {
    figures.push(Figure::level("waiting", account.waiting));
    let counts = [
        ("dead", account.dead),
        ("lost", account.lost),
        ("unsent", account.unsent),
        ("requeued", account.requeued),
        ("caught up", account.caught_up),
        ("deferred", account.deferred),
        ("duplicates", account.duplicates),
        ("passed over", account.passed_over),
        ("filtered", account.filtered),
        ("follow-ups", account.follow_ups),
    ];
    figures.extend(counts.map(|(name, count)| Figure::count(name, count)));
}

/// The attempts that were made from one account to the next.
pub(crate) fn calls(before: &Account, now: &Account) -> Calls {
    let made = |account: &Account| account.handled + account.failures;
    Calls {
        made: made(now) - made(before),
        failed: now.failures - before.failures,
        retried: now.retries - before.retries,
    }
}
