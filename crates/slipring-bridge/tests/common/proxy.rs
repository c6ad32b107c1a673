//! What stands between a program and its broker, and is not always reliable.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Passes everything on, until it is told otherwise. It listens at a port of this machine.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Nothing passes, and nothing is closed.
    stalls: AtomicBool,
    /// What the broker says does not arrive.
    loses_answers: AtomicBool,
    /// After so many bytes of the program everything is cut; not below 0.
    budget: AtomicI64,
    has_budget: AtomicBool,
    /// How often everything has been cut.
    cuts: AtomicUsize,
    ended: AtomicBool,
}

impl Proxy {
    /// One in front of a port of this machine.
    pub fn before(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::<State>::default();
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                // Nobody is there: nobody answers.
                if let (Ok(client), Ok(server)) =
                    (client, TcpStream::connect(("127.0.0.1", target)))
                {
                    join(&client, &server, &shared);
                }
            }
        });
        Self { port, state }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes any more, in either direction, until told otherwise; nothing is closed.
    pub fn stall(&self, stalls: bool) {
        self.state.stalls.store(stalls, Ordering::SeqCst);
    }

    /// What the broker says is thrown away from now on, until told otherwise.
    pub fn lose_answers(&self, loses: bool) {
        self.state.loses_answers.store(loses, Ordering::SeqCst);
    }

    /// After so many more bytes of the program, be it in the middle of a frame, everything is cut, once.
    pub fn cut_after(&self, bytes: usize) {
        self.state.budget.store(i64::try_from(bytes).expect("it is a size"), Ordering::SeqCst);
        self.state.has_budget.store(true, Ordering::SeqCst);
    }

    /// Cuts everything now.
    pub fn cut(&self) {
        self.state.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// How often everything has been cut.
    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.cut();
        // So that it sees it.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn join(client: &TcpStream, server: &TcpStream, state: &Arc<State>) {
    for (from, to, is_program) in [(client, server, true), (server, client, false)] {
        let (from, to) =
            (from.try_clone().expect("it is open"), to.try_clone().expect("it is open"));
        let state = state.clone();
        let cuts = state.cuts.load(Ordering::SeqCst);
        thread::spawn(move || {
            pass(&from, &to, is_program, &state, cuts);
            drop(from.shutdown(Shutdown::Both));
            drop(to.shutdown(Shutdown::Both));
        });
    }
}

/// Passes bytes on until one side has gone, or everything is cut.
fn pass(mut from: &TcpStream, mut to: &TcpStream, is_program: bool, state: &State, cuts: usize) {
    // It looks up now and then.
    from.set_read_timeout(Some(Duration::from_millis(5))).expect("it is no 0");
    let mut bytes = vec![0; 16 << 10];
    while state.cuts.load(Ordering::SeqCst) == cuts {
        let length = match from.read(&mut bytes) {
            Ok(length @ 1..) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            _ => return,
        };
        while state.stalls.load(Ordering::SeqCst) {
            if state.cuts.load(Ordering::SeqCst) != cuts {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let mut passed = length;
        if is_program && state.has_budget.load(Ordering::SeqCst) {
            let length = i64::try_from(length).expect("it is small");
            let left = state.budget.fetch_sub(length, Ordering::SeqCst);
            if left <= length && state.has_budget.swap(false, Ordering::SeqCst) {
                passed = usize::try_from(left.max(0)).expect("it is not below 0");
                drop(to.write_all(&bytes[..passed]));
                state.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
        if !is_program && state.loses_answers.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&bytes[..passed]).is_err() {
            return;
        }
    }
}
