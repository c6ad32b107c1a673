//! The small text files of /proc and /sys, below a root. A file that is missing or damaged is `None`.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::CoreSet;

/// Where `/proc` and `/sys` are looked for.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    pub(crate) fn below(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The file's text without the white space around it.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_owned())
    }

    pub(crate) fn number<N: FromStr>(&self, path: &str) -> Option<N> {
        self.text(path)?.parse().ok()
    }

    pub(crate) fn cores(&self, path: &str) -> Option<CoreSet> {
        self.text(path)?.parse().ok()
    }

    /// What follows `key` and a colon on its line, as in /proc/self/status.
    pub(crate) fn field(&self, path: &str, key: &str) -> Option<String> {
        let text = self.text(path)?;
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
    }

    /// The numbers behind `prefix` in the names of a folder, as in `cpu3`, ascending.
    pub(crate) fn numbered(&self, folder: &str, prefix: &str) -> Vec<usize> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let number = |name: &str| name.strip_prefix(prefix)?.parse().ok();
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut numbers: Vec<usize> = names.filter_map(|name| number(name.to_str()?)).collect();
        numbers.sort_unstable();
        numbers
    }
}
