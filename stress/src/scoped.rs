//! A round in a scope: its handlers borrow from the stack, and all of them are gone when the scope is over.

use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use slipring::{Dispatcher, Producer, Report, ScopeError};

use crate::{
    event::Event,
    evidence::{Account, Act, Cause, ON_PURPOSE, ScopeLeft, panic_on_purpose},
    plan::{Plan, ScopeEnd},
    producers::Renew,
    ring,
    round::{Outcome, Play, not_started},
    script::Script,
    shared::Shared,
};

/// What handlers write to: a share of their own, or what lies on the stack of a scope.
#[derive(Clone, Debug)]
pub enum Record<'a> {
    Own(Arc<Shared>),
    Lent(Loan<'a>),
}

impl Deref for Record<'_> {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        match self {
            Self::Own(shared) => shared,
            Self::Lent(loan) => &loan.0.shared,
        }
    }
}

/// What the handlers of a scope borrow.
#[derive(Debug)]
pub struct Stack {
    shared: Arc<Shared>,
    borrowers: AtomicUsize,
}

impl Stack {
    fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), borrowers: AtomicUsize::new(0) }
    }

    fn lend(&self) -> Record<'_> {
        Record::Lent(Loan::of(self))
    }

    /// What there is of everybody, and of the handlers, now.
    fn left(&self, plan: &Plan) -> ScopeLeft {
        let everybody = 0..plan.everybody().count();
        ScopeLeft {
            heard: everybody.map(|index| self.shared.has_testified(index)).collect(),
            borrowers: self.borrowers.load(Ordering::Acquire),
        }
    }
}

/// Counts as a borrower for as long as it lives.
#[derive(Debug)]
pub struct Loan<'a>(&'a Stack);

impl<'a> Loan<'a> {
    fn of(stack: &'a Stack) -> Self {
        stack.borrowers.fetch_add(1, Ordering::Relaxed);
        Self(stack)
    }
}

impl Clone for Loan<'_> {
    fn clone(&self) -> Self {
        Self::of(self.0)
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.0.borrowers.fetch_sub(1, Ordering::Release);
    }
}

type Ended = Result<((), Report), ScopeError<()>>;

/// Runs a round in a scope whose closure ends as `end` says.
pub fn run<E: Event>(plan: &Plan, shared: &Arc<Shared>, end: ScopeEnd) -> Outcome {
    let stack = Stack::new(shared);
    let (ring, scripts) = ring::describe::<E>(plan, &stack.lend(), shared);
    let mut body = Body { plan, shared, end, scripts, play: None };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        if plan.is_multi {
            ring.scope_multi(|producer, dispatcher| {
                let mut producers = vec![producer.clone(); plan.producers.len() - 1];
                producers.push(producer);
                body.run(producers, dispatcher);
            })
        } else {
            ring.scope(|producer, dispatcher| body.run(vec![producer], dispatcher))
        }
    }));
    // At once: what comes later has come too late.
    let left = stack.left(plan);
    shared.begin(Act::After);
    let Body { scripts, play, .. } = body;
    let Some(mut round) = play else {
        return match ended {
            Ok(Err(ScopeError::NotStarted(error))) => not_started(plan, shared, &error, scripts),
            other => panic!("the scope did not call its closure: {other:?}"),
        };
    };
    let (cause, account) = how_it_ended(plan, end, ended, &mut round.complaints);
    let mut evidence = round.end(cause, account);
    evidence.closes += u32::from(end == ScopeEnd::Closes);
    evidence.halts += u32::from(end == ScopeEnd::Halts);
    evidence.scope = Some(left);
    Outcome::Ran(Box::new(evidence))
}

/// What the closure of a scope needs, and leaves.
struct Body<'a> {
    plan: &'a Plan,
    shared: &'a Arc<Shared>,
    end: ScopeEnd,
    scripts: Vec<Script<'static>>,
    play: Option<Play<'a>>,
}

impl Body<'_> {
    fn run<E: Event, C: Renew + 'static>(
        &mut self,
        producers: Vec<Producer<E, C>>,
        dispatcher: &mut Dispatcher<E>,
    ) where
        Producer<E, C>: Send,
    {
        let scripts = std::mem::take(&mut self.scripts);
        let play = Play::begin(self.plan, self.shared, producers, dispatcher, scripts);
        self.play.insert(play).go_on();
        self.shared.is_closing.store(true, Ordering::Release);
        self.shared.begin(Act::During);
        match self.end {
            ScopeEnd::Returns => return,
            ScopeEnd::Panics => panic_on_purpose(),
            ScopeEnd::Closes => dispatcher.close(),
            ScopeEnd::Halts => dispatcher.halt(),
        }
        self.shared.is_closed.store(true, Ordering::Release);
    }
}

/// Whether the scope tells how its closure and its ring have ended.
fn how_it_ended(
    plan: &Plan,
    end: ScopeEnd,
    ended: std::thread::Result<Ended>,
    complaints: &mut Vec<String>,
) -> (Cause, Option<Account>) {
    let (cause, report) = match ended {
        Ok(Ok(((), report))) => (Cause::Drained, report),
        Ok(Err(ScopeError::Fault { fault, report, value: () })) => {
            (Cause::Fault((&fault).into()), report)
        }
        Ok(Err(error)) => panic!("it was started, and yet: {error}"),
        Err(payload) => {
            if end != ScopeEnd::Panics || payload.downcast_ref::<&str>() != Some(&ON_PURPOSE) {
                complaints.push("the scope panicked by itself".to_owned());
            }
            return (Cause::Dropped { may_be_halted: false }, None);
        }
    };
    if end == ScopeEnd::Panics {
        complaints.push("the scope's closure has panicked, and the scope has not".to_owned());
    }
    let account = Account::of(&report, plan).unwrap_or_else(|complaint| panic!("{complaint}"));
    (cause, Some(account))
}
