//! A bank by event sourcing. Customers open accounts, pay in, draw out and transfer, several at once; nothing is stored
//! but what has happened, and all else follows from it. At the end no cent is missing.
//!
//! ```text
//! Transfer ─▶ bus ─▶ one commit ─┬▶ money.withdrawn (account-3) ─┬▶ balances    what is on each account
//!                                └▶ money.deposited (account-8) ─┴▶ statements  what each month has brought
//! ```
//!
//! * Nobody draws out what is not there: the account decides, on the state of all events before.
//! * Two who touch the same account at once: one of them decides again.
//! * A careless client sends every tenth transfer twice: it is carried out once.
//! * At half-time `statements` is built anew in a second version, beside the first, and takes over.
//!
//! Run it with `cargo run --release -p slipring-store --example ledger`, add `-- --help` for the options.
//! Exit code 0: the money is conserved, and what is shown is what has happened; 1: it is not.

mod money;

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    ops::ControlFlow,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Parser;
use money::{Account, DrawOut, Euros, Money, No, Open, Opened, PayIn, Transfer};
use serde::{Deserialize, Serialize};
use slipring_events::{EventId, Source};
use slipring_store::{
    Codec, Durability, Embedded, EventStore, Json, Record, StoreError,
    sourcing::{
        CommandBus, CommandError, Fault, Origin, Projection, ProjectionView, Projector, Repository,
        Settings, Values, id_of,
    },
};

/// What waiting must not take.
const LONG: Duration = Duration::from_mins(1);

/// A bank that keeps what has happened, and nothing else.
#[derive(Parser, Clone, Debug)]
struct Options {
    /// How many transfers are asked for.
    #[arg(long, default_value_t = 2_000)]
    transfers: u32,
    /// How many threads ask for them.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// How many accounts there are. The fewer, the more often two touch the same one.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    accounts: u32,
    /// What amounts and accounts are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the bank keeps its books; if not given, where nobody finds them afterwards.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Who handles which command. A transfer is two decisions in one commit.
fn bus(store: &Arc<dyn EventStore>) -> Result<CommandBus, Box<dyn Error>> {
    let settings = Settings::default().retries(10_000).durability(Durability::Visible);
    let accounts = Repository::<Account, _>::new(store.clone(), Json);
    let accounts = Arc::new(accounts.snapshots(100).settings(settings.source("bank")));
    let both = accounts.clone();
    let bus = CommandBus::builder()
        .route::<Open, _>(accounts.clone())
        .route::<PayIn, _>(accounts.clone())
        .route::<DrawOut, _>(accounts)
        .handle(move |Transfer { from, to, cents }: &Transfer, origin| {
            both.transact(origin, |work| {
                if from == to {
                    return Err(CommandError::Refused(No::Itself));
                }
                let (from, to, cents) = (from.clone(), to.clone(), *cents);
                work.execute(&both, &from.clone(), &DrawOut { account: from, cents })?;
                work.execute(&both, &to.clone(), &PayIn { account: to, cents })
            })
        })
        .build()?;
    Ok(bus)
}

// ---- what is shown ----

/// What is on each account.
struct Balances;

impl Projection for Balances {
    type Event = Money;

    fn name(&self) -> &'static str {
        "balances"
    }

    fn apply(
        &self,
        event: &Money,
        record: &Record<'_>,
        values: &mut Values<'_>,
    ) -> Result<(), Fault> {
        let account = account_of(record)?;
        let cents: i64 = values.get_as(account)?.unwrap_or(0);
        values.put_as(account, &(cents + event.cents()))
    }
}

/// What has come and gone on an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Statement {
    entries: u32,
    came: i64,
    went: i64,
}

/// How much has come and gone on each account; from the second version on, also in how many entries.
struct Statements {
    version: u32,
}

impl Projection for Statements {
    type Event = Money;

    fn name(&self) -> &'static str {
        "statements"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn apply(
        &self,
        event: &Money,
        record: &Record<'_>,
        values: &mut Values<'_>,
    ) -> Result<(), Fault> {
        let account = account_of(record)?;
        let mut statement: Statement = values.get_as(account)?.unwrap_or_default();
        statement.add(event, self.version);
        values.put_as(account, &statement)
    }
}

impl Statement {
    fn add(&mut self, event: &Money, version: u32) {
        self.entries += u32::from(version >= 2);
        self.came += event.cents().max(0);
        self.went -= event.cents().min(0);
    }
}

fn account_of<'a>(record: &Record<'a>) -> Result<&'a str, Fault> {
    let stream = record.stream.ok_or("it is in no stream")?;
    Ok(id_of::<Account>(stream.name).ok_or("it is about no account")?)
}

// ---- the customers ----

