//! `slipring top`, as it is called from a shell, on rings of this process.

use std::{
    process::{Command, Output},
    time::Duration,
};

use slipring::{Builder, Dispatcher, Figure, Producer, poller};
use slipring_events::{AnyEvent, Backoff, Bus, Retry, Step};
use slipring_insight::{Address, Server, Service};

fn top(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.arg("top").args(line.split_whitespace()).output().expect("the program is there")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes UTF-8")
}

/// A ring in which nobody has handled any of five events yet.
fn ring() -> (Producer<u64>, Dispatcher<u64>) {
    let ring = Builder::new(8, || 0_u64).then(poller("risk")).then(poller("ledger"));
    let (mut producer, dispatcher) = ring.start().expect("it starts");
    producer.publish_batch(5, |_, _| ()).expect("there is room");
    (producer, dispatcher)
}

fn server(dispatcher: &Dispatcher<u64>) -> Server {
    let service = Service::new("orders").ring("orders", dispatcher.monitor());
    let address: Address = "127.0.0.1:0".parse().expect("it is an address");
    service.ring("again", dispatcher.monitor()).start(&address).expect("there is a port")
}

#[test]
fn once_is_a_picture_of_each_ring() {
    let (_producer, mut dispatcher) = ring();
    let mut risk = dispatcher.poller("risk").expect("it is there");
    risk.poll(|_, _| ()).expect("it is well"); // A quarter of the ring.
    let server = server(&dispatcher);
    let output = top(&format!("{} --once --text --interval 50ms", server.address()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let picture = |ring: &str| {
        format!(
            "\
{ring}: open, 5 of 8 slots in use (62%), published 5, 0/s, no stalls

           0/s              0/s
producers ──────────▶ risk ──────────▶ ledger
1 handle   lag 3            lag 2

station  doing    rate  lag  busy  batch  failed  skipped  handled  sleeps  follows
risk     working   0/s    3  100%    0.0       0        0        2       0  producers
ledger   working   0/s    2  100%    0.0       0        0        0       0  risk
"
        )
    };
    assert_eq!(text(&output.stdout), picture("orders") + "\n" + &picture("again"));
}

#[test]
fn what_stations_tell_is_in_the_picture() {
    let station = poller("mail").tell(|figures| {
        figures.push(Figure::level("waiting", 12));
        figures.push(Figure::count("dead", 0));
    });
    let (_producer, dispatcher) = Builder::new(8, || 0_u64).then(station).start().unwrap();
    let server = server(&dispatcher);
    let output = top(&format!("{} --once --text --interval 50ms", server.address()));
    let lines = "\
station  doing    rate  lag  busy  batch  failed  skipped  waiting  handled  sleeps  follows
mail     waiting   0/s    0  100%    0.0       0        0       12        0       0  producers
";
    assert!(text(&output.stdout).contains(lines), "{}", text(&output.stdout));
}

#[test]
fn the_handlers_of_a_bus_are_shown_with_what_they_tell() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let wait = Backoff::fixed(Duration::from_hours(1));
    let mail = bus.handler("mail").on::<u32>();
    // Of three events the second one dies at once, and the third waits, tried twice.
    let retry = Retry::immediately(1).then(wait, 1).when(|error| error.to_string() == "busy");
    let (_mail, mut mail) = mail
        .retry(retry)
        .by_hand(|number, _| match number {
            1 => Ok(()),
            2 => Err("never"),
            _ => Err("busy"),
        })
        .unwrap();
    let (_audit, mut audit) = bus.handler("audit").topic("nothing").by_hand(|_, _| ()).unwrap();
    let mut publisher = bus.publisher();
    for number in [1_u32, 2, 3] {
        publisher.publish(AnyEvent::new(number)).unwrap();
    }
    while [mail.step(), audit.step()].contains(&Step::Moved) {}
    let service = Service::new("users").ring("users", bus.monitor());
    let server = service.start(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let output = top(&format!("{} --once --text --interval 50ms", server.address()));
    let lines = "\
station  doing    rate  lag  busy  batch  failed  retried  skipped  waiting  dead  filtered  handled  sleeps  follows
mail     waiting   0/s    0  100%    0.0       3        1        0        1     1         0        3       0  producers  guest
audit    waiting   0/s    0  100%    0.0       0        0        0        0     0         3        3       0  producers  guest
";
    assert!(text(&output.stdout).contains(lines), "{}", text(&output.stdout));
}

#[test]
fn other_forms_are_for_other_programs() {
    let (_producer, dispatcher) = ring();
    let server = server(&dispatcher);
    for (form, begin) in [("--mermaid", "flowchart LR\n"), ("--dot", "digraph \"orders\" {\n")] {
        let output = top(&format!("{} {form} --interval 50ms", server.address()));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with(begin), "{}", text(&output.stdout));
    }
}

#[test]
fn who_cannot_be_looked_at_is_named() {
    let (_producer, dispatcher) = ring();
    let gone = server(&dispatcher).address().to_string();
    let output = top(&format!("{gone} --once"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("nobody is reached at {gone}")));
}

#[test]
fn bad_options_say_what_would_be_good() {
    for (line, advice) in [
        ("0.0.0.0:7070 --once", "use 127.0.0.1:7070 or unix:/path"),
        ("7070 --once", "write 127.0.0.1:7070"),
        ("127.0.0.1:1 --once --interval 3h", "write 500ms or 2s"),
        ("127.0.0.1:1 --text --dot", "cannot be used with"),
        ("127.0.0.1:1", "--once prints one picture"),
        ("", "<ADDRESS>"),
    ] {
        let output = top(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(text(&output.stderr).contains(advice), "{line}: {}", text(&output.stderr));
    }
}
