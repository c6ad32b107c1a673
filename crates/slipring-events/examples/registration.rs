//! User registration: whoever registers gets a welcome mail, once, although the mail server fails now
//! and then and some registrations are delivered twice; what cannot be sent lies among the dead letters
//! until somebody has mended the matter. An audit sees everything.
//!
//! ```text
//! registrations ──▶ user.created ──▶ welcome mail ──▶ user.welcomed
//!                        └─────────▶ audit ◀────────────────┘
//! ```
//!
//! Run it with `cargo run --release -p slipring-events --example registration`, add `-- --help` for the
//! options. Exit code 0: everybody has had one mail; 1: they have not.

mod simulation;

use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use simulation::{Simulation, Story};
use slipring_events::{
    Account, Backoff, Bus, DeadLetters, Draft, EventId, HandlerError, Retry, Source, events,
};

const SECOND: Duration = Duration::from_secs(1);

/// Everybody who registers gets one welcome mail.
#[derive(Parser, Clone, Debug)]
struct Options {
    /// How many users register.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    users: u32,
    /// How many attempts in a hundred the mail server fails.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=90))]
    trouble: u32,
    /// What the server's failures and the second deliveries are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many lines of the story to show.
    #[arg(long, default_value_t = 40)]
    show: usize,
}

#[derive(Clone, Debug)]
struct UserCreated {
    user: u32,
    mail: String,
}

#[derive(Clone, Debug)]
struct Welcomed {
    user: u32,
}

events! {
    /// What happens to users.
    enum Users {
        UserCreated = "user.created",
        Welcomed = "user.welcomed",
    }
}

/// Sends mail, if all goes well.
struct MailServer {
    rng: fastrand::Rng,
    trouble: u32,
    /// Whether it knows the way to example.net.
    is_mended: Arc<AtomicBool>,
    /// Who has had a mail.
    sent: Arc<Mutex<Vec<u32>>>,
}

impl MailServer {
    fn send(&mut self, user: &UserCreated) -> Result<(), HandlerError> {
        if user.mail.ends_with("@example.net") && !self.is_mended.load(Ordering::Relaxed) {
            return Err("no route to example.net".into());
        }
        if self.rng.u32(..100) < self.trouble {
            return Err("451 try again later".into());
        }
        self.sent.lock().map_err(|_| "the outbox is damaged")?.push(user.user);
        Ok(())
    }
}

/// Every 6th user is at a place that the mail server does not find at first.
fn user_created(user: u32) -> UserCreated {
    let place = if user % 6 == 3 { "example.net" } else { "example.org" };
    UserCreated { user, mail: format!("user{user}@{place}") }
}

/// What has come of it.
#[derive(Debug, PartialEq, Eq)]
struct Totals {
    users: u32,
    /// Registrations that were delivered a second time.
    redelivered: u32,
    /// Who has had a mail, in the order of the mails.
    mails: Vec<u32>,
    /// Letters that were dead, and given back when the route was mended.
    requeued: usize,
    welcome: Account,
    audit: Account,
}

/// The handlers, at work on simulated time.
struct Service {
    bus: Bus<Users>,
    simulation: Simulation<Users>,
    story: Story,
    is_mended: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<u32>>>,
}

impl Service {
    fn start(options: &Options) -> Result<Self, Box<dyn Error>> {
        let simulation = Simulation::new();
        let story = Story::new(simulation.clock());
        let bus = Bus::<Users>::builder(64).clock(simulation.clock()).start()?;
        let (is_mended, sent) = (Arc::default(), Arc::default());
        let mut service = Self { bus, simulation, story, is_mended, sent };
        service.audit()?;
        service.welcome(options)?;
        Ok(service)
    }

