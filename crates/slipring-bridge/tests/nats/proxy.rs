//! What stands between a link and its server.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use crate::common::nats_server::NatsServer;

/// Passes everything on, until it has passed so many bytes as it is told: then it cuts the connection, both ways.
pub struct Proxy {
    port: u16,
    left: Arc<AtomicI64>,
}

impl Proxy {
    pub fn before(server: &NatsServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let (target, counter) = (server.port(), left.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // Nobody is there: nobody answers.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
                    join(client, server, counter.clone());
                }
            }
        });
        Self { port, left }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Cuts the connection after so many bytes more, be it in the midst of a message or of an answer.
    pub fn cut_after(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    pub fn has_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) > i64::MAX / 2
    }
}

fn join(client: TcpStream, server: TcpStream, left: Arc<AtomicI64>) {
    let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let counter = left.clone();
    thread::spawn(move || pass(forth, server, &counter));
    thread::spawn(move || pass(back, client, &left));
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64) {
    let mut some = vec![0; 4 << 10];
    while let Ok(length @ 1..) = from.read(&mut some) {
        let bytes = i64::try_from(length).unwrap();
        let before = left.fetch_sub(bytes, Ordering::SeqCst);
        if before < bytes {
            // The rest of it gets there still.
            let rest = usize::try_from(before.max(0)).unwrap();
            drop(to.write_all(&some[..rest]));
            left.store(i64::MAX, Ordering::SeqCst);
            break;
        }
        if to.write_all(&some[..length]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
