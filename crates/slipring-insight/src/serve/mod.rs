//! Showing rings to other programs on the same machine.

mod desk;
mod error;

use std::{
    sync::mpsc::{self, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use slipring::Monitor;

use crate::{Address, Hello, socket::Listener, wire};
use desk::Desk;
pub use error::ServeError;

/// How often snapshots are made unless it is said.
const INTERVAL: Duration = Duration::from_millis(100);
/// Nobody reads faster, and each look reads cache lines that stations write.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// And at most: a clock can be asked for so much.
const INTERVAL_MAX: Duration = Duration::from_hours(24);
const CLIENTS_MAX: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);

/// Shows one ring, until what is returned is dropped: [`Service`] with its defaults.
///
/// # Errors
///
/// Returns a [`ServeError`] that says what to do if it cannot listen there.
///
/// # Examples
/// ```
/// use slipring::{Builder, poller};
/// use slipring_insight::{Feed, serve};
///
/// let (mut producer, dispatcher) = Builder::new(8, || 0_u64).then(poller("risk")).start()?;
/// producer.publish(|event| *event = 1)?;
/// let server = serve("orders", dispatcher.monitor(), &"127.0.0.1:0".parse()?)?;
///
/// let mut feed = Feed::connect(server.address())?; // In another program.
/// assert_eq!(feed.hello().rings, ["orders"]);
/// assert_eq!(feed.next_update()?.snapshot.published, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn serve(name: &str, monitor: Monitor, address: &Address) -> Result<Server, ServeError> {
    Service::new(name).ring(name, monitor).start(address)
}

/// What to show: a program's rings, and within what limits.
///
/// A single thread serves. It sends the same snapshots to all, at most one of each ring an interval, the last one to
/// whoever comes in between; and it waits for nobody: who does not take them gets fewer, and who takes none for too
/// long, hangs up or says anything is dropped. While nobody is connected it does nothing but look ten times a second whether somebody came.
///
/// # Examples
/// ```
/// use slipring::{Builder, poller};
/// use slipring_insight::Service;
/// use std::time::Duration;
///
/// let (orders, ring) = Builder::new(8, || 0_u64).then(poller("risk")).start()?;
/// let (trades, other) = Builder::new(8, || 0_u64).then(poller("book")).start()?;
/// let server = Service::new("exchange")
///     .ring("orders", ring.monitor())
///     .ring("trades", other.monitor())
///     .interval(Duration::from_millis(50))
///     .start(&"127.0.0.1:0".parse()?)?;
/// println!("slipring top {}", server.address());
/// # drop((orders, trades));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Service {
    program: String,
    rings: Vec<(String, Monitor)>,
    interval: Duration,
    clients_max: usize,
    patience: Duration,
}

impl Service {
    /// Of a program of this name, without rings yet.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            rings: Vec::new(),
            interval: INTERVAL,
            clients_max: CLIENTS_MAX,
            patience: PATIENCE,
        }
    }

    /// Shows this ring as well.
    #[must_use]
    pub fn ring(mut self, name: impl Into<String>, monitor: Monitor) -> Self {
        self.rings.push((name.into(), monitor));
        self
    }

    /// The time from one snapshot to the next: 100 ms unless it is said, and never less than 10 or more than a
    /// day.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        self
    }

    /// How many may look at the same time: 8 unless it is said. Others are told so, and sent away.
    #[must_use]
    pub fn clients_max(mut self, clients: usize) -> Self {
        self.clients_max = clients;
        self
    }

    /// For how long a client may leave lying what it was sent: 5 s unless it is said.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Listens, and serves on a thread of its own until the server is dropped.
    ///
    /// The file of a unix socket is its owner's alone (mode 0600). One that is left of a program that has
    /// crashed is replaced; of several servers that find it at the same time, one gets its place.
    ///
    /// # Errors
    ///
    /// Returns a [`ServeError`] that says what to do: among others [`ServeError::Taken`] if another program listens
    /// there, [`ServeError::NotASocket`] if the path is that of another kind of file, [`ServeError::TooLong`] if the
    /// system allows no such path.
    pub fn start(self, address: &Address) -> Result<Server, ServeError> {
        let (listener, address) = Listener::bind(address)?;
        let (stop, stopped) = mpsc::channel();
        let desk = Desk::new(self, listener);
        let thread = thread::Builder::new()
            .name("slipring-serve".to_owned())
            .spawn(move || desk.run(&stopped))
            .map_err(ServeError::Thread)?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    fn hello(&self) -> Hello {
        Hello {
            version: wire::VERSION,
            program: self.program.clone(),
            rings: self.rings.iter().map(|(name, _)| name.clone()).collect(),
            interval_ms: u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Rings that are shown. When it is dropped, all clients are sent a last look and disconnected, none is waited
/// for, and the thread has ended.
#[derive(Debug)]
pub struct Server {
    address: Address,
    /// Nothing is ever sent; dropping it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where they are shown, with the port that the system chose if that was left to it.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, its rings go on without it.
            let _ = thread.join();
        }
    }
}
