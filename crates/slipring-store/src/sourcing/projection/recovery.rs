//! What a projection does about a store that has failed: whether it was written nobody can tell but the store itself.

use super::{names::Names, steps::Steps};
use crate::{
    Codec, StoreError,
    sourcing::{Halt, Projection},
};

impl<P: Projection, C: Codec<P::Event>> Steps<P, C> {
    /// It goes no further, or holds.
    pub(super) fn note_failure(&mut self, halt: &Halt) {
        if self.settings.when_store_fails.hold_by(halt).is_none() {
            self.halted = Some(halt.clone());
        }
    }

    /// Finds out where it is, if that is not known since a write has failed.
    pub(super) fn recover(&mut self) -> Result<(), Halt> {
        let Some(unsure) = self.unsure else { return Ok(()) };
        match self.names.checkpoint.get(&*self.store)? {
            Some(there) if there == self.position || there == unsure => self.position = there,
            _ => return Err(self.outrun()),
        }
        let active = Names::active(&*self.store, &self.names.name)?;
        self.is_shown = active == Some(self.names.version);
        self.has_older = self.is_shown && self.names.older(&*self.store)?.is_some();
        self.count_parked()?;
        self.unsure = None;
        Ok(())
    }

    /// What is parked, and which streams wait for that.
    pub(super) fn count_parked(&mut self) -> Result<(), StoreError> {
        let all = self.parked()?;
        self.parked = all.len() as u64;
        self.blocked.clear();
        for parked in all {
            self.block(parked.stream);
        }
        Ok(())
    }
}
