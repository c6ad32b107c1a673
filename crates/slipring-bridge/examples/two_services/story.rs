//! The parent: starts all three, kills one of them now and then, and looks into the stores in the end.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;

use super::{
    Args, Fault,
    broker::Server,
    service::{Progress, Who},
    verdict,
};

/// For how long nothing may move before something is wrong. A broker takes a while to start on a busy machine.
const STILL: Duration = Duration::from_mins(3);

/// How long a service may take to end.
const ENDING: Duration = Duration::from_secs(30);

/// Waits for the parent's end, however it ends, and takes away what it has left. Servers may write for a moment still.
const SWEEP: &str = r#"trap '' INT HUP TERM; read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit; sleep 0.3; done"#;

/// The directory of everything.
struct Home {
    path: PathBuf,
    sweeper: Child,
}

impl Home {
    fn new() -> Result<Self, Fault> {
        let path = tempfile::tempdir()?.keep();
        let sweeper = Command::new("sh")
            .args(["-c", SWEEP, "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        // The broker's directory is in it, too.
        let inside = path.join("broker");
        fs::create_dir(&inside)?;
        tempfile::env::override_temp_dir(&inside).map_err(|_| "there is another directory")?;
        Ok(Self { path, sweeper })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}

/// What the threads that listen to services tell: of which, in which of its runs, what it says; nothing if it has ended.
struct Heard {
    run: u32,
    who: Who,
    said: Option<Result<Progress, Fault>>,
}

/// A service as the parent knows it.
struct Running {
    who: Who,
    process: Child,
    /// Which start of anything it was.
    run: u32,
    last: Progress,
    /// Of all runs before.
    twice: u64,
    kills: u32,
}

/// What is killed.
#[derive(Clone, Copy)]
enum Victim {
    Service(usize),
    Broker,
}

struct Story<'a> {
    args: &'a Args,
    home: &'a Path,
    random: Rng,
    began: Instant,
    broker: Box<dyn Server>,
    broker_kills: u32,
    services: Vec<Running>,
    starts: u32,
    tell: Sender<Heard>,
    hear: Receiver<Heard>,
}

/// Tells the story, and checks its end.
pub fn run(args: &Args) -> Result<(), Fault> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let home = Home::new()?;
    let (tell, hear) = mpsc::channel();
    let mut story = Story {
        args,
        home: &home.path,
        random: Rng::with_seed(seed),
        began: Instant::now(),
        broker: args.broker.start()?,
        broker_kills: 0,
        services: Vec::new(),
        starts: 0,
        tell,
        hear,
    };
    println!(
        "{} orders over {}, {} kills, seed {seed}\n",
        args.orders,
        args.broker.name(),
        args.kills
    );
    println!("  second  kill  of             placed  deducted      done");
    for who in [Who::Orders, Who::Warehouse] {
        let running = story.start(who)?;
        story.services.push(running);
    }
    story.broker.settle();
    story.began = Instant::now();
    story.go()?;
    let seconds = story.began.elapsed().as_secs_f64();
    story.end()?;
    let sums = verdict::look(story.home, args.orders)?;
    story.tell_end(&sums, seconds);
    sums.check()?;
    let verdict::Item { ordered, in_stock } = sums.total();
    println!(
        "every order is done once, and every unit is there: {in_stock} in stock and {ordered} ordered are {}",
        in_stock + ordered
    );
    Ok(())
}

impl Story<'_> {
    /// Starts a service.
    fn start(&mut self, who: Who) -> Result<Running, Fault> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--broker", self.args.broker.name(), "--serve", who.name()])
            .args(["--orders", &self.args.orders.to_string(), "--url", &self.broker.url()])
            .arg("--home")
            .arg(self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let from = process.stdout.take().ok_or("the service has no output")?;
        self.starts += 1;
        let (tell, run) = (self.tell.clone(), self.starts);
        thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let said = line.map_err(Fault::from);
                let said = said.and_then(|line| Ok(serde_json::from_str(&line)?));
                if tell.send(Heard { run, who, said: Some(said) }).is_err() {
                    return;
                }
            }
            let _ = tell.send(Heard { run, who, said: None });
        });
        Ok(Running { who, process, run, last: Progress::default(), twice: 0, kills: 0 })
    }

    /// Until every order is done, and everything was killed that is to be.
    fn go(&mut self) -> Result<(), Fault> {
        let mut moments: Vec<u64> =
            (0..self.args.kills).map(|_| self.random.u64(0..self.args.orders)).collect();
        moments.sort_unstable();
        moments.reverse();
        let (mut moved, mut before) = (Instant::now(), self.sum());
        while !moments.is_empty() || self.services[0].last.done < self.args.orders {
            match self.hear.recv_timeout(Duration::from_millis(50)) {
                Ok(heard) => self.note(heard)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err("nobody says anything".into()),
            }
            if moments.last().is_some_and(|moment| self.services[0].last.done >= *moment) {
                moments.pop();
                thread::sleep(Duration::from_micros(self.random.u64(0..20_000)));
                self.kill()?;
            }
            if self.sum() != before {
                (moved, before) = (Instant::now(), self.sum());
            } else if moved.elapsed() > STILL {
                return Err(format!("nothing has moved for {STILL:?}").into());
            }
        }
        Ok(())
    }

    /// Grows when anything happens.
    fn sum(&self) -> u64 {
        let all = self.services.iter().map(|service| service.last.made + service.last.done);
        all.sum::<u64>() + u64::from(self.starts + self.broker_kills)
    }

    fn note(&mut self, heard: Heard) -> Result<(), Fault> {
        let mine = self.services.iter_mut().find(|service| service.run == heard.run);
        let Some(service) = mine else {
            // The last words of one that was killed.
            return heard.said.map_or(Ok(()), |said| said.map(drop).or(Ok(())));
        };
        let Some(said) = heard.said else {
            let status = service.process.wait()?;
            return Err(format!("{} has ended by itself: {status}", heard.who.name()).into());
        };
        let said = said?;
        if said.made < service.last.made || said.done < service.last.done {
            let (name, last) = (heard.who.name(), service.last);
            return Err(format!("{name} went back from {last:?} to {said:?}").into());
        }
        service.last = said;
        Ok(())
    }

    /// Kills one of the three, and starts it again after a moment.
    fn kill(&mut self) -> Result<(), Fault> {
        let victim = match self.random.u8(0..3) {
            0 => Victim::Broker,
            service => Victim::Service(usize::from(service - 1)),
        };
        let name = match victim {
            Victim::Broker => "broker",
            Victim::Service(0) => "order service",
            Victim::Service(_) => "warehouse",
        };
        let killed: u32 = self.services.iter().map(|service| service.kills).sum();
        let killed = killed + self.broker_kills + 1;
        let seconds = self.began.elapsed().as_secs_f64();
        let [orders, warehouse] = [0, 1].map(|service: usize| self.services[service].last);
        // What is done has been deducted, though the warehouse may not have said so yet.
        let deducted = warehouse.made.max(orders.done);
        println!(
            "{seconds:>8.2}  {killed:>4}  {name:<13}  {:>6}  {:>8}  {:>8}",
            orders.made, deducted, orders.done
        );
        let away = Duration::from_millis(self.random.u64(0..300));
        match victim {
            Victim::Broker => {
                self.broker.kill();
                self.broker_kills += 1;
                thread::sleep(away);
                self.broker.restart();
            }
            Victim::Service(service) => {
                let old = &mut self.services[service];
                old.process.kill()?;
                old.process.wait()?;
                thread::sleep(away);
                let (who, last) = (old.who, old.last);
                let (twice, kills) = (old.twice + last.twice, old.kills + 1);
                let last = Progress { twice: 0, ..last };
                let new = self.start(who)?;
                self.services[service] = Running { last, twice, kills, ..new };
            }
        }
        Ok(())
    }

    /// Has the services end.
    fn end(&mut self) -> Result<(), Fault> {
        for service in &mut self.services {
            drop(service.process.stdin.take());
        }
        let deadline = Instant::now() + ENDING;
        for service in &mut self.services {
            let status = loop {
                if let Some(status) = service.process.try_wait()? {
                    break status;
                }
                if Instant::now() > deadline {
                    return Err(format!("{} does not end", service.who.name()).into());
                }
                thread::sleep(Duration::from_millis(5));
            };
            if !status.success() {
                return Err(format!("{} ended badly: {status}", service.who.name()).into());
            }
        }
        // What they said in the end, for the figures.
        while let Ok(heard) = self.hear.try_recv() {
            if heard.said.is_some() {
                self.note(heard)?;
            }
        }
        Ok(())
    }

    fn tell_end(&self, sums: &verdict::Sums, seconds: f64) {
        println!("\n{:<24}  {:>6}  {:>22}", "", "killed", "came twice, left out");
        for (service, name) in self.services.iter().zip(["order service", "warehouse"]) {
            let twice = service.twice + service.last.twice;
            println!("{name:<24}  {:>6}  {twice:>22}", service.kills);
        }
        let name = format!("broker ({})", self.args.broker.name());
        println!("{name:<24}  {:>6}\n", self.broker_kills);
        println!("{sums}");
        println!("{} orders in {seconds:.1} s", self.args.orders);
    }
}

impl Drop for Story<'_> {
    fn drop(&mut self) {
        for service in &mut self.services {
            // It has ended already unless something went wrong.
            let _ = service.process.kill();
            let _ = service.process.wait();
        }
    }
}
