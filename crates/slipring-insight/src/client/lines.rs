//! Lines of bounded size, each within a bounded time.

use std::{
    io::{ErrorKind, Read},
    time::{Duration, Instant},
};

use super::FeedError;
use crate::wire::LINE_MAX;

const CHUNK: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    /// What was read: the line given last, and what has come behind it.
    bytes: Vec<u8>,
    /// How much of it was given.
    given: usize,
}

impl<R: Read> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, bytes: Vec::new(), given: 0 }
    }

    /// The next line, without its end.
    pub fn next(&mut self, patience: Duration) -> Result<&[u8], FeedError> {
        let start = Instant::now();
        self.bytes.drain(..self.given);
        self.given = 0;
        let mut searched = 0;
        loop {
            if let Some(end) = self.bytes[searched..].iter().position(|byte| *byte == b'\n') {
                self.given = searched + end + 1;
                return Ok(&self.bytes[..searched + end]);
            }
            searched = self.bytes.len();
            if searched > LINE_MAX {
                return Err(FeedError::TooLong { bytes_max: LINE_MAX });
            }
            if start.elapsed() > patience {
                return Err(FeedError::Silent(patience));
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), FeedError> {
        let mut chunk = [0; CHUNK];
        match self.reader.read(&mut chunk) {
            Ok(0) => Err(FeedError::Ended),
            Ok(read) => {
                self.bytes.extend_from_slice(&chunk[..read]);
                Ok(())
            }
            Err(error) => match error.kind() {
                // The time is looked at by the caller.
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Err(FeedError::Ended),
                _ => Err(FeedError::Broken(error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn lines(text: &[u8]) -> Lines<&[u8]> {
        Lines::new(text)
    }

    #[test]
    fn lines_come_whole_and_in_order() {
        let mut lines = lines(b"one\n\ntwo\nrest");
        for line in [&b"one"[..], b"", b"two"] {
            assert_eq!(lines.next(Duration::MAX).expect("it is there"), line);
        }
        assert!(matches!(lines.next(Duration::MAX), Err(FeedError::Ended)));
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let endless = iter::repeat_n(b'x', 2 * LINE_MAX).collect::<Vec<u8>>();
        let mut lines = lines(&endless);
        let error = lines.next(Duration::MAX);
        assert!(matches!(error, Err(FeedError::TooLong { bytes_max: LINE_MAX })));
    }

    /// Sends something, but never the end of a line.
    struct Dribble;

    impl Read for Dribble {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer[0] = b'x';
            Ok(1)
        }
    }

    #[test]
    fn a_line_has_its_time() {
        let mut lines = Lines::new(Dribble);
        let error = lines.next(Duration::from_micros(1));
        assert!(matches!(error, Err(FeedError::Silent(_))));
    }
}