const NAMES: [&str; 8] =
    ["Ada", "Alan", "Barbara", "Donald", "Edsger", "Grace", "Margaret", "Niklaus"];

/// What has come of what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    done: u64,
    overdrawn: u64,
    itself: u64,
    repeated: u64,
    /// How often a decision was made again since somebody else had been there before.
    again: u64,
    paid_in: u64,
    drawn_out: u64,
}

impl Tally {
    fn and(self, other: Self) -> Self {
        Self {
            done: self.done + other.done,
            overdrawn: self.overdrawn + other.overdrawn,
            itself: self.itself + other.itself,
            repeated: self.repeated + other.repeated,
            again: self.again + other.again,
            paid_in: self.paid_in + other.paid_in,
            drawn_out: self.drawn_out + other.drawn_out,
        }
    }
}

/// Everybody opens an account and pays something in.
fn open(bus: &CommandBus, options: &Options) -> Result<Tally, CommandError<No>> {
    let mut random = fastrand::Rng::with_seed(options.seed);
    let mut tally = Tally::default();
    for number in 0..options.accounts {
        let (account, owner) = (number.to_string(), NAMES[number as usize % NAMES.len()]);
        bus.send(&Open { account: account.clone(), owner })?;
        let cents = random.u64(10_000..100_000);
        bus.send(&PayIn { account, cents })?;
        tally.paid_in += cents;
    }
    Ok(tally)
}

/// One thread of customers. What they ask for depends on the seed alone.
fn customers(
    bus: &CommandBus,
    options: &Options,
    thread: u32,
    asked: &AtomicU32,
) -> Result<Tally, CommandError<No>> {
    let Options { accounts, transfers, threads, seed, .. } = *options;
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003) + u64::from(thread));
    let source = Source::named("customers");
    let mut tally = Tally::default();
    for number in (thread..transfers).step_by(threads as usize) {
        let (from, to) = (random.u32(..accounts).to_string(), random.u32(..accounts).to_string());
        let cents = random.u64(1..30_000);
        let origin = Origin::command(EventId::of(source, u64::from(number)));
        let transfer = Transfer { from, to, cents };
        // Every tenth is sent twice.
        for _ in 0..=u32::from(number % 10 == 0) {
            match bus.send_as(&transfer, &origin) {
                Ok(done) => {
                    tally.again += u64::from(done.attempts) - 1;
                    tally.done += u64::from(!done.repeated);
                    tally.repeated += u64::from(done.repeated);
                }
                Err(CommandError::Refused(No::Overdrawn { .. })) => tally.overdrawn += 1,
                Err(CommandError::Refused(No::Itself)) => tally.itself += 1,
                Err(error) => return Err(error),
            }
        }
        // ORDERING: Relaxed. It is only looked at to begin something at about half-time.
        asked.fetch_add(1, Ordering::Relaxed);
        if number % 50 == 0 {
            let (account, cents) = (random.u32(..accounts).to_string(), random.u64(1..5_000));
            match bus.send(&DrawOut { account, cents }) {
                Ok(_) => tally.drawn_out += cents,
                Err(CommandError::Refused(No::Overdrawn { .. })) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(tally)
}

// ---- the day ----

/// What has happened, and what is shown of it.
#[derive(Debug)]
struct Day {
    tally: Tally,
    events: u64,
    owners: BTreeMap<String, String>,
    /// By a plain fold over all events.
    facts: BTreeMap<String, Statement>,
    balances: BTreeMap<String, i64>,
    statements: BTreeMap<String, Statement>,
    /// At which event the second version of the statements was shown.
    rebuilt_at: u64,
}

fn run(store: &Arc<dyn EventStore>, options: &Options) -> Result<Day, Box<dyn Error>> {
    let bus = bus(store)?;
    let balances = Projector::new(store.clone(), Balances, Json).start()?;
    let statements = Projector::new(store.clone(), Statements { version: 1 }, Json).start()?;
    let opened = open(&bus, options)?;
    let asked = AtomicU32::new(0);
    let (tally, rebuilt, rebuilt_at) = thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|thread| {
                let (bus, asked) = (&bus, &asked);
                scope.spawn(move || customers(bus, options, thread, asked))
            })
            .collect();
        // At half-time, while they go on.
        while asked.load(Ordering::Relaxed) < options.transfers / 2
            && !threads.iter().all(thread::ScopedJoinHandle::is_finished)
        {
            thread::sleep(Duration::from_micros(100));
        }
        let rebuilt = Projector::new(store.clone(), Statements { version: 2 }, Json).start()?;
        while !rebuilt.status()?.is_shown {
            thread::sleep(Duration::from_millis(1));
        }
        let rebuilt_at = rebuilt.status()?.position;
        let mut tally = opened;
        for thread in threads {
            tally = tally.and(thread.join().map_err(|_| "a customer has panicked")??);
        }
        Ok::<_, Box<dyn Error>>((tally, rebuilt, rebuilt_at))
    })?;
    let end = store.bounds()?.end;
    balances.wait_for(end, LONG)?;
    rebuilt.wait_for(end, LONG)?;
    balances.stop()?;
    rebuilt.stop()?;
    // The first version has ended by itself.
    drop(statements);
    let (owners, facts) = fold(&**store)?;
    let (balances, statements) = (shown(store, "balances")?, shown(store, "statements")?);
    Ok(Day { tally, events: end, owners, facts, balances, statements, rebuilt_at })
}

