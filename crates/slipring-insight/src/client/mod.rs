//! Looking at another program's rings.

mod error;
mod lines;

use std::time::Duration;

use slipring::Snapshot;

use crate::{
    Address, Hello,
    socket::Stream,
    told,
    wire::{FirstLine, Message, VERSION},
};
pub use error::FeedError;
use lines::Lines;

/// How long a server may take for the greeting, and beyond two intervals for each other line. So long may a read
/// wait, too: it may take twice that until a server is found to be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// What another program on this machine shows of its rings.
///
/// # Examples
/// ```
/// use slipring::{Builder, poller};
/// use slipring_insight::{Change, Feed, serve};
///
/// # let (mut producer, dispatcher) = Builder::new(8, || 0_u64).then(poller("risk")).start()?;
/// # let server = serve("orders", dispatcher.monitor(), &"127.0.0.1:0".parse()?)?;
/// # let address = server.address().to_string();
/// let mut feed = Feed::connect(&address.parse()?)?;
/// let (before, now) = (feed.next_update()?, feed.next_update()?);
/// let change = Change::between(&before.snapshot, &now.snapshot);
/// println!("{}: {:.0} events/s", feed.hello().rings[now.ring], change.publish_rate());
/// # drop(producer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Feed {
    hello: Hello,
    lines: Lines<Stream>,
    patience: Duration,
}

/// A look at one of the rings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Update {
    /// The ring, as its place in [`Hello::rings`].
    pub ring: usize,
    /// What was seen.
    pub snapshot: Snapshot,
}

impl Feed {
    /// Connects to where a program [shows its rings](crate::serve), and hears who it is.
    ///
    /// # Errors
    ///
    /// Returns [`FeedError::Connect`] if nobody is there, [`FeedError::Refused`] if too many look
    /// already, [`FeedError::Version`] if the two do not understand each other, and otherwise what
    /// [`Self::next_update`] returns.
    pub fn connect(address: &Address) -> Result<Self, FeedError> {
        let connect = |error| FeedError::Connect { address: address.clone(), error };
        let stream = Stream::connect(address).map_err(connect)?;
        // A read returns now and then, so that a server's slowness is noticed.
        stream.read_within(PATIENCE).map_err(connect)?;
        let mut lines = Lines::new(stream);
        let line = lines.next(PATIENCE)?;
        match serde_json::from_slice(line) {
            Ok(FirstLine::Hello { version: VERSION }) => {}
            Ok(FirstLine::Hello { version: theirs }) => {
                return Err(FeedError::Version { theirs, ours: VERSION });
            }
            Ok(FirstLine::Refused(reason)) => return Err(FeedError::Refused(reason)),
            Err(error) => return Err(FeedError::garbage(&error)),
        }
        match serde_json::from_slice(line) {
            Ok(Message::Hello(hello)) => {
                let interval = Duration::from_millis(hello.interval_ms);
                let patience = PATIENCE.saturating_add(interval.saturating_mul(2));
                Ok(Self { hello, lines, patience })
            }
            Ok(_) => Err(FeedError::garbage(&"no greeting")),
            Err(error) => Err(FeedError::garbage(&error)),
        }
    }

    /// Who shows its rings.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Waits for the next look at one of the rings; each comes once an interval.
    ///
    /// # Errors
    ///
    /// Returns [`FeedError::Ended`] when the program ends or stops serving, and other variants for a server that
    /// is silent, sends what is no snapshot, or too much. After an error there is nothing more to come.
    pub fn next_update(&mut self) -> Result<Update, FeedError> {
        let line = self.lines.next(self.patience)?;
        match serde_json::from_slice(line) {
            Ok(Message::Snapshot { ring, snapshot }) => self.checked(ring, *snapshot),
            Ok(Message::Refused(reason)) => Err(FeedError::Refused(reason)),
            Ok(Message::Hello(_)) => Err(FeedError::garbage(&"a second greeting")),
            Err(error) => Err(FeedError::garbage(&error)),
        }
    }

    /// What points to something points to something that is there.
    fn checked(&self, ring: usize, mut snapshot: Snapshot) -> Result<Update, FeedError> {
        let stations = snapshot.stations.len();
        let follows = || snapshot.stations.iter().flat_map(|station| &station.follows);
        if ring >= self.hello.rings.len() {
            Err(FeedError::garbage(&format_args!("ring {ring} of {}", self.hello.rings.len())))
        } else if let Some(unknown) = follows().find(|followed| **followed >= stations) {
            Err(FeedError::garbage(&format_args!("station {unknown} of {stations}")))
        } else {
            told::bound(&mut snapshot);
            Ok(Update { ring, snapshot })
        }
    }
}
