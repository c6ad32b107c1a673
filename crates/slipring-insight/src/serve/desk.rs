//! The thread that serves: one round after the other, none of which waits for a client.

use std::{
    io::{ErrorKind, Read, Write},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use super::Service;
use crate::{
    socket::{Listener, Stream},
    told,
    wire::{self, Message},
};

/// How often to look whether somebody has come.
const LOOK_OUT: Duration = Duration::from_millis(100);
/// How often to try again with a client that has not taken everything.
const TRY_AGAIN: Duration = Duration::from_millis(10);
/// So much of what a client says is read before it is dropped: what is left unread makes the end look like a
/// failure over there, and a request of ordinary length is not owed that.
const SAID_MAX: usize = 512;

pub(super) struct Desk {
    service: Service,
    listener: Listener,
    clients: Vec<Client>,
    /// When the next snapshots are to be sent.
    due: Instant,
    /// The last ones, as they are sent.
    latest: Vec<u8>,
}

/// Somebody who looks.
struct Client {
    stream: Stream,
    /// What it has not taken yet: the rest of whole lines.
    left: Vec<u8>,
    /// Since when there is something left.
    since: Instant,
}

impl Desk {
    pub fn new(service: Service, listener: Listener) -> Self {
        Self { service, listener, clients: Vec::new(), due: Instant::now(), latest: Vec::new() }
    }

    pub fn run(mut self, stopped: &Receiver<()>) {
        let mut pause = Duration::ZERO;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            pause = self.round(Instant::now());
        }
        let last = self.snapshots();
        for client in &mut self.clients {
            client.left.extend_from_slice(&last);
            client.send();
        }
    }

    /// Does what is due, and says for how long nothing will be.
    fn round(&mut self, now: Instant) -> Duration {
        self.clients.retain_mut(Client::is_there);
        self.take_in(now);
        if !self.clients.is_empty() {
            self.look_if_due(now);
        }
        let patience = self.service.patience;
        self.clients.retain_mut(|client| {
            client.send() && (client.left.is_empty() || now.duration_since(client.since) < patience)
        });
        let next = if self.clients.is_empty() {
            LOOK_OUT
        } else {
            self.due.saturating_duration_since(now)
        };
        let is_behind = self.clients.iter().any(|client| !client.left.is_empty());
        next.min(if is_behind { TRY_AGAIN } else { LOOK_OUT })
    }

    /// Takes in who has come. Errors are those of one connection, or of the moment.
    fn take_in(&mut self, now: Instant) {
        // As many as there is room for, and as many to be sent away: a crowd does not stop the round.
        for _ in 0..=self.service.clients_max {
            let Ok(stream) = self.listener.accept() else { return };
            let mut client = Client { stream, left: Vec::new(), since: now };
            if self.has_room() {
                wire::append(&mut client.left, &Message::Hello(self.service.hello()));
                // For those who are there already as well: nobody costs a look of their own.
                self.look_if_due(now);
                client.left.extend_from_slice(&self.latest);
                self.clients.push(client);
            } else {
                let others = self.clients.len();
                let reason = format!("{others} others are looking, and no more are let in");
                wire::append(&mut client.left, &Message::Refused(reason));
                client.send();
            }
        }
    }

    /// Looks, unless the last look is younger than the interval, and has it sent to all who can take it.
    fn look_if_due(&mut self, now: Instant) {
        if self.due > now {
            return;
        }
        self.due = now + self.service.interval;
        self.latest = self.snapshots();
        for client in self.clients.iter_mut().filter(|client| client.left.is_empty()) {
            client.left.extend_from_slice(&self.latest);
            client.since = now;
        }
    }

    /// Whether one more may look. Nobody is sent away for somebody who has gone since the round began.
    fn has_room(&mut self) -> bool {
        let clients_max = self.service.clients_max;
        if self.clients.len() >= clients_max {
            self.clients.retain_mut(Client::is_there);
        }
        self.clients.len() < clients_max
    }

    fn snapshots(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for (ring, (_, monitor)) in self.service.rings.iter().enumerate() {
            let mut snapshot = Box::new(monitor.snapshot());
            told::bound(&mut snapshot);
            wire::append(&mut lines, &Message::Snapshot { ring, snapshot });
        }
        lines
    }
}

impl Client {
    /// Whether it still looks. Who hangs up does not, and who says something takes this for something else.
    fn is_there(&mut self) -> bool {
        let said = self.stream.read(&mut [0; SAID_MAX]);
        said.is_err_and(|error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        })
    }

    /// Sends as much as is taken at once; false if the client is gone.
    fn send(&mut self) -> bool {
        while !self.left.is_empty() {
            match self.stream.write(&self.left) {
                Ok(0) => return false,
                Ok(taken) => drop(self.left.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
