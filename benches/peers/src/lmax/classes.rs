//! The program's classes, compiled once for each state of its sources.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    process::{self, Command},
};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lmax");

/// Where cargo puts what it builds, as far as a crate can know.
const TARGET: &str = match option_env!("CARGO_TARGET_DIR") {
    Some(directory) => directory,
    None => concat!(env!("CARGO_MANIFEST_DIR"), "/target"),
};

/// Why each of them is there: `lmax/README.md`.
const FLAGS: [&str; 7] = [
    "-Xms512m",
    "-Xmx512m",
    "-Xmn384m",
    "-XX:+AlwaysPreTouch",
    "-XX:+UseParallelGC",
    "-XX:-UsePerfData",
    "-XX:+DisplayVMOutputToStderr",
];

/// The directory with the classes, which is named after the sources, so classes are never older.
pub fn compiled(jar: &str) -> Result<PathBuf, String> {
    let failed = |error: io::Error| format!("cannot compile {SOURCES}: {error}");
    let sources = sources().map_err(failed)?;
    let classes = Path::new(TARGET).join("lmax").join(fingerprint(&sources).map_err(failed)?);
    if classes.is_dir() {
        return Ok(classes);
    }
    // Another process may do the same: whoever is ready first gives the directory its name.
    let fresh = classes.with_extension(process::id().to_string());
    fs::create_dir_all(&fresh).map_err(failed)?;
    let mut command = Command::new("javac");
    command.args(["--release", "17", "-cp", jar, "-d"]).arg(&fresh).args(&sources);
    let output = command.output().map_err(failed)?;
    if !output.status.success() {
        let _ = fs::remove_dir_all(&fresh);
        return Err(format!("javac failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    if let Err(error) = fs::rename(&fresh, &classes) {
        let _ = fs::remove_dir_all(&fresh);
        if !classes.is_dir() {
            return Err(failed(error));
        }
    }
    Ok(classes)
}

/// How the program is started. Fails if the directory's name cannot be in a class path.
pub fn server(classes: &Path, jar: &str) -> Result<Command, String> {
    let class_path = env::join_paths([classes, Path::new(jar)]).map_err(|error| error.to_string());
    let mut command = Command::new("java");
    command.args(FLAGS).arg("-cp").arg(class_path?).arg("Server");
    Ok(command)
}

fn sources() -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> =
        fs::read_dir(SOURCES)?.map(|entry| Ok(entry?.path())).collect();
    let mut sources = entries?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "java"));
    sources.sort();
    Ok(sources)
}

fn fingerprint(sources: &[PathBuf]) -> io::Result<String> {
    let mut hasher = DefaultHasher::new();
    for source in sources {
        source.file_name().hash(&mut hasher);
        fs::read(source)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}
