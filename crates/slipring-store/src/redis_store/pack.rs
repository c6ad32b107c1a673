//! `MessagePack`, of which a request needs arrays, bytes, numbers and `false`: the scripts of the server read it.

/// Something that is being packed.
#[derive(Debug, Default)]
pub(super) struct Pack(Vec<u8>);

impl Pack {
    /// The head of an array: its elements are to follow.
    pub(super) fn array(&mut self, elements: usize) -> &mut Self {
        let elements = u32::try_from(elements).expect("there are fewer than 2^32 of anything");
        self.0.push(0xdd);
        self.0.extend_from_slice(&elements.to_be_bytes());
        self
    }

    /// Bytes: a text, in the words of `MessagePack`, and Lua has no other texts.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).expect("nothing has 4 GiB");
        self.0.push(0xdb);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.0.push(0xcf);
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Bytes, or `false`.
    pub(super) fn maybe(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        if let Some(bytes) = bytes {
            return self.bytes(bytes);
        }
        self.0.push(0xc2);
        self
    }

    /// What was packed elsewhere.
    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.extend_from_slice(&other.0);
        self
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_others_read() {
        let mut pack = Pack::default();
        pack.array(3).bytes(b"ab").number(258).maybe(None);
        let read = b"\xdd\0\0\0\x03\xdb\0\0\0\x02ab\xcf\0\0\0\0\0\0\x01\x02\xc2";
        assert_eq!(pack.as_bytes(), read);
    }
}
