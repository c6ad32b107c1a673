//! A simple message queue: one worker that gets messages of all types, first in, first out. It goes on
//! when its handler fails or panics, and at the end it has done everything that was put into it.
//!
//! Run it with `cargo run --release -p slipring-events --example queue`, add `-- --help` for the
//! options. Exit code 0: the totals are right; 1: they are not.

use std::{
    error::Error,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::Parser;
use slipring_events::{Account, Bus, HandlerError, LetterInfo, Reason, events};

/// How long the worker may take to come to its end.
const PATIENCE: Duration = Duration::from_mins(1);

/// One worker gets all messages, in order.
#[derive(Parser, Debug)]
struct Options {
    /// How many messages to send.
    #[arg(long, default_value_t = 1_000)]
    messages: u32,
    /// How many messages may wait, a power of two: then whoever sends has to.
    #[arg(long, default_value_t = 16, value_parser = power_of_two)]
    room: usize,
    /// How many messages to show.
    #[arg(long, default_value_t = 8)]
    show: usize,
}

fn power_of_two(text: &str) -> Result<usize, String> {
    let is_one = |room: &usize| room.is_power_of_two();
    text.parse()
        .ok()
        .filter(is_one)
        .ok_or_else(|| "a power of two is wanted, such as 16".to_owned())
}

/// A letter to be sent to somebody.
#[derive(Clone, Debug)]
struct Mail {
    number: u32,
    to: &'static str,
}

/// A picture to be made smaller.
#[derive(Clone, Debug)]
struct Picture {
    number: u32,
    width: u32,
}

/// A sum to be worked out.
#[derive(Clone, Debug)]
struct Division {
    number: u32,
    by: u32,
}

events! {
    /// What is put into the queue.
    enum Message {
        Mail = "mail.send",
        Picture = "picture.shrink",
        Division = "sum.divide",
    }
}

/// Every 5th letter has nobody to go to, every 7th division is one by nothing.
fn message(number: u32) -> Message {
    let round = number / 3;
    match number % 3 {
        0 => Mail { number, to: if round % 5 == 4 { "" } else { "ada@example.org" } }.into(),
        1 => Picture { number, width: 100 * (round % 8 + 1) }.into(),
        _ => Division { number, by: if round % 7 == 6 { 0 } else { round + 1 } }.into(),
    }
}

/// What the worker does.
fn work(message: &Message) -> Result<(u32, String), HandlerError> {
    Ok(match message {
        Message::Mail(Mail { to: "", .. }) => return Err("nobody to send it to".into()),
        Message::Mail(Mail { number, to }) => (*number, format!("mail to {to}")),
        Message::Picture(Picture { number, width }) => {
            (*number, format!("picture, {width} to {} wide", width / 2))
        }
        // A mistake: of nothing, this panics. The worker goes on.
        Message::Division(Division { number, by }) => {
            (*number, format!("1000 / {by} = {}", 1_000 / by))
        }
    })
}

/// What has come of it.
struct Outcome {
    /// What was done, in that order.
    done: Vec<(u32, String)>,
    /// What was not.
    letters: Vec<LetterInfo>,
    account: Account,
}

fn run(messages: u32, room: usize) -> Result<Outcome, Box<dyn Error>> {
    let bus = Bus::<Message>::start(room)?;
    let done = Arc::<Mutex<Vec<_>>>::default();
    let record = Arc::clone(&done);
    bus.handler("worker").run(move |message, _| {
        let line = work(message)?;
        record.lock().map_err(|_| "the record is damaged")?.push(line);
        Ok::<(), HandlerError>(())
    })?;
    let mut publisher = bus.publisher();
    for number in 0..messages {
        // Where there is no room it waits: the queue is bounded.
        publisher.publish(message(number))?;
    }
    let letters = bus.dead_letters().clone();
    // Takes nothing more, and ends when all is done that was put in.
    let report = bus.shutdown(PATIENCE)?;
    let done = std::mem::take(&mut *done.lock().map_err(|_| "the record is damaged")?);
    Ok(Outcome { done, letters: letters.list(), account: report.handlers[0].account })
}

/// What is wrong with the totals.
fn flaw(outcome: &Outcome, messages: u32) -> Option<String> {
    let Outcome { done, letters, account } = outcome;
    let (done_count, dead) = (done.len() as u64, account.dead);
    if done_count + dead != u64::from(messages) {
        return Some(format!("{done_count} done and {dead} dead are not {messages}"));
    }
    if !done.is_sorted_by_key(|(number, _)| *number) {
        return Some("the worker has not kept the order".to_owned());
    }
    // The oldest letters go when there are very many.
    let is_right =
        account.adds_up() && account.handled == done_count && letters.len() as u64 <= dead;
    (!is_right).then(|| format!("the account does not add up: {account}"))
}

fn print(outcome: &Outcome, options: &Options) {
    let Outcome { done, letters, account } = outcome;
    for (number, line) in done.iter().take(options.show) {
        println!("{number:>5}  {line}");
    }
    println!("    …");
    let panicked = |letter: &LetterInfo| letter.history.iter().any(|attempt| attempt.panicked);
    for letter in letters.iter().take(4) {
        let how = if panicked(letter) { "panicked" } else { "failed" };
        println!("       {} {how}: {}", letter.topic, letter.reason);
    }
    println!("    …\n");
    let panics = letters.iter().filter(|letter| panicked(letter)).count();
    let failed = |letter: &&LetterInfo| matches!(letter.reason, Reason::Failed(_));
    let failures = letters.iter().filter(failed).count() - panics;
    println!("sent        {:>8}, with room for {} at a time", options.messages, options.room);
    println!("done        {:>8}, in order, by one worker", done.len());
    println!("failed      {failures:>8}");
    println!("panicked    {panics:>8}, and the worker went on");
    println!("account     worker: {account}");
}

fn main() -> ExitCode {
    let options = Options::parse();
    // A handler that panics is told of by its letter.
    std::panic::set_hook(Box::new(|_| ()));
    let outcome = match run(options.messages, options.room) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    print(&outcome, &options);
    if let Some(flaw) = flaw(&outcome, options.messages) {
        eprintln!("error: {flaw}");
        return ExitCode::FAILURE;
    }
    println!("checked     sent = done + failed + panicked, first in, first out");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_in_order_but_what_fails() {
        let outcome = run(1_000, 4).unwrap();
        assert_eq!(flaw(&outcome, 1_000), None);
        // 334 letters, every 5th of them, and 333 divisions, every 7th of them.
        assert_eq!((outcome.done.len(), outcome.letters.len()), (1_000 - 66 - 47, 66 + 47));
        let works = |number: &u32| work_of(*number).is_some();
        let numbers = outcome.done.iter().map(|(number, _)| *number);
        assert!(numbers.eq((0..1_000).filter(works)));
    }

    /// What comes of a message, worked out here.
    fn work_of(number: u32) -> Option<()> {
        let fails = number % 15 == 12 || number % 21 == 20;
        (!fails).then_some(())
    }

    #[test]
    fn a_panic_and_a_failure_are_told_apart() {
        let outcome = run(30, 2).unwrap();
        let told: Vec<_> = outcome
            .letters
            .iter()
            .map(|letter| (letter.reason.to_string(), letter.history[0].panicked))
            .collect();
        let nobody = ("nobody to send it to".to_owned(), false);
        let by_nothing = ("attempt to divide by zero".to_owned(), true);
        assert_eq!(told, [nobody.clone(), by_nothing, nobody]);
    }

    #[test]
    fn totals_that_are_wrong_are_found() {
        let mut outcome = run(10, 2).unwrap();
        outcome.done.swap(0, 1);
        assert!(flaw(&outcome, 10).unwrap().contains("order"));
        assert!(flaw(&outcome, 11).unwrap().contains("are not 11"));
    }
}
