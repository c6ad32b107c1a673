//! What is known of a round when it is over, and what all rounds have come to.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use slipring::{Detach, LagPolicy};
use slipring_events::{Account, EventId, Fate, LetterInfo, Reason, Receipt, Subscription, Time};

use crate::{
    facts::Fact,
    hands::Notes,
    plan::{HandlerPlan, How, Plan},
    round::{Present, Shared},
};

/// What all rounds have come to.
#[derive(Debug, Default)]
pub struct Sum {
    pub handled: u64,
    pub failures: u64,
    pub dead: u64,
    pub requeued: u64,
    pub purged: u64,
    pub dropped: u64,
    pub duplicates: u64,
    pub unknowable: u64,
    pub unrecorded: u64,
    pub passed_over: u64,
    pub late: u64,
    pub follow_ups: u64,
    pub delayed: u64,
    pub unsent: u64,
    pub receipts: u64,
    pub replies: u64,
    pub has_gone: u64,
    pub cut_short: u64,
}

impl Sum {
    pub fn has_everything(&self) -> bool {
        let Self { handled, failures, dead, requeued, purged, dropped, .. } = *self;
        let Self { duplicates, unknowable, unrecorded, passed_over, late, .. } = *self;
        let Self { follow_ups, delayed, receipts, replies, has_gone, cut_short, .. } = *self;
        let fates = [handled, failures, dead, requeued, purged, dropped, duplicates, passed_over];
        let others = [unknowable, unrecorded, late, follow_ups, delayed, receipts, replies];
        fates.iter().chain(&others).all(|count| *count > 0) && has_gone > 0 && cut_short > 0
    }
}

/// An event as the auditor has seen it: what was really on the ring.
#[derive(Clone, Debug)]
pub struct Seen {
    pub sequence: u64,
    pub fact: Fact,
    pub topic: Arc<str>,
    pub id: EventId,
    pub time: Time,
}

/// A handler that has played.
pub struct Played {
    pub name: String,
    pub plan: HandlerPlan,
    pub left: Option<How>,
    pub first: u64,
    pub account: Account,
    pub notes: Notes,
    /// How many steps were done and not undone.
    pub steps: usize,
    /// The numbers of those that are dead at the end, and why.
    pub letters: Vec<(u64, Reason)>,
    pub dropped: u64,
    /// And whether it was one that could not be sent.
    pub purged: Vec<(u64, bool)>,
    pub given_back: HashSet<u64>,
}

impl Played {
    /// Whether it was there to the end.
    pub fn has_stayed(&self) -> bool {
        self.left.is_none() && !self.has_gone()
    }

    /// Whether it has left because it lagged.
    pub fn has_gone(&self) -> bool {
        self.account.late > 0
            && self.plan.lag_limit.is_some_and(|(_, policy)| policy == LagPolicy::Detach)
    }

    /// Whether it may pass over events while it is there.
    pub fn skips(&self) -> bool {
        self.plan.lag_limit.is_some_and(|(_, policy)| policy == LagPolicy::SkipAhead)
    }
}

/// Number and sequence of an event, and who has not handled it; `None` if that was not told.
pub type Told = (u64, u64, Option<Vec<(String, Fate)>>);

/// What is known of a round when it is over.
pub struct Evidence {
    pub is_done: bool,
    pub truth: Vec<Seen>,
    pub auditor: Account,
    /// Publisher, number and sequence of each event that was taken.
    pub accepted: Vec<(usize, u64, u64)>,
    pub handlers: Vec<Played>,
    pub receipts: Vec<Told>,
    /// The number of each question, and that of its reply.
    pub replies: Vec<(u64, Option<u64>)>,
}

pub fn evidence(
    is_done: bool,
    truth: Vec<Seen>,
    auditor: Account,
    present: Vec<Present>,
    shared: &Shared,
) -> Evidence {
    let played = |(index, present)| conclude(index, present, shared);
    Evidence {
        is_done,
        truth,
        auditor,
        handlers: present.into_iter().enumerate().map(played).collect(),
        accepted: std::mem::take(&mut *shared.accepted.lock()),
        receipts: answers(shared),
        replies: replies(shared),
    }
}

