//! The example of two services, as somebody would run it, over Redis: its exit code, and what it says in the end.

#[path = "../examples/two_services/main.rs"]
#[allow(dead_code, reason = "its unit tests are run with the example")]
mod two_services;

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

const ORDERS: u64 = 300;
const KILLS: u32 = 3;

/// This program is the example as well: it starts itself as that, and the example starts itself as its services.
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--broker") {
        return two_services::main();
    }
    if words.iter().any(|word| word == "--list") {
        println!("two_services: test");
        return ExitCode::SUCCESS;
    }
    // A filter that somebody gives.
    let filter = words.iter().find(|word| !word.starts_with('-'));
    if filter.is_some_and(|filter| !"two_services".contains(filter.as_str())) {
        return ExitCode::SUCCESS;
    }
    a_small_story();
    an_unknown_broker_is_refused();
    ExitCode::SUCCESS
}

fn example(words: &[&str]) -> (String, String, Option<i32>) {
    let exe = std::env::current_exe().expect("it runs");
    let output = Command::new(exe).args(words).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn a_small_story() {
    let seed = fastrand::u64(..).to_string();
    println!("seed {seed}");
    let began = Instant::now();
    let (orders, kills) = (ORDERS.to_string(), KILLS.to_string());
    let (said, errors, code) =
        example(&["--broker", "redis", "--orders", &orders, "--kills", &kills, "--seed", &seed]);
    assert_eq!(code, Some(0), "{said}\n{errors}");
    // Orders are of 1 to 9 pieces, one after the other.
    let ordered: u64 = (0..ORDERS).map(|number| number % 9 + 1).sum();
    let last = said.lines().last().expect("it says something");
    assert_eq!(
        last,
        format!(
            "every order is done once, and every unit is there: {} in stock and {ordered} ordered are 50000000",
            50_000_000 - ordered
        ),
        "{said}"
    );
    // A line a kill, and each of them of one of the three.
    let killed = said.lines().filter(|line| {
        ["  order service  ", "  warehouse      ", "  broker         "]
            .iter()
            .any(|name| line.contains(name) && line.contains('.'))
    });
    assert_eq!(killed.count(), 3, "{said}");
    println!("{ORDERS} orders, {KILLS} kills, {:?}", began.elapsed());
}

fn an_unknown_broker_is_refused() {
    let (said, errors, code) = example(&["--broker", "kafka"]);
    assert_eq!((said.as_str(), code), ("", Some(2)), "{errors}");
    assert!(errors.contains("rabbitmq, redis, nats"), "{errors}");
}
