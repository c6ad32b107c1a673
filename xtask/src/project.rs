//! The repository on disk.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The comparison with other crates: a workspace of its own, so that their code never enters our
/// lock file.
pub const PEERS_MANIFEST: &str = "benches/peers/Cargo.toml";

/// The root of the repository.
#[derive(Debug)]
pub struct Project {
    root: PathBuf,
}

/// A file's path relative to the root, with `/` between its parts, and its text.
pub type File = (String, String);

impl Project {
    /// The repository this program was built in.
    pub fn here() -> Self {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().map_or(manifest.clone(), Path::to_path_buf);
        Self { root }
    }

    /// The absolute form of a path relative to the root.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    pub fn exists(&self, relative: impl AsRef<Path>) -> bool {
        self.path(relative).exists()
    }

    pub fn read(&self, relative: &str) -> Result<String, String> {
        fs::read_to_string(self.path(relative)).map_err(|error| format!("{relative}: {error}"))
    }

    /// Every `.rs` file below the folders that exist among `folders`, sorted by path. Build output
    /// and the peers' workspace are left out.
    pub fn rust_files(&self, folders: &[&str]) -> Result<Vec<File>, String> {
        let mut paths = Vec::new();
        for folder in folders.iter().filter(|folder| self.exists(folder)) {
            collect(&self.path(folder), folder, &mut paths)?;
        }
        paths.sort();
        paths.into_iter().map(|path| self.read(&path).map(|text| (path, text))).collect()
    }

    /// Where cargo puts, or is to put, this part of what it builds.
    pub fn built(&self, relative: &str) -> Result<PathBuf, String> {
        Ok(self.target_folder()?.join(relative))
    }

    fn target_folder(&self) -> Result<PathBuf, String> {
        const KEY: &str = "\"target_directory\":\"";
        let metadata = ["metadata", "--format-version", "1", "--no-deps"];
        let metadata = crate::command::output(&mut self.cargo(&metadata))?;
        let folder = metadata.split_once(KEY).and_then(|(_, rest)| rest.split_once('"'));
        let folder = folder.map(|(folder, _)| folder.replace("\\\\", "\\"));
        folder.map(PathBuf::from).ok_or_else(|| "cargo names no target folder".to_owned())
    }

    /// `cargo` with these arguments, at the root.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).args(arguments);
        command
    }
}

fn collect(folder: &Path, shown: &str, paths: &mut Vec<String>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{shown}: {error}"))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("{shown}: {error}"))?;
        let path = format!("{shown}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            if !path.ends_with("/target") && path != "benches/peers" {
                collect(&entry.path(), &path, paths)?;
            }
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}
