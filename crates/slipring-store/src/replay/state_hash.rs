//! A state as a number that is the same everywhere.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

use crate::CodecError;

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// A hash of states: of their postcard, by FNV-1a in 64 bits. It is the same on every machine and in every version, as
/// long as the state is serialised the same: a `HashMap` is not, since its order is another each time; a `BTreeMap` is.
///
/// Equal states have equal hashes; that unequal ones have, too, has odds of one to 2^64. It is no protection against
/// somebody who wants it so.
///
/// # Examples
/// ```
/// use slipring_store::StateHash;
///
/// let hash = StateHash::of(&("lamps", 2_u32))?;
/// assert_eq!(hash, StateHash::of(&("lamps", 2_u32))?);
/// assert_ne!(hash, StateHash::of(&("lamps", 3_u32))?);
/// // Of several states, one behind the other:
/// let both = StateHash::new().with(&"lamps")?.with(&2_u32)?;
/// assert_eq!(both, hash);
/// assert_eq!(hash.to_string(), "1d442b5b5ca79463");
/// # Ok::<(), slipring_store::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateHash(u64);

impl StateHash {
    /// Of nothing.
    pub const fn new() -> Self {
        Self(BASIS)
    }

    /// Of a state.
    ///
    /// # Errors
    /// It has no form in postcard.
    pub fn of(state: &(impl Serialize + ?Sized)) -> Result<Self, CodecError> {
        Self::new().with(state)
    }

    /// Of what was hashed before, and a state behind it.
    ///
    /// # Errors
    /// It has no form in postcard.
    pub fn with(self, state: &(impl Serialize + ?Sized)) -> Result<Self, CodecError> {
        let hashed = postcard::serialize_with_flavor(state, Hashing(self.0));
        hashed.map(Self).map_err(CodecError::unwritable)
    }

    /// From its number.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// It as a number.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl Default for StateHash {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Bytes are hashed as they come, and kept nowhere.
struct Hashing(u64);

impl Flavor for Hashing {
    type Output = u64;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<u64> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_hash_of_the_bytes_in_every_version() {
        let of = |bytes: &[u8]| {
            bytes.iter().fold(StateHash::new(), |hash, byte| hash.with(byte).unwrap()).bits()
        };
        assert_eq!(of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn what_has_no_form_has_no_hash() {
        struct Formless;
        impl Serialize for Formless {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no form"))
            }
        }
        assert!(matches!(StateHash::of(&Formless), Err(CodecError::Unwritable(_))));
    }
}
