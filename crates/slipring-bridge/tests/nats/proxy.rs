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

/// Passes everything on, until it has passed so many bytes of answers as it is told: then it cuts the connection.
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

    /// Cuts the connection after so many bytes more of answers; what comes with the last of them gets lost.
    pub fn cut_after(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    pub fn has_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) > i64::MAX / 2
    }
}

fn join(mut client: TcpStream, mut server: TcpStream, left: Arc<AtomicI64>) {
    let (mut questions, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        drop(std::io::copy(&mut questions, &mut asked));
        drop(asked.shutdown(Shutdown::Both));
    });
    thread::spawn(move || {
        let mut answer = vec![0; 4 << 10];
        while let Ok(length @ 1..) = server.read(&mut answer) {
            let bytes = i64::try_from(length).unwrap();
            if left.fetch_sub(bytes, Ordering::SeqCst) < bytes {
                left.store(i64::MAX, Ordering::SeqCst);
                break;
            }
            if client.write_all(&answer[..length]).is_err() {
                break;
            }
        }
        drop(client.shutdown(Shutdown::Both));
        drop(server.shutdown(Shutdown::Both));
    });
}