pub fn count(evidence: &Evidence, sum: &mut Sum) {
    for played in &evidence.handlers {
        let Played { account, notes, purged, dropped, .. } = played;
        sum.handled += account.handled;
        sum.failures += account.failures;
        sum.dead += account.dead;
        sum.requeued += account.requeued;
        sum.duplicates += account.duplicates;
        sum.passed_over += account.passed_over;
        sum.late += account.late;
        sum.follow_ups += account.follow_ups;
        sum.unsent += account.unsent;
        sum.purged += purged.len() as u64;
        sum.dropped += dropped;
        sum.unknowable += notes.unknowable;
        let tries = notes.tries.iter();
        sum.unrecorded += tries.clone().filter(|one| one.went_well && !one.is_ok).count() as u64;
        let later = |one: &crate::hands::Next| one.delay.is_some();
        let handled = tries.filter(|one| one.is_ok);
        sum.delayed += handled
            .map(|one| one.follow_ups.iter().filter(|next| later(next)).count() as u64)
            .sum::<u64>();
        sum.has_gone += u64::from(played.has_gone());
    }
    sum.receipts += evidence.receipts.len() as u64;
    sum.replies += evidence.replies.iter().filter(|(_, reply)| reply.is_some()).count() as u64;
    sum.cut_short += u64::from(!evidence.is_done);
}

/// Its account when it has left.
pub fn gone(subscription: Subscription<Fact>, shared: &Shared) -> Account {
    subscription.unsubscribe(Detach::AtOnce, Plan::AMPLE).unwrap_or_else(|still| {
        shared.complain(still.to_string());
        still.subscription.account()
    })
}

fn conclude(index: usize, present: Present, shared: &Shared) -> Played {
    let Present { name, plan, log, ledger, rein, letters, first, left, account } = present;
    rein.join();
    let subscription = shared.subscriptions.lock()[index].take();
    let account = match (account, subscription) {
        (Some(account), _) => account,
        (None, Some(subscription)) => gone(subscription, shared),
        (None, None) => unreachable!("it was told to leave, and its account is not known"),
    };
    let told = |info: LetterInfo| {
        let letter = letters.get(info.id).expect("nobody meddles any more");
        (letter.envelope.payload.note().number, info.reason)
    };
    Played {
        name,
        plan,
        left,
        first,
        account,
        notes: std::mem::take(&mut *log.lock()),
        steps: ledger.lock().len(),
        letters: letters.list().into_iter().map(told).collect(),
        dropped: letters.dropped(),
        purged: of(index, &shared.purged),
        given_back: of(index, &shared.given_back).into_iter().collect(),
    }
}

fn of<T: Copy>(index: usize, list: &Mutex<Vec<(usize, T)>>) -> Vec<T> {
    list.lock().iter().filter(|(handler, _)| *handler == index).map(|(_, of_it)| *of_it).collect()
}

fn answers(shared: &Shared) -> Vec<Told> {
    let receipts = std::mem::take(&mut *shared.receipts.lock());
    let told = |(number, mut receipt): (u64, Receipt)| {
        let answers = receipt.wait(Duration::ZERO).ok();
        let answers = answers
            .map(|all| all.into_iter().map(|one| (one.handler.to_string(), one.fate)).collect());
        (number, receipt.published().sequence(), answers)
    };
    receipts.into_iter().map(told).collect()
}

fn replies(shared: &Shared) -> Vec<(u64, Option<u64>)> {
    let requests = std::mem::take(&mut *shared.requests.lock());
    let reply = |(number, mut request): (u64, slipring_events::Request<Fact>)| {
        let reply = request.wait(Duration::ZERO).ok();
        (number, reply.map(|fact| fact.note().number))
    };
    requests.into_iter().map(reply).collect()
}
