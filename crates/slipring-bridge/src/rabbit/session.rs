//! A connection with a channel on it, and what its errors mean.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use futures_util::future::{MaybeDone, maybe_done};
use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    runtime::default_runtime,
    uri::{AMQPScheme, AMQPUri},
};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Rabbit;
use crate::LinkError;

/// A connection and its first channel. When it is dropped, the line to the server is cut, whatever the server does.
pub(super) struct Session {
    pub(super) channel: Channel,
    pub(super) connection: Connection,
    pub(super) patience: Duration,
    _line: Line,
}

impl Session {
    /// Signs in, and opens a channel.
    ///
    /// The caller sees to it that this does not take too long: dropped half-way, it leaves nothing behind.
    pub(super) async fn open(rabbit: &Rabbit) -> Result<Self, LinkError> {
        const DOING: &str = "connecting";
        let (address, tls) = (rabbit.address()?, rabbit.tls()?);
        let line = Line::new();
        let (socket, ended) = (line.socket.clone(), line.ended.subscribe());
        let runtime = default_runtime().map_err(|error| failed(DOING, &error))?;
        let properties = ConnectionProperties::default()
            .with_connection_name(rabbit.name.as_str().into())
            .with_client_property("product".into(), "slipring".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        // It runs on the connection's own thread, where nobody else could break it off.
        let connect = Connection::connector(
            address,
            runtime,
            async move |address: AMQPUri, runtime| {
                let mut ended = ended.clone();
                let (host, port) = (address.authority.host.clone(), address.authority.port);
                let connect = async {
                    // Not by the client's own way, which panics if the runtime ends meanwhile.
                    let places = tokio::net::lookup_host((host.as_str(), port)).await?;
                    let places: Vec<SocketAddr> = places.collect();
                    let stream = AsyncTcpStream::connect(&runtime, places).await?;
                    if let AsyncTcpStream::Plain(stream) = &stream {
                        socket.keep(stream.get_ref())?;
                    }
                    match address.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => stream.into_tls(&host, tls.as_ref()).await,
                    }
                };
                let stream = tokio::select! {
                    stream = connect => stream,
                    _ = ended.changed() => Err(io::ErrorKind::ConnectionAborted.into()),
                };
                Ok(stream?)
            },
            properties,
        );
        let connection = connect.await.map_err(|error| match error.kind() {
            ErrorKind::ParsingError(_) => LinkError::refused(
                DOING,
                format_args!("{error}: what answers there speaks no AMQP 0-9-1"),
            ),
            _ => failed(DOING, &error),
        })?;
        let channel = connection.create_channel().await.map_err(|error| failed(DOING, &error))?;
        Ok(Self { channel, connection, patience: rabbit.patience, _line: line })
    }

    /// Another channel on the same connection.
    pub(super) async fn another(&self) -> Result<Channel, LinkError> {
        self.connection.create_channel().await.map_err(|error| failed("opening a channel", &error))
    }

    /// Ends it in good order, if the server is quick about it.
    pub(super) async fn close(self) {
        let goodbye = self.connection.close(200, "goodbye".into());
        drop(tokio::time::timeout(self.patience, goodbye).await);
    }
}

/// Cuts the line to the server when it is dropped: the connection's thread ends with it, be it that the server has not
/// said a word yet, or never says one again.
struct Line {
    socket: Arc<Socket>,
    /// Nobody sends anything: it ends when it is dropped.
    ended: watch::Sender<()>,
}

impl Line {
    fn new() -> Self {
        Self { socket: Arc::default(), ended: watch::channel(()).0 }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.socket.cut();
    }
}

/// The socket of a connection, a second time.
#[derive(Default)]
struct Socket(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Nothing,
    Open(std::net::TcpStream),
    Cut,
}

impl Socket {
    fn keep(&self, stream: &tokio::net::TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let stream = doubled(stream)?;
        let mut state = self.0.lock();
        if matches!(*state, State::Cut) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        *state = State::Open(stream);
        Ok(())
    }

    fn cut(&self) {
        let state = std::mem::replace(&mut *self.0.lock(), State::Cut);
        if let State::Open(stream) = state {
            // Not so if it is closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

#[cfg(unix)]
fn doubled(stream: &tokio::net::TcpStream) -> io::Result<std::net::TcpStream> {
    use std::os::fd::AsFd;
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn doubled(stream: &tokio::net::TcpStream) -> io::Result<std::net::TcpStream> {
    use std::os::windows::io::AsSocket;
    Ok(stream.as_socket().try_clone_to_owned()?.into())
}

/// What an error of the client means for a link.
pub(super) fn failed(doing: &'static str, error: &lapin::Error) -> LinkError {
    let is_refusal = match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(kind) => !matches!(kind, AMQPSoftError::NOCONSUMERS),
            AMQPErrorKind::Hard(kind) => matches!(
                kind,
                AMQPHardError::INVALIDPATH
                    | AMQPHardError::NOTALLOWED
                    | AMQPHardError::NOTIMPLEMENTED
                    | AMQPHardError::COMMANDINVALID
                    | AMQPHardError::RESOURCEERROR
            ),
        },
        // The other side speaks another protocol or another version of it, or its certificate is not to be trusted.
        ErrorKind::InvalidProtocolVersion(_) | ErrorKind::AuthProviderError(_) => true,
        ErrorKind::IOError(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    };
    if is_refusal { LinkError::refused(doing, error) } else { LinkError::lost(doing, error) }
}

/// Which answer the server gave, if it refused something on a channel.
pub(super) fn soft(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(kind) => Some(kind.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

/// Something that the server has to answer in time.
pub(super) async fn within<T>(
    patience: Duration,
    doing: &'static str,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done,
        Err(_) => Err(LinkError::lost(
            doing,
            format_args!("the server has not answered for {patience:?}"),
        )),
    }
}

/// Polls a call of the client once: then it is in the hands of the connection's thread, behind those before it. So many
/// can be under way before the first is waited for.
pub(super) fn begun<F: Future>(call: F) -> Pin<Box<MaybeDone<F>>> {
    let mut call = Box::pin(maybe_done(call));
    let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    call
}

/// Waits for one that has begun.
pub(super) async fn done<F: Future>(mut call: Pin<Box<MaybeDone<F>>>) -> F::Output {
    call.as_mut().await;
    call.as_mut().take_output().expect("it has been waited for, once")
}