    /// Sends each user a mail: again at once when that fails, then after 1, 2 and 4 seconds.
    fn welcome(&mut self, options: &Options) -> Result<(), Box<dyn Error>> {
        let mut server = MailServer {
            rng: fastrand::Rng::with_seed(options.seed),
            trouble: options.trouble,
            is_mended: Arc::clone(&self.is_mended),
            sent: Arc::clone(&self.sent),
        };
        let story = self.story.clone();
        let (_, hand) = self
            .bus
            .handler("welcome mail")
            .on::<UserCreated>()
            .idempotent(10_000)
            .retry(Retry::immediately(1).then(Backoff::exponential(SECOND), 3))
            .by_hand(move |user, context| {
                let attempt = context.attempt();
                server.send(user).inspect_err(|error| {
                    story.tell(format_args!("  mail to {}, attempt {attempt}: {error}", user.mail));
                })?;
                story.tell(format_args!("  mail to {} sent, attempt {attempt}", user.mail));
                Ok::<_, HandlerError>(Some(Welcomed { user: user.user }))
            })?;
        self.simulation.add(hand);
        Ok(())
    }

    /// Sees everything, also what comes twice.
    fn audit(&mut self) -> Result<(), Box<dyn Error>> {
        let story = self.story.clone();
        let (_, hand) =
            self.bus.handler("audit").topic("user.#").by_hand(move |event, context| {
                let (Users::UserCreated(UserCreated { user, .. })
                | Users::Welcomed(Welcomed { user })) = event;
                let is_again =
                    context.metadata().is_some_and(|notes| notes.get("delivered").is_some());
                let again = if is_again { ", delivered again" } else { "" };
                story.tell(format_args!("{}  user {user}{again}", context.topic()));
            })?;
        self.simulation.add(hand);
        Ok(())
    }

    /// Users register, one every other second. Whoever delivers that does not know of each whether it
    /// has arrived, and delivers it again, under the same id. Returns how many came twice.
    fn register(&mut self, options: &Options) -> Result<u32, Box<dyn Error>> {
        let (front_desk, mut redelivered) = (Source::named("front desk"), 0);
        let mut rng = fastrand::Rng::with_seed(!options.seed);
        let mut publisher = self.bus.publisher();
        for user in 0..options.users {
            let created = user_created(user);
            let draft = Draft::new(created).id(EventId::of(front_desk, user.into()));
            publisher.send(draft.clone())?;
            self.simulation.pass(SECOND);
            if rng.u32(..4) == 0 {
                publisher.send(draft.note("delivered", "again"))?;
                redelivered += 1;
            }
            self.simulation.pass(SECOND);
        }
        self.simulation.run_out();
        Ok(redelivered)
    }

    /// Somebody looks at the dead letters, mends what was wrong, and gives them back.
    fn mend(&mut self) -> Result<usize, Box<dyn Error>> {
        let (letters, mut requeued) = (self.bus.dead_letters().clone(), 0);
        self.tell_letters(&letters);
        self.is_mended.store(true, Ordering::Relaxed);
        self.story.tell("the way to example.net is mended: the dead letters go back");
        // The server still fails now and then: once may not be enough.
        while !letters.is_empty() {
            requeued += letters.requeue_all("welcome mail")?;
            self.simulation.run_out();
        }
        Ok(requeued)
    }

    fn tell_letters(&self, letters: &DeadLetters<Users>) {
        for letter in letters.list() {
            self.story.tell(format_args!(
                "dead letter {}: {} of `{}` after {} attempts, {}",
                letter.id, letter.topic, letter.handler, letter.attempts, letter.reason
            ));
        }
    }
}

fn run(options: &Options) -> Result<(Totals, Story), Box<dyn Error>> {
    let mut service = Service::start(options)?;
    let redelivered = service.register(options)?;
    let requeued = service.mend()?;
    let accounts: Vec<Account> =
        service.bus.accounts().into_iter().map(|report| report.account).collect();
    let Service { bus, simulation, story, sent, .. } = service;
    // Handlers that run by hand would be waited for: nobody has them in hand any more.
    drop(simulation);
    bus.shutdown(SECOND * 60)?;
    let mails = std::mem::take(&mut *sent.lock().map_err(|_| "the outbox is damaged")?);
    let [audit, welcome] = accounts[..] else { return Err("there are two handlers".into()) };
    Ok((Totals { users: options.users, redelivered, mails, requeued, welcome, audit }, story))
}

