//! Postcard behind what is there already.

use postcard::{Error, ser_flavors::Flavor};
use serde::Serialize;

struct Onto<'a>(&'a mut Vec<u8>);

impl Flavor for Onto<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> Result<(), Error> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> Result<(), Error> {
        Ok(())
    }
}

/// Writes a value behind what is there, or nothing if it has no such form.
pub(crate) fn write<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let start = bytes.len();
    let written = postcard::serialize_with_flavor(value, Onto(bytes));
    if written.is_err() {
        bytes.truncate(start);
    }
    written
}
