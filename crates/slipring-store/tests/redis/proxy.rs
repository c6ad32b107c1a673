//! What stands between a store and its server, or in place of the server.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use crate::common::redis_server::RedisServer;

type Hook = Box<dyn FnOnce() + Send>;

/// Passes everything on, until it is told to lose an answer.
pub struct Proxy {
    directory: TempDir,
    lose: Arc<Mutex<Option<Hook>>>,
}

impl Proxy {
    pub fn before(server: &RedisServer) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("proxy.sock")).unwrap();
        let lose: Arc<Mutex<Option<Hook>>> = Arc::default();
        let (target, hook) = (server.socket(), lose.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, target, hook) = (client.unwrap(), target.clone(), hook.clone());
                // Nobody is there: nobody answers.
                if let Ok(server) = UnixStream::connect(target) {
                    join(client, server, hook);
                }
            }
        });
        Self { directory, lose }
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.directory.path().join("proxy.sock").display())
    }

    /// The next answer of the server gets lost, and the connection with it. In between, something happens.
    pub fn lose_an_answer(&self, meanwhile: impl FnOnce() + Send + 'static) {
        *self.lose.lock().unwrap() = Some(Box::new(meanwhile));
    }

    pub fn has_lost_it(&self) -> bool {
        self.lose.lock().unwrap().is_none()
    }
}

fn join(mut client: UnixStream, mut server: UnixStream, lose: Arc<Mutex<Option<Hook>>>) {
    let (mut questions, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        drop(std::io::copy(&mut questions, &mut asked));
        drop(asked.shutdown(Shutdown::Both));
    });
    thread::spawn(move || {
        let mut answer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = server.read(&mut answer) {
            if let Some(meanwhile) = lose.lock().unwrap().take() {
                meanwhile();
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

/// What the client wants to hear when it connects: it says which library it is, in two commands.
pub const GREETING: &[u8] = b"+OK\r\n+OK\r\n";

/// A server that says one thing after the other to whoever asks, then the last one a few times, and no more.
pub struct Liar(TempDir);

impl Liar {
    pub fn saying(answers: &[&[u8]]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("liar.sock")).unwrap();
        let mut answers: Vec<_> = answers.iter().map(|answer| answer.to_vec()).collect();
        let last = answers.last().unwrap().clone();
        answers.extend(std::iter::repeat_n(last, 5));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, answers) = (client.unwrap(), answers.clone());
                thread::spawn(move || {
                    let mut question = vec![0; 64 << 10];
                    for answer in answers {
                        let Ok(1..) = client.read(&mut question) else { return };
                        if client.write_all(&answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self(directory)
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.0.path().join("liar.sock").display())
    }
}