type Facts = (BTreeMap<String, String>, BTreeMap<String, Statement>);

/// What follows from all events, as anybody would write it.
fn fold(store: &dyn EventStore) -> Result<Facts, Box<dyn Error>> {
    let (mut owners, mut facts) = (BTreeMap::new(), BTreeMap::<String, Statement>::new());
    let mut failed = None;
    store.scan(0, &mut |record| {
        let mut read = || {
            let (account, event) = (account_of(&record)?, Codec::<Money>::decode(&Json, &record)?);
            if let Money::Opened(Opened { owner }) = &event {
                owners.insert(account.to_owned(), owner.clone());
            }
            facts.entry(account.to_owned()).or_default().add(&event, 2);
            Ok::<(), Fault>(())
        };
        failed = read().err();
        if failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failed.map_or(Ok((owners, facts)), |fault| Err(fault as Box<dyn Error>))
}

/// All that a projection shows.
fn shown<T: serde::de::DeserializeOwned>(
    store: &Arc<dyn EventStore>,
    name: &str,
) -> Result<BTreeMap<String, T>, StoreError> {
    let view = ProjectionView::of(store.clone(), name);
    view.read(|shown| {
        let all = shown.range("", usize::MAX)?.into_iter().map(|(key, _)| {
            let value = shown.get_as(&key)?;
            let key = String::from_utf8_lossy(&key).into_owned();
            Ok(value.map(|value| (key, value)))
        });
        all.filter_map(Result::transpose).collect()
    })
}

impl Day {
    /// What is not as it should be.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |is_so: bool, fault: String| {
            if !is_so {
                faults.push(fault);
            }
        };
        let there: i64 = self.balances.values().sum();
        let Tally { paid_in, drawn_out, done, .. } = self.tally;
        let should = paid_in.cast_signed() - drawn_out.cast_signed();
        check(there == should, format!("there is {}, not {}", Euros(there), Euros(should)));
        let balances: BTreeMap<_, _> =
            self.facts.iter().map(|(id, fact)| (id.clone(), fact.came - fact.went)).collect();
        check(balances == self.balances, "the balances are not what has happened".into());
        check(self.statements == self.facts, "the statements are not what has happened".into());
        check(balances.values().all(|cents| *cents >= 0), "an account is overdrawn".into());
        let moved: i64 = self.facts.values().map(|fact| fact.came + fact.went).sum();
        let least = 2 * done + u64::from(moved > 0);
        check(self.events >= least, format!("{done} transfers in {} events", self.events));
        faults
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { done, overdrawn, itself, repeated, again, paid_in, drawn_out } = self.tally;
        writeln!(
            f,
            "{done} transfers were made, in one commit each: {} events in all",
            self.events
        )?;
        writeln!(
            f,
            "{overdrawn} were refused, since the money was not there; {itself} went nowhere"
        )?;
        writeln!(f, "{repeated} were sent twice, and made once")?;
        writeln!(f, "{again} decisions were made again: somebody else had been there before")?;
        writeln!(f, "the new statements took over at event {}\n", self.rebuilt_at)?;
        writeln!(
            f,
            "the largest accounts       entries           came           went        balance"
        )?;
        let mut largest: Vec<_> = self.balances.iter().collect();
        largest.sort_by_key(|(id, cents)| (std::cmp::Reverse(**cents), (*id).clone()));
        for (id, cents) in largest.iter().take(5) {
            let (owner, Statement { entries, came, went }) =
                (&self.owners[*id], self.statements[*id]);
            let (came, went, cents) = (Euros(came), Euros(went), Euros(**cents));
            writeln!(
                f,
                "  {:<24}{entries:>8}{came:>15}{went:>15}{cents:>15}",
                format!("{owner} ({id})")
            )?;
        }
        let there = self.balances.values().sum();
        let (paid_in, drawn_out) = (Euros(paid_in.cast_signed()), Euros(drawn_out.cast_signed()));
        writeln!(f, "\npaid in {paid_in}, drawn out {drawn_out}, there {}", Euros(there))
    }
}

