//! Steps that can be undone: all of them are done, or none.

use std::{fmt, panic::AssertUnwindSafe};

use crate::delivery::HandlerError;

/// The steps that are done so far, and how they are undone.
pub struct Rollback<'a> {
    undos: Vec<(&'static str, Undo<'a>)>,
}

type Undo<'a> = Box<dyn FnOnce() -> Result<(), HandlerError> + 'a>;

impl fmt::Debug for Rollback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.undos.iter().map(|(name, _)| name)).finish()
    }
}

/// A step has failed, and those before it were undone, the last one first.
#[derive(Debug)]
pub struct RolledBack {
    /// Why the step failed.
    pub cause: HandlerError,
    /// What could not be undone, and why: somebody has to look after it.
    pub not_undone: Vec<(&'static str, HandlerError)>,
}

impl fmt::Display for RolledBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; what was done before was undone", self.cause)?;
        for (index, (name, error)) in self.not_undone.iter().enumerate() {
            let but = if index == 0 { ", but not" } else { "," };
            write!(f, "{but} `{name}` ({error})")?;
        }
        Ok(())
    }
}

impl std::error::Error for RolledBack {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}

impl<'a> Rollback<'a> {
    /// Says how the step that was just done is undone.
    pub fn undo<R>(&mut self, name: &'static str, undo: impl FnOnce() -> R + 'a)
    where
        R: Undone,
    {
        self.undos.push((name, Box::new(|| undo().undone())));
    }

    fn roll_back(self) -> Vec<(&'static str, HandlerError)> {
        let undo = |(name, undo): (_, Undo<'a>)| {
            // One that panics must not keep the others from being undone.
            let undone = std::panic::catch_unwind(AssertUnwindSafe(undo));
            let error = undone.unwrap_or_else(|_| Err("it panicked".into())).err()?;
            Some((name, error))
        };
        self.undos.into_iter().rev().filter_map(undo).collect()
    }
}

/// What an undo may return: nothing, or a result.
pub trait Undone {
    /// Whether it went well.
    ///
    /// # Errors
    /// Why it did not.
    fn undone(self) -> Result<(), HandlerError>;
}

impl Undone for () {
    fn undone(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl<X: Into<HandlerError>> Undone for Result<(), X> {
    fn undone(self) -> Result<(), HandlerError> {
        self.map_err(Into::into)
    }
}

/// Does several steps. If one fails or panics, those that were done before it are undone, the last one first.
///
/// # Examples
/// ```
/// use slipring_events::all_or_nothing;
/// use std::cell::Cell;
///
/// let (stock, charged) = (Cell::new(10), Cell::new(0));
/// let order = |quantity: u32, is_solvent: bool| {
///     all_or_nothing(|steps| {
///         stock.set(stock.get() - quantity);
///         steps.undo("reserve", || stock.set(stock.get() + quantity));
///         if !is_solvent {
///             return Err("the card was refused");
///         }
///         charged.set(charged.get() + quantity * 5);
///         Ok(())
///     })
/// };
/// assert!(order(2, true).is_ok());
/// let error = order(3, false).unwrap_err();
/// assert_eq!(error.to_string(), "the card was refused; what was done before was undone");
/// assert_eq!((stock.get(), charged.get()), (8, 10));
/// ```
///
/// # Errors
/// Why a step has failed, and what could not be undone.
///
/// # Panics
/// If a step does, when what was done before has been undone.
pub fn all_or_nothing<'a, T, X: Into<HandlerError>>(
    steps: impl FnOnce(&mut Rollback<'a>) -> Result<T, X>,
) -> Result<T, RolledBack> {
    let mut rollback = Rollback { undos: Vec::new() };
    match std::panic::catch_unwind(AssertUnwindSafe(|| steps(&mut rollback))) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(cause)) => Err(RolledBack { cause: cause.into(), not_undone: rollback.roll_back() }),
        Err(payload) => {
            rollback.roll_back();
            std::panic::resume_unwind(payload)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn steps_are_undone_from_the_last_and_what_cannot_be_is_told() {
        let log = RefCell::new(Vec::new());
        let failed = all_or_nothing(|steps| {
            steps.undo("first", || log.borrow_mut().push("first"));
            steps.undo("second", || Err("no way back"));
            steps.undo("third", || -> () { panic!("worse") });
            steps.undo("fourth", || log.borrow_mut().push("fourth"));
            Err::<(), _>("fifth")
        });
        let told = failed.unwrap_err().to_string();
        assert_eq!(*log.borrow(), ["fourth", "first"]);
        let expected = "fifth; what was done before was undone, but not `third` (it panicked), \
                        `second` (no way back)";
        assert_eq!(told, expected);
    }

    #[test]
    fn what_a_panic_leaves_is_undone() {
        let log = RefCell::new(Vec::new());
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            all_or_nothing(|steps| {
                steps.undo("first", || log.borrow_mut().push("first"));
                assert!(!log.borrow().is_empty(), "on purpose");
                Ok::<(), HandlerError>(())
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(*log.borrow(), ["first"]);
    }

    #[test]
    fn what_has_succeeded_stays() {
        let log = RefCell::new(Vec::new());
        let done = all_or_nothing(|steps| {
            steps.undo("first", || log.borrow_mut().push("first"));
            Ok::<u32, HandlerError>(5)
        });
        assert_eq!((done.unwrap(), log.borrow().len()), (5, 0));
    }
}
