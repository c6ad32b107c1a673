//! The file of a unix socket: its owner's alone from its first moment, and gone when its server is.

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io::{self, ErrorKind},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{SocketAddr, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, FdFlags, fcntl_setfd, retry_on_intr},
    net::{
        self, AddressFamily, SocketAddrUnix, SocketType,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use super::CONNECT_WITHIN;
use crate::{Address, ServeError};

/// How long another server may keep the folder locked: it needs some system calls for what it does meanwhile.
const LOCK_WITHIN: Duration = Duration::from_secs(2);
/// How often to try to lock it.
const TRY_AGAIN: Duration = Duration::from_millis(5);
/// So many names of private folders are tried.
const PRIVATE_MAX: u32 = 100;
/// What the socket is called in a private folder.
const MADE: &str = "s";

/// Removes the file, if it is still the same one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // If that fails, the next server finds nobody listening there, and takes its place.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Listens at a path that is free, or that belonged to a server that is gone.
///
/// From the look whether it is free until the socket is there, the path's folder is locked: of two servers that find the
/// same file left, the second finds the first one listening. A lock goes with its program, whatever becomes of that.
///
/// The socket is made in a folder that nobody else can enter, and moved to its place when its mode is set:
/// nobody else can have connected in between.
pub(crate) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), ServeError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let failed = |error| ServeError::Folder { folder: folder.to_owned(), error };
    let _lock = lock(folder)?;
    check_free(path)?;
    check_length(path)?;
    let private = private_folder(path, folder)?;
    let made = private.join(MADE);
    let bound = UnixListener::bind(&made).and_then(|listener| {
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        let identity = identity(&made)?;
        fs::rename(&made, path)?;
        Ok((listener, SocketFile { path: path.to_owned(), identity }))
    });
    if bound.is_err() {
        // Perhaps it was never made.
        let _ = fs::remove_file(&made);
    }
    fs::remove_dir(&private).map_err(failed)?;
    bound.map_err(failed)
}

fn lock(folder: &Path) -> Result<File, ServeError> {
    let failed = |error| ServeError::Folder { folder: folder.to_owned(), error };
    let file = File::open(folder).map_err(failed)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_WITHIN => {
                thread::sleep(TRY_AGAIN);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(ServeError::Locked { folder: folder.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

fn check_free(path: &Path) -> Result<(), ServeError> {
    let address = || Address::socket(path);
    let failed = |error| Err(ServeError::Listen { address: address(), error });
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return failed(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ServeError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match connect(path) {
        Ok(_) => Err(ServeError::Taken { address: address() }),
        Err(error) => match error.kind() {
            // Gone a moment ago, or long ago.
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(()),
            // It listens, and is stuck.
            ErrorKind::TimedOut => Err(ServeError::Taken { address: address() }),
            _ => failed(error),
        },
    }
}

/// Both the path and the one at which the socket is made have to fit into an address.
fn check_length(path: &Path) -> Result<(), ServeError> {
    let longest = private_name(path, PRIVATE_MAX - 1).join(MADE);
    let is_fine = [path, &longest].iter().all(|path| SocketAddr::from_pathname(path).is_ok());
    if is_fine { Ok(()) } else { Err(ServeError::TooLong { path: path.to_owned() }) }
}

/// Beside the path, so that a file can be moved from one to the other.
fn private_name(path: &Path, number: u32) -> PathBuf {
    path.with_file_name(format!(".slipring-{number}"))
}

/// A folder that was not there: one that is may be left of a program that crashed, or somebody else's.
fn private_folder(path: &Path, folder: &Path) -> Result<PathBuf, ServeError> {
    for number in 0..PRIVATE_MAX {
        let private = private_name(path, number);
        match DirBuilder::new().mode(0o700).create(&private) {
            Ok(()) => return Ok(private),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(ServeError::Folder { folder: folder.to_owned(), error }),
        }
    }
    Err(ServeError::Leftovers { folder: folder.to_owned() })
}

/// Connects within the time that a port has, too. It would wait for ever for a listener whose queue is full, as that
/// of a program that was stopped may be.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    set_socket_timeout(&socket, Timeout::Send, Some(CONNECT_WITHIN))?;
    match retry_on_intr(|| net::connect(&socket, &address)) {
        Ok(()) => Ok(UnixStream::from(socket)),
        Err(Errno::AGAIN) => Err(ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}