/// A day, the end of the program, and a look into the books. Returns what is not as it should be.
fn day_and_night(options: &Options) -> Result<Vec<String>, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let dir = options.dir.clone().unwrap_or_else(|| home.path().join("ledger"));
    let open = || Ok::<_, StoreError>(Arc::new(Embedded::open(&dir)?) as Arc<dyn EventStore>);
    let store = open()?;
    if store.bounds()?.end > 0 {
        return Err(format!("{} is of another bank: take an empty directory", dir.display()).into());
    }
    let day = run(&store, options)?;
    drop(store);
    print!("{day}");
    let mut faults = day.faults();
    let store = open()?;
    if fold(&*store)? != (day.owners, day.facts) || shown(&store, "balances")? != day.balances {
        faults.push("the books are not what they were".into());
    }
    Ok(faults)
}

fn main() -> ExitCode {
    match day_and_night(&Options::parse()) {
        Ok(faults) if faults.is_empty() => {
            println!("no cent is missing");
            return ExitCode::SUCCESS;
        }
        Ok(faults) => faults.iter().for_each(|fault| eprintln!("{fault}")),
        Err(error) => eprintln!("the bank has closed early: {error}"),
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use slipring_events::Time;
    use slipring_store::{
        Memory,
        sourcing::{Given, GivenEvents},
    };

    use super::{
        money::{Deposited, Withdrawn},
        *,
    };

    fn day(transfers: u32, threads: u32, accounts: u32, seed: u64) -> Day {
        let store: Arc<dyn EventStore> = Arc::new(Memory::new());
        run(&store, &Options { transfers, threads, accounts, seed, dir: None }).unwrap()
    }

    #[test]
    fn the_books_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let dir = Some(home.path().join("books"));
        let options = Options { transfers: 60, threads: 2, accounts: 3, seed: 1, dir };
        assert_eq!(day_and_night(&options).unwrap(), Vec::<String>::new());
        let again = day_and_night(&options).unwrap_err();
        assert!(again.to_string().ends_with("take an empty directory"), "{again}");
    }

    #[test]
    fn no_cent_is_missing() {
        for (seed, accounts) in [(1, 2), (2, 5), (3, 40)] {
            let day = day(400, 4, accounts, seed);
            assert_eq!(day.faults(), Vec::<String>::new());
            let Tally { done, overdrawn, itself, repeated, .. } = day.tally;
            // Each that was asked for has come to its end, and of those sent twice the second one as well.
            assert_eq!(done + overdrawn + itself + repeated, 440);
            assert!(done > 0 && repeated <= 40);
        }
    }

    #[test]
    fn one_thread_does_the_same_each_time() {
        let [one, other] = [(); 2].map(|()| day(300, 1, 6, 7));
        assert_eq!((one.tally, &one.balances), (other.tally, &other.balances));
        assert_eq!((one.tally.again, one.facts == other.facts), (0, true));
        assert_ne!(one.balances, day(300, 1, 6, 8).balances);
    }

    #[test]
    fn a_missing_cent_is_found() {
        let whole = || day(50, 2, 4, 1);
        let mut less = whole();
        *less.balances.get_mut("0").unwrap() -= 1;
        assert_eq!(less.faults().len(), 2, "{:?}", less.faults());
        let mut other = whole();
        other.statements.get_mut("0").unwrap().entries += 1;
        assert_eq!(other.faults(), ["the statements are not what has happened"]);
        let mut lost = whole();
        lost.events = 0;
        assert_eq!(lost.faults().len(), 1);
    }

    #[test]
    fn the_account_decides() {
        let ada = || Given::<Account>::events([Opened { owner: "Ada".into() }.into()]);
        let account = || String::from("7");
        ada().when(&Open { account: account(), owner: "Bob" }).then_error(&No::Open);
        ada()
            .and([Deposited { cents: 5 }.into()])
            .when(&DrawOut { account: account(), cents: 6 })
            .then_error(&No::Overdrawn { has: 5 });
        ada()
            .when(&PayIn { account: account(), cents: 5 })
            .then_events([Deposited { cents: 5 }.into()])
            .then_state(|account| assert_eq!(account.cents, 5));
        Given::<Account>::nothing()
            .when(&PayIn { account: account(), cents: 5 })
            .then_error(&No::Account);
    }

    #[test]
    fn the_second_version_counts_entries() {
        for (version, entries) in [(1, 0), (2, 2)] {
            GivenEvents::of(Statements { version })
                .event_at(Time::EPOCH, "account-7", Opened { owner: "Ada".into() })
                .event("account-7", Withdrawn { cents: 3 })
                .then_value("7", &Statement { entries, came: 0, went: 3 });
        }
    }

    #[test]
    fn money_is_written_as_people_write_it() {
        assert_eq!(format!("[{:>9}]", Euros(12_305)), "[ 123.05 €]");
    }
}
