//! Whoever waited for an event, or for a reply, was told what is true.

use slipring_events::{Fate, Reason};

use super::Truth;
use crate::{
    ends::{Evidence, Played},
    plan::{Order, Plan},
};

/// Whoever waited for an event was told what became of it.
pub fn receipts(plan: &Plan, evidence: &Evidence, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    for (number, sequence, answers) in &evidence.receipts {
        let Some(answers) = answers else {
            wrong.push(format!("nobody tells what became of {number} at {sequence}"));
            continue;
        };
        for played in &evidence.handlers {
            let of_it = answers.iter().filter(|(name, _)| *name == played.name);
            let told: Vec<&Fate> = of_it.map(|(_, fate)| fate).collect();
            if !is_right(plan, played, evidence, truth, (*number, *sequence), &told) {
                wrong.push(format!(
                    "{}: of {number} at {sequence} it is told {told:?}",
                    played.name
                ));
            }
        }
    }
}

fn is_right(
    plan: &Plan,
    played: &Played,
    evidence: &Evidence,
    truth: &Truth<'_>,
    (number, sequence): (u64, u64),
    told: &[&Fate],
) -> bool {
    let seen = truth.by_sequence.get(&sequence);
    let is_handled = played.notes.tries.iter().any(|one| one.number == number && one.is_ok);
    let is_known = seen.is_some_and(|seen| played.notes.known.contains(&seen.id));
    // Of a key all are given back together.
    let was_dead = played.given_back.contains(&number)
        || (played.plan.order == Order::ByKey && !played.given_back.is_empty());
    let is_dead = |(other, reason): &(u64, Reason)| *other == number && *reason != Reason::Unsent;
    let may_be_dead = was_dead
        || played.dropped > 0
        || played.letters.iter().any(is_dead)
        || played.purged.contains(&(number, false));
    let concerns = seen.is_some_and(|seen| {
        played.first <= sequence && played.plan.scope.wants(&seen.fact, &seen.topic)
    });
    match told {
        // Of one that came or left in this moment it may not know, nor of one that was done when the bus ended.
        [] => {
            let may_move = played.plan.comes_at > 0 || !played.has_stayed() || plan.is_cut_short();
            !concerns || is_handled || is_known || may_move || !evidence.is_done
        }
        [Fate::Failed(_)] => may_be_dead && (!is_handled || was_dead),
        [Fate::PassedOver] => !is_handled && sequence >= played.first,
        _ => false,
    }
}

/// Whoever asked has a reply that is on the ring, and none only if there is none.
pub fn replies(evidence: &Evidence, truth: &Truth<'_>, wrong: &mut Vec<String>) {
    for (question, reply) in &evidence.replies {
        let of = |played: &Played| -> Vec<u64> {
            let tries = played.notes.tries.iter();
            let ok = tries.filter(|one| one.is_ok && one.number == *question);
            let replies = ok.flat_map(|one| &one.follow_ups).filter(|next| next.is_reply);
            replies.map(|next| next.number).collect()
        };
        let replies: Vec<u64> = evidence.handlers.iter().flat_map(of).collect();
        let is_right = match reply {
            Some(reply) => replies.contains(reply),
            None => !replies.iter().any(|reply| truth.by_number.contains_key(reply)),
        };
        if !is_right {
            wrong.push(format!("{question} was replied to by {reply:?}, and there is {replies:?}"));
        }
    }
}