/// What is wrong with the totals.
fn flaw(totals: &Totals) -> Option<String> {
    let Totals { users, redelivered, mails, requeued: _, welcome, audit } = totals;
    let mut each = mails.clone();
    each.sort_unstable();
    if !each.iter().copied().eq(0..*users) {
        return Some("not everybody has had one mail".to_owned());
    }
    let (users, redelivered) = (u64::from(*users), u64::from(*redelivered));
    if (welcome.handled, welcome.duplicates) != (users, redelivered) {
        return Some(format!("the account of the welcome mail is wrong: {welcome}"));
    }
    // Each delivery, and each mail.
    if audit.handled != users + redelivered + users {
        return Some(format!("the account of the audit is wrong: {audit}"));
    }
    (!welcome.adds_up() || !audit.adds_up()).then(|| "an account does not add up".to_owned())
}

fn print(totals: &Totals) {
    let deliveries = totals.users + totals.redelivered;
    println!("\nregistered    {} users, by {deliveries} deliveries", totals.users);
    println!("mails         {}, one for each", totals.mails.len());
    println!("dead letters  {}, all given back and sent", totals.requeued);
    println!("welcome mail  {}", totals.welcome);
    println!("audit         {}", totals.audit);
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (totals, story) = match run(&options) {
        Ok(done) => done,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    story.print(options.show);
    print(&totals);
    if let Some(flaw) = flaw(&totals) {
        eprintln!("error: {flaw}");
        return ExitCode::FAILURE;
    }
    println!("checked       everybody has had one mail, and the audit has seen all of it");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(users: u32, trouble: u32) -> Options {
        Options { users, trouble, seed: 7, show: 0 }
    }

    #[test]
    fn the_story_of_the_readme() {
        let (totals, _) = run(&Options::parse_from(["registration"])).unwrap();
        assert_eq!(flaw(&totals), None);
        let Account { handled, duplicates, dead, requeued, failures, retries, .. } = totals.welcome;
        assert_eq!((handled, duplicates, dead, requeued), (8, 1, 1, 1));
        // User 3 fails five times, user 5 twice; a letter that is given back begins anew.
        assert_eq!((failures, retries), (7, 6));
        assert_eq!(totals.mails, [0, 1, 2, 4, 5, 6, 7, 3]);
        assert_eq!(totals.audit.handled, 17);
    }

    #[test]
    fn without_trouble_only_the_lost_route_fails() {
        let (totals, _) = run(&options(12, 0)).unwrap();
        assert_eq!(flaw(&totals), None);
        // Users 3 and 9, five attempts each, and again for each second delivery of them.
        let dead = totals.welcome.dead;
        assert_eq!((totals.welcome.requeued, totals.requeued as u64), (dead, dead));
        assert_eq!(totals.welcome.failures, dead * 5);
        assert_eq!(totals.welcome.retries, dead * 4);
        assert_eq!(totals.mails[..3], [0, 1, 2]);
        assert_eq!(totals.mails.len(), 12);
    }

    #[test]
    fn everybody_gets_one_mail_whatever_the_server_does() {
        for trouble in [0, 30, 60, 90] {
            let (totals, _) = run(&options(100, trouble)).unwrap();
            assert_eq!(flaw(&totals), None, "{trouble}: {totals:?}");
        }
    }

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let (first, second) = (run(&options(50, 30)).unwrap().0, run(&options(50, 30)).unwrap().0);
        assert_eq!(first, second);
    }

    #[test]
    fn a_second_mail_would_be_found() {
        let (mut totals, _) = run(&options(6, 0)).unwrap();
        totals.mails.push(0);
        assert!(flaw(&totals).unwrap().contains("one mail"));
    }
}
