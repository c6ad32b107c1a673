//! Whether everybody who had to be gone was so when a scope was over.

use super::Case;
use crate::{evidence::ScopeLeft, plan::Way};

pub fn check(case: Case<'_>, wrong: &mut Vec<String>) {
    let is_scoped = matches!(case.plan.finale.way, Way::Scope(_));
    let Some(ScopeLeft { heard, borrowers }) = &case.evidence.scope else {
        if is_scoped {
            wrong.push("nobody has looked at what the scope has left behind".to_owned());
        }
        return;
    };
    if *borrowers > 0 {
        wrong.push(format!("the scope is over, and {borrowers} handlers still borrow from it"));
    }
    // Guests do not borrow, and are awaited like everybody else. Who polls answers for itself.
    for (index, plan) in case.plan.everybody().enumerate() {
        if !plan.is_polled() && case.first(index).is_some() && !heard[index] {
            wrong.push(format!("{}: the scope is over, and its handler is still there", plan.name));
        }
    }
}
