//! Ports and unix sockets under one name.

#[cfg(unix)]
mod file;

#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::{Address, ServeError, address::Place};

/// How long to wait for a connection to be taken; on one machine that is at once, or something is wrong.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Takes connections without waiting for them.
#[derive(Debug)]
pub(crate) enum Listener {
    Port(TcpListener),
    #[cfg(unix)]
    Socket {
        /// Dropped before the listener: as long as that listens, nobody else takes the file for one that was left.
        #[allow(dead_code, reason = "removed when it is dropped")]
        file: file::SocketFile,
        listener: UnixListener,
    },
}

impl Listener {
    /// Listens, and says where.
    pub fn bind(address: &Address) -> Result<(Self, Address), ServeError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => ServeError::Taken { address: address.clone() },
            _ => ServeError::Listen { address: address.clone(), error },
        };
        match address.place() {
            Place::Port(port) => Self::bind_port(port).map_err(failed),
            #[cfg(unix)]
            Place::Socket(path) => {
                let (listener, file) = file::bind(path)?;
                listener.set_nonblocking(true).map_err(failed)?;
                Ok((Self::Socket { file, listener }, address.clone()))
            }
            #[cfg(not(unix))]
            Place::Socket(_) => Err(failed(io::ErrorKind::Unsupported.into())),
        }
    }

    fn bind_port(port: &SocketAddr) -> io::Result<(Self, Address)> {
        let listener = TcpListener::bind(port)?;
        listener.set_nonblocking(true)?;
        let bound = Address::port(listener.local_addr()?).map_err(io::Error::other)?;
        Ok((Self::Port(listener), bound))
    }

    /// Somebody who has come, with whom nothing waits either.
    pub fn accept(&self) -> io::Result<Stream> {
        let stream = match self {
            Self::Port(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                Stream::Port(stream)
            }
            #[cfg(unix)]
            Self::Socket { listener, .. } => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Stream::Socket(stream)
            }
        };
        Ok(stream)
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Port(TcpStream),
    #[cfg(unix)]
    Socket(UnixStream),
}

impl Stream {
    pub fn connect(address: &Address) -> io::Result<Self> {
        match address.place() {
            Place::Port(address) => {
                TcpStream::connect_timeout(address, CONNECT_WITHIN).map(Self::Port)
            }
            #[cfg(unix)]
            Place::Socket(path) => file::connect(path).map(Self::Socket),
            #[cfg(not(unix))]
            Place::Socket(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// How long a read may wait.
    pub fn read_within(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Port(stream) => stream.set_read_timeout(Some(timeout)),
            #[cfg(unix)]
            Self::Socket(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Port(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Socket(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Port(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Socket(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
