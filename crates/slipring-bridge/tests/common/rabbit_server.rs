//! A RabbitMQ server of a test's own, which ends with it.

#[path = "../../../slipring-store/tests/common/own_server.rs"]
#[allow(clippy::duplicate_mod, dead_code, reason = "the file of each server stands by itself")]
mod own_server;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use own_server::{Running, free_port, log};

/// As [`own_server::WATCH`], with the port mapper beside the server, which is its own as well. What the server has on its
/// disk goes, too, unless the last word is `keep`.
const WATCH: &str = r#"trap '' INT HUP TERM
cd "$HOME" || exit 1
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 >epmd.log 2>&1 </dev/null & mapper=$!
"$1" -noinput >server.log 2>&1 </dev/null & server=$!
echo $server; read -r word; kill -9 $server $mapper 2>/dev/null; wait $server $mapper
[ "$word" = keep ] || rm -rf "$HOME""#;

/// How long it may take to start: several seconds if nobody else wants the machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// Settings of each one. A disk that is almost full would stop it from taking anything.
const SETTINGS: &str = "disk_free_limit.absolute = 50MB\nloopback_users = none\n";

/// A server with its files in a directory of its own. It is killed when it is dropped.
pub struct RabbitServer {
    directory: PathBuf,
    ports: [u16; 4],
    running: Option<Running>,
}

impl RabbitServer {
    /// One for all tests of a program that let it live: they differ by the names that they use. It takes messages up to
    /// 4 MiB, and TLS at another port.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RabbitServer> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::with(|directory, ports| {
                certificates(directory);
                let here = directory.display();
                format!(
                    "max_message_size = 4194304\nlisteners.ssl.1 = 127.0.0.1:{}\nssl_options.verify = verify_none\n\
                     ssl_options.cacertfile = {here}/ca.pem\nssl_options.certfile = {here}/server.pem\n\
                     ssl_options.keyfile = {here}/server.key\n",
                    ports[3]
                )
            })
        })
    }

    /// One for a test alone, with other settings.
    pub fn start(settings: &str) -> Self {
        Self::with(|_, _| settings.to_owned())
    }

    fn with(settings: impl Fn(&Path, &[u16; 4]) -> String) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory").keep();
        fs::write(directory.join("plugins"), "[].\n").expect("there is room for a file");
        let mut server = Self { ports: [0; 4], directory, running: None };
        for _ in 0..5 {
            server.ports = free_ports();
            let own = settings(&server.directory, &server.ports);
            fs::write(server.directory.join("rabbitmq.conf"), format!("{SETTINGS}{own}"))
                .expect("there is room for a file");
            // Somebody else may have taken a port in between: then it ends, and others are tried.
            if server.try_start() {
                return server;
            }
        }
        panic!("rabbitmq-server does not start:\n{}", server.log());
    }

    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    pub fn tls_port(&self) -> u16 {
        self.ports[3]
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port())
    }

    /// A file of its directory: `ca.pem`, for one.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Kills it (SIGKILL), and waits until it is dead. What it has on its disk stays.
    pub fn kill(&mut self) {
        self.end("keep\n");
    }

    /// Starts it again, with what it has on its disk.
    pub fn restart(&mut self) {
        assert!(self.try_start(), "rabbitmq-server does not start:\n{}", self.log());
    }

    fn try_start(&mut self) -> bool {
        assert!(self.running.is_none(), "it is running");
        let [port, distribution, mapper, _] = self.ports.map(|port| port.to_string());
        let inside = |name: &str| self.directory.join(name);
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "sh", &program("rabbitmq-server")]);
        shell.envs([("ERL_EPMD_PORT", mapper), ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned())]);
        shell.envs([
            // It is to become this very process, so that its number is the one to kill.
            ("RABBITMQ_ALLOW_INPUT", "1"),
            ("RABBITMQ_LOGS", "-"),
            ("RABBITMQ_NODENAME", "slipring@localhost"),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"),
            ("RABBITMQ_NODE_PORT", &port),
            ("RABBITMQ_DIST_PORT", &distribution),
        ]);
        shell.envs([
            ("HOME", self.directory.clone()),
            ("RABBITMQ_MNESIA_BASE", inside("data")),
            ("RABBITMQ_LOG_BASE", inside("log")),
            ("RABBITMQ_PID_FILE", inside("pid")),
            ("RABBITMQ_FEATURE_FLAGS_FILE", inside("flags")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("plugins")),
            ("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", inside("none")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", inside("none")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", inside("generated")),
            ("RABBITMQ_SCHEMA_DIR", inside("schema")),
        ]);
        let running = Running::start(&mut shell);
        let place = ("127.0.0.1", self.port());
        let is_up =
            running.comes_up(PATIENCE, &self.directory, || TcpStream::connect(place).is_ok());
        self.running = Some(running);
        if !is_up {
            self.kill();
        }
        is_up
    }

    /// Has its own program for such things tell it something, and says what it answers.
    pub fn control(&self, words: &[&str]) -> String {
        let mut control = Command::new(program("rabbitmqctl"));
        control.args(["-n", "slipring@localhost"]).args(words).env("HOME", &self.directory);
        control.env("ERL_EPMD_PORT", self.ports[2].to_string());
        control.env("RABBITMQ_CONF_ENV_FILE", self.directory.join("none"));
        let told = control.current_dir(&self.directory).output().expect("it is installed");
        let errors = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{words:?}: {errors}");
        String::from_utf8_lossy(&told.stdout).into_owned()
    }

    /// Waits until what it knows of queues and bindings is on its disk: it may hold that back for seconds, other than
    /// messages, and whoever is killed in between has forgotten it.
    pub fn wait_until_it_has_noted(&self, text: &str) {
        let notes = self.directory.join("data").join("slipring@localhost");
        let deadline = Instant::now() + PATIENCE;
        let has = |file: &Path| {
            let bytes = fs::read(file).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        loop {
            let files = fs::read_dir(&notes).expect("it has a directory");
            let mut logs = files.filter_map(|file| Some(file.ok()?.path())).filter(|file| {
                file.extension()
                    .is_some_and(|end| ["LOG", "DCL", "DCD"].iter().any(|log| end == *log))
            });
            if logs.any(|file| has(&file)) {
                return;
            }
            assert!(Instant::now() < deadline, "it does not write down {text}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self, word: &str) {
        if let Some(running) = self.running.take() {
            running.kill(word);
        }
    }

    pub fn log(&self) -> String {
        log(&self.directory)
    }
}

impl Drop for RabbitServer {
    fn drop(&mut self) {
        self.end("\n");
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// One of the server's own scripts. What is in the path on some systems changes to a user of its own first.
fn program(name: &str) -> String {
    let inner = format!("/usr/lib/rabbitmq/bin/{name}");
    if Path::new(&inner).exists() { inner } else { name.to_owned() }
}

fn free_ports() -> [u16; 4] {
    let mut ports = BTreeSet::new();
    while ports.len() < 4 {
        ports.insert(free_port());
    }
    let mut ports = ports.into_iter();
    std::array::from_fn(|_| ports.next().expect("there are four"))
}

/// An authority, and a server's certificate for `localhost` that it has signed.
fn certificates(directory: &Path) {
    fs::write(directory.join("names"), "subjectAltName = DNS:localhost, IP:127.0.0.1\n")
        .expect("there is room for a file");
    let steps = [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    ];
    for step in steps {
        let made = Command::new("openssl").args(step.split(' ')).current_dir(directory).output();
        let made = made.expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}
