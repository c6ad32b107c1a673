//! A bus that is watched: the mail server goes away for a while, and whoever is on call is told when that begins to
//! matter, and when it is over. Handlers tell what is waiting, dead or slow; rules say from where on that is an alert.
//!
//! Run it with `cargo run --release -p slipring-events --features insight --example watched`, add `-- --help` for the
//! options. With `-- --serve 127.0.0.1:7070 --forever` it goes on, for `slipring top 127.0.0.1:7070`. Exit code 0: the
//! totals are right, and every alert is over; 1: they are not.

use std::{
    error::Error,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use slipring::Snapshot;
use slipring_events::{Account, Backoff, Bus, HandlerReport, Retry, events};
use slipring_insight::{
    Address, Alert, Picture, Rounds, Rule, Rules, Stations, Stopwatch, Turn, Watch, serve,
};

/// How long the handlers may take to come to their end.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often somebody looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long a mail waits before it is tried again.
const BACKOFF: Duration = Duration::from_millis(150);

/// Users are created, and the server for their mail goes away for a while.
#[derive(Parser, Clone, Debug)]
struct Options {
    /// How many users to create: the server is away for a sixth of them.
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u32).range(60..))]
    users: u32,
    /// How many of them a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Where to be looked at, such as 127.0.0.1:7070.
    #[arg(long)]
    serve: Option<Address>,
    /// Begin again at the end, until somebody interrupts it.
    #[arg(long)]
    forever: bool,
}

/// Somebody has registered.
#[derive(Clone, Debug)]
struct UserCreated {
    number: u32,
}

events! {
    /// What happens to users.
    enum Users {
        UserCreated = "user.created",
    }
}

/// The server away there sends no mail, but most of it in the end.
#[derive(Clone, Copy, Debug)]
struct Server {
    /// How many users there are before it all begins again.
    users: u32,
}

impl Server {
    fn send(self, number: u32, attempt: u32) -> Result<(), &'static str> {
        let place = number % self.users;
        let is_away = (self.users / 3..self.users / 2).contains(&place);
        match place % 10 {
            7 if is_away => Err("no such mailbox"),
            _ if is_away && attempt < 4 => Err("the server does not answer"),
            5 if !is_away && attempt < 2 => Err("the line is bad"),
            _ => Ok(()),
        }
    }

    /// How many attempts one of the mails takes, and whether it is sent then.
    fn fate(self, number: u32) -> (u64, bool) {
        let sent = (1..=5).find(|attempt| self.send(number, *attempt).is_ok());
        sent.map_or((5, false), |attempt| (u64::from(attempt), true))
    }
}

/// What has come of it.
struct Outcome {
    users: u32,
    /// The last look at the running bus.
    snapshot: Snapshot,
    alerts: Vec<Alert>,
    handlers: Vec<HandlerReport>,
}

/// What is worth waking somebody up for, and when it is over.
fn rules() -> Rules {
    Rules::new("users")
        .with(Rule::told("welcome mail", "waiting", 20).until(5))
        .with(Rule::error_rate("welcome mail", 0.3).until(0.15))
        .with(Rule::growth(Stations::Any, "dead", 1))
        .with(Rule::told(Stations::Any, "age p99", Duration::from_secs(2)).for_at_least(INTERVAL))
        .with(Rule::lag(Stations::Any, 512).until(64))
}

/// Prints each alert, and keeps it.
fn on_alert(alerts: &Arc<Mutex<Vec<Alert>>>) -> impl FnMut(&Alert) + Send + 'static {
    let alerts = Arc::clone(alerts);
    move |alert| {
        let turn = if alert.turn == Turn::Raised { "ALERT" } else { "over " };
        println!("{:>6.1} s  {turn}  {alert}", alert.at.as_secs_f64());
        alerts.lock().unwrap_or_else(PoisonError::into_inner).push(alert.clone());
    }
}

fn run(options: &Options) -> Result<Outcome, Box<dyn Error>> {
    let bus = Bus::<Users>::start(1_024)?;
    let (server, times) = (Server { users: options.users }, Stopwatch::new());
    bus.handler("welcome mail")
        .on::<UserCreated>()
        .timed(&times)
        .retry(Retry::immediately(1).then(Backoff::fixed(BACKOFF), 3))
        .run(move |user, context| server.send(user.number, context.attempt()))?;
    bus.handler("audit").topic("user.#").run(|_, _| ())?;

    let alerts = Arc::<Mutex<Vec<Alert>>>::default();
    let rounds = Rounds::new().ring(bus.monitor(), rules()).on_alert(on_alert(&alerts));
    let watch = Watch::start(rounds, INTERVAL)?;
    let serving = options.serve.as_ref();
    let _served = serving.map(|address| serve("watched", bus.monitor(), address)).transpose()?;

    let users = publish(&bus, options)?;
    await_rest(&bus, users)?;
    let snapshot = bus.monitor().snapshot();
    let report = bus.shutdown(PATIENCE)?;
    // It clears the alerts of a bus that has ended.
    watch.join();
    let alerts = std::mem::take(&mut *alerts.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Outcome { users, snapshot, alerts, handlers: report.handlers })
}

/// Publishes at the rate that is asked for; returns how many events that were.
fn publish(bus: &Bus<Users>, options: &Options) -> Result<u32, Box<dyn Error>> {
    let (mut publisher, start) = (bus.publisher(), Instant::now());
    let mut number = 0;
    while options.forever || number < options.users {
        let due = Duration::from_secs(1) * number / options.rate;
        thread::sleep(due.saturating_sub(start.elapsed()));
        publisher.publish(UserCreated { number })?;
        number = number.checked_add(1).ok_or("there are no more numbers")?;
    }
    Ok(number)
}

