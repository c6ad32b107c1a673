//! `slipring top` in a terminal of its own, asked for its end.

#![cfg(unix)]

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    process::{Child, Command, ExitStatus},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use slipring::{Builder, poller};
use slipring_insight::serve;

/// Longer than anything takes that does come.
const PATIENCE: Duration = Duration::from_mins(1);

/// The end of a terminal at which the program sits, and what it writes there.
fn terminal() -> (File, Receiver<Vec<u8>>) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&ours).expect("it is ours");
    unlockpt(&ours).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let name = std::ffi::OsStr::from_bytes(name.to_bytes());
    let theirs = OpenOptions::new().read(true).write(true).open(name).expect("it is there");
    let size = Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&theirs, size).expect("it is a terminal");
    let (sender, written) = channel();
    thread::spawn(move || {
        let mut ours = File::from(ours);
        let mut bytes = [0; 4096];
        // When nobody has the other end any more, that is an error.
        while let Ok(read) = ours.read(&mut bytes) {
            if sender.send(bytes[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    (theirs, written)
}

fn top(address: &str, terminal: &File) -> Child {
    let terminal = || terminal.try_clone().expect("it can be shared");
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.args(["top", address]).stdin(terminal()).stdout(terminal()).stderr(terminal());
    command.spawn().expect("the program is there")
}

/// How it ends. One that does not is a failure, and not left behind.
fn ending(mut child: Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().expect("it is ours");
            panic!("it goes on");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_terminal_is_restored_before_a_signal_is_obeyed() {
    let ring = Builder::new(8, || 0_u64).then(poller("risk"));
    let (_producer, dispatcher) = ring.start().expect("it starts");
    let address = "127.0.0.1:0".parse().expect("it is an address");
    let server = serve("orders", dispatcher.monitor(), &address).expect("there is a port");
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (terminal, written) = terminal();
        let modes = || tcgetattr(&terminal).expect("it is a terminal").local_modes;
        let before = modes();
        let child = top(&server.address().to_string(), &terminal);
        let mut text = String::new();
        while !text.contains("waiting") {
            text += &String::from_utf8_lossy(&written.recv_timeout(PATIENCE).expect("it draws"));
        }
        assert!(!modes().contains(LocalModes::ICANON), "keys come one by one");
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        assert_eq!(ending(child).signal(), Some(signal.as_raw()));
        assert_eq!(modes(), before);
        drop(terminal);
        text.extend(written.iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        let is_last = |on: &str, off: &str| text.rfind(off) > text.rfind(on);
        assert!(is_last("\u{1b}[?1049h", "\u{1b}[?1049l"), "the other screen is left: {text:?}");
        assert!(is_last("\u{1b}[?25l", "\u{1b}[?25h"), "the cursor is shown: {text:?}");
    }
}
