//! How the events of a program are read and written.

use std::sync::Arc;

use crate::{
    Codec, Record,
    sourcing::{ReadError, Upcasters},
};

/// A codec, with what stands before it.
#[derive(Debug)]
pub(crate) struct Forms<C> {
    pub codec: C,
    pub upcasters: Option<Arc<Upcasters>>,
}

impl<C> Forms<C> {
    pub fn new(codec: C) -> Self {
        Self { codec, upcasters: None }
    }

    /// The number of the form that is written.
    pub fn schema<E>(&self) -> u16
    where
        C: Codec<E>,
    {
        self.upcasters.as_ref().map_or_else(|| self.codec.schema(), |upcasters| upcasters.latest())
    }

    /// Calls with each event that a stored one has become, in order; mostly it is one.
    pub fn read<E>(&self, record: &Record<'_>, mut reader: impl FnMut(E)) -> Result<(), ReadError>
    where
        C: Codec<E>,
    {
        let read = |form: &Record<'_>| match self.codec.decode(form) {
            Ok(event) => {
                reader(event);
                Ok(())
            }
            Err(error) => Err(ReadError::of(record, error)),
        };
        let mut read = read;
        match &self.upcasters {
            Some(upcasters) => upcasters.each(record, read),
            None => read(record),
        }
    }
}