/// Waits until everything is handled or dead.
fn await_rest(bus: &Bus<Users>, users: u32) -> Result<(), &'static str> {
    let deadline = Instant::now() + PATIENCE;
    let is_done = |account: Account| account.handled + account.dead == u64::from(users);
    while !bus.accounts().iter().all(|handler| is_done(handler.account)) {
        if Instant::now() > deadline {
            return Err("the handlers do not come to their end");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// What is wrong with the totals.
fn flaw(outcome: &Outcome, server: Server) -> Option<String> {
    let Outcome { users, snapshot, alerts, handlers } = outcome;
    let fates = || (0..*users).map(|number| server.fate(number));
    let dead = fates().filter(|(_, is_sent)| !is_sent).count() as u64;
    let (sent, calls) = (u64::from(*users) - dead, fates().map(|(attempts, _)| attempts).sum());
    let (account, station) = (&handlers.first()?.account, snapshot.stations.first()?);
    if (account.handled, account.dead) != (sent, dead) || !account.adds_up() {
        return Some(format!("{account} is not {sent} sent and {dead} dead"));
    }
    let seen = &station.account;
    if (seen.calls, seen.failed, seen.retried) != (calls, calls - sent, calls - u64::from(*users)) {
        return Some(format!("{calls} calls are seen as {seen:?}"));
    }
    let told = |name| station.told.iter().find(|it| it.name == name).map(|it| it.value);
    if (told("dead"), told("waiting")) != (Some(dead), Some(0)) {
        return Some(format!("{dead} dead are told as {:?}", station.told));
    }
    unfinished(alerts).map(|alert| format!("this was raised, and not cleared once: {alert}"))
}

/// An alert that does not alternate: raised, cleared, raised, cleared.
fn unfinished(alerts: &[Alert]) -> Option<&Alert> {
    alerts.iter().find(|alert| {
        let is_same = |it: &&Alert| it.rule == alert.rule && it.station == alert.station;
        let turns: Vec<Turn> = alerts.iter().filter(is_same).map(|alert| alert.turn).collect();
        let (pairs, rest) = turns.as_chunks();
        !rest.is_empty() || pairs.iter().any(|pair| *pair != [Turn::Raised, Turn::Cleared])
    })
}

fn print(outcome: &Outcome) {
    println!("\n{}", Picture::new("users", &outcome.snapshot).text());
    println!("users         {}", outcome.users);
    for HandlerReport { name, account, .. } in &outcome.handlers {
        println!("{name:<12}  {account}");
    }
    let raised = outcome.alerts.iter().filter(|alert| alert.turn == Turn::Raised).count();
    println!("alerts        {raised} raised, and all of them over");
}

fn main() -> ExitCode {
    let options = Options::parse();
    println!("{} users a second; the mail server will be away for a while", options.rate);
    let outcome = match run(&options) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    print(&outcome);
    if let Some(flaw) = flaw(&outcome, Server { users: options.users }) {
        eprintln!("error: {flaw}");
        return ExitCode::FAILURE;
    }
    println!("checked       what was seen from outside is what has happened");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        Options::parse_from(std::iter::once("watched").chain(line.split_whitespace()))
    }

    #[test]
    fn what_is_seen_is_what_has_happened_however_fast_it_does() {
        let options = options("--users 600 --rate 100000 --serve 127.0.0.1:0");
        let outcome = run(&options).unwrap();
        let server = Server { users: 600 };
        assert_eq!(flaw(&outcome, server), None);
        // 100 while the server was away, of which every tenth dies; of the others every tenth is tried again.
        let [mail, audit] = &outcome.handlers[..] else { panic!("there are two") };
        assert_eq!((mail.account.handled, mail.account.dead), (590, 10));
        assert_eq!(mail.account.failures, 90 * 3 + 10 * 5 + 50);
        assert_eq!((audit.account.handled, audit.account.failures), (600, 0));
        let age = outcome.snapshot.stations[0].told.iter().find(|it| it.name == "age p99");
        assert!(Duration::from_nanos(age.unwrap().value) >= 2 * BACKOFF, "two back-offs");
    }

    #[test]
    fn totals_that_are_wrong_are_found() {
        let mut outcome = run(&options("--users 60 --rate 100000")).unwrap();
        let server = Server { users: 60 };
        outcome.snapshot.stations[0].account.failed += 1;
        assert!(flaw(&outcome, server).unwrap().contains("calls are seen as"));
        outcome.snapshot.stations[0].account.failed -= 1;
        outcome.snapshot.stations[0].told.clear();
        assert!(flaw(&outcome, server).unwrap().contains("dead are told as"));
        outcome.users += 1;
        assert!(flaw(&outcome, server).unwrap().contains("is not"));
    }

    /// By the looks at a handler that is told what to do: no clock has a say in it.
    #[test]
    fn an_alert_that_is_not_over_is_found() {
        let bus = Bus::<Users>::start(64).unwrap();
        let (_handler, mut hand) = bus.handler("mail").by_hand(|_, _| Err::<(), _>("no")).unwrap();
        let mut rules = Rules::new("users").with(Rule::told(Stations::Any, "dead", 1));
        bus.publisher().publish(UserCreated { number: 0 }).unwrap();
        hand.step();
        let mut alerts = rules.look(&bus.monitor().snapshot());
        assert!(alerts.len() == 1 && unfinished(&alerts).is_some());
        alerts.extend(rules.end());
        assert!(alerts.len() == 2 && unfinished(&alerts).is_none());
    }
}
