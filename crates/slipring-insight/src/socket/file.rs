//! The file of a unix socket: its owner's alone from its first moment, and gone when its server is.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

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
/// The socket is made in a folder that nobody else can enter, and moved to its place when its mode is set:
/// nobody else can have connected in between.
pub(crate) fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    check_free(path)?;
    let folder = private_folder(path)?;
    let made = folder.join("s");
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
    fs::remove_dir(&folder)?;
    bound
}

fn check_free(path: &Path) -> io::Result<()> {
    let path_shown = path.display();
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) => metadata.file_type(),
    };
    if !kind.is_socket() {
        let text = format!("{path_shown} is there and is no socket: use another path");
        return Err(io::Error::new(ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
        Ok(_) => {
            let text = format!("a program listens at {path_shown}: end it, or use another path");
            Err(io::Error::new(ErrorKind::AddrInUse, text))
        }
    }
}

/// Beside the path, so that a file can be moved from one to the other.
fn private_folder(path: &Path) -> io::Result<PathBuf> {
    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = path.with_file_name(format!(".slipring-{}-{number}", process::id()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}
