//! One ordering weakened, and what the models say to it.

use std::collections::BTreeMap;

use super::{
    models::{self, Job},
    operation::Order,
    sites::Site,
};
use crate::finding::Finding;

/// What the program with the models says before the number of the execution that failed.
const FAILED_IN: &str = "failed in execution ";

/// Ways to fail that say nothing about the library: the search came to its limits, or the checker
/// or this program are wrong.
const NO_FINDINGS: [&str; 5] = [
    "exceeded maximum number of branches",
    "loom internal bug",
    "invalid internal loom state",
    "threads.len() < self.max_threads",
    "ORD_MUT",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant<'a> {
    pub site: &'a Site,
    pub weaker: Order,
}

/// What a model says to a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fails, in this execution.
    Killed(usize),
    /// It passes.
    Survived,
    /// Neither is known, and why.
    Undecided(String),
}

/// What all models together say to a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first model that fails.
    Killed {
        job: String,
        execution: usize,
    },
    Survived,
    /// No model fails, and these are not known to pass.
    Undecided(Vec<String>),
    /// No model reaches the site.
    Unreached,
}

impl Mutant<'_> {
    /// What `ORD_MUT` is set to.
    pub fn order(&self) -> String {
        format!("{} {} {}", self.site.place, self.site.operation, self.weaker)
    }

    /// `store Release -> Relaxed`.
    pub fn change(&self) -> String {
        format!("{} {} -> {}", self.site.operation, self.site.order, self.weaker)
    }
}

impl Outcome {
    pub fn is_killed(&self) -> bool {
        matches!(self, Self::Killed { .. })
    }
}

/// All mutants of these sites.
pub fn mutants(sites: &[Site]) -> Vec<Mutant<'_>> {
    sites
        .iter()
        .flat_map(|site| {
            site.operation
                .weaker(site.order)
                .iter()
                .map(move |weaker| Mutant { site, weaker: *weaker })
        })
        .collect()
}

/// What `ORD_MUT` is set to, to weaken all of these at once. None is a fence.
pub fn at_once(mutants: &[Mutant<'_>]) -> String {
    let mut weakened: BTreeMap<&Site, Mutant<'_>> = BTreeMap::new();
    for mutant in mutants {
        // Of two at one site, neither the one nor the other.
        let both = |other: &mut Mutant<'_>| other.weaker = Order::Relaxed;
        weakened.entry(mutant.site).and_modify(both).or_insert(*mutant);
    }
    weakened.values().map(Mutant::order).collect::<Vec<_>>().join(",")
}

/// What a run that came to an end says.
pub fn verdict(success: bool, output: &str) -> Verdict {
    if success {
        return Verdict::Survived;
    }
    let execution = output.lines().find_map(|line| line.strip_prefix(FAILED_IN)?.parse().ok());
    let reason = NO_FINDINGS.into_iter().find(|reason| output.contains(reason));
    match (execution, reason) {
        (Some(execution), None) => Verdict::Killed(execution),
        (_, Some(reason)) => Verdict::Undecided(reason.to_owned()),
        (None, None) => Verdict::Undecided("it ended without a word".to_owned()),
    }
}

/// Tries a mutant on the jobs that reach its site, up to the first that fails: those of the models
/// that are said to guard it, then the others, and either in their order.
pub fn outcome(
    mutant: &Mutant<'_>,
    guards: &[&str],
    jobs: &[Job<'_>],
    try_mutant: impl Fn(&Job<'_>, &Mutant<'_>) -> Verdict,
) -> Outcome {
    let Site { place, operation, order, .. } = mutant.site;
    let site = (place.clone(), *operation, *order);
    let mut undecided = Vec::new();
    let mut reached = false;
    let reaching = jobs.iter().filter(|job| job.reaches.contains(&site));
    let (first, then): (Vec<_>, Vec<_>) =
        reaching.partition(|job| guards.contains(&models::model(&job.name)));
    for job in first.into_iter().chain(then) {
        reached = true;
        if job.spares.contains(mutant) {
            continue;
        }
        match try_mutant(job, mutant) {
            Verdict::Killed(execution) => {
                return Outcome::Killed { job: job.name.clone(), execution };
            }
            Verdict::Survived => {}
            Verdict::Undecided(reason) => undecided.push(format!("{}: {reason}", job.name)),
        }
    }
    match (reached, undecided.is_empty()) {
        (false, _) => Outcome::Unreached,
        (true, true) => Outcome::Survived,
        (true, false) => Outcome::Undecided(undecided),
    }
}

/// Sites that no model reaches, and what models reach that is no site.
pub fn coverage(sites: &[Site], jobs: &[Job<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for site in sites {
        let Site { place, function, operation, order, .. } = site;
        let key = (place.clone(), *operation, *order);
        if !jobs.iter().any(|job| job.reaches.contains(&key)) {
            let edges = site.edge_names();
            let message =
                format!("no model reaches this: {operation} {order} in `{function}`, edge {edges}");
            findings.push(Finding::new(&place.file, place.line, message));
        }
    }
    for (place, operation, order) in jobs.iter().flat_map(|job| &job.reaches) {
        let is_it =
            |site: &&Site| (&site.place, site.operation, site.order) == (place, *operation, *order);
        if !sites.iter().any(|site| is_it(&site)) {
            let message = format!(
                "models meet a {operation} {order} here that was not found in the sources; call \
                 atomics and accessors by name, and outside of closures in accessors"
            );
            findings.push(Finding::new(&place.file, place.line, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::checks::ordering_mutants::{
        operation::Operation::{Change, Fence, Load},
        samples::{job, site},
    };

    #[test]
    fn each_weaker_ordering_is_a_mutant() {
        let sites = [
            site(3, "f", Load, Order::Acquire),
            site(4, "f", Change, Order::AcqRel),
            site(5, "f", Fence, Order::SeqCst),
        ];
        let shown: Vec<_> = mutants(&sites).iter().map(Mutant::order).collect();
        let expected = [
            "src/a.rs:3:5 load Relaxed",
            "src/a.rs:4:5 change Acquire",
            "src/a.rs:4:5 change Release",
            "src/a.rs:5:5 fence AcqRel",
            "src/a.rs:5:5 fence Drop",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn only_a_failure_that_says_something_kills() {
        let deadlock = "panicked at rt/execution.rs:\ndeadlock; threads = []\n";
        let failed = "failed in execution 12\n";
        assert_eq!(verdict(false, &format!("{deadlock}{failed}")), Verdict::Killed(12));
        assert_eq!(verdict(true, "executions: 3\n"), Verdict::Survived);
        for output in [
            format!("Model exceeded maximum number of branches. This is\n{failed}"),
            format!("[loom internal bug] cnt = 3\n{failed}"),
            format!("ORD_MUT knows no ordering `Weak`\n{failed}"),
            deadlock.to_owned(),
            String::new(),
        ] {
            assert!(matches!(verdict(false, &output), Verdict::Undecided(_)), "{output}");
        }
    }

    #[test]
    fn jobs_are_tried_up_to_the_first_that_fails() {
        let (here, there) =
            (site(3, "f", Load, Order::Acquire), site(4, "f", Load, Order::Acquire));
        let mutant = Mutant { site: &here, weaker: Order::Relaxed };
        let jobs = [
            job("p01::a", 1, &[&there]),
            job("p02::a", 2, &[&here]),
            job("p03::a", 3, &[&here, &there]),
            job("p04::a", 4, &[&here]),
        ];
        let outcome = |jobs: &[Job<'_>], killer: &dyn Fn(&Job<'_>, &Mutant<'_>) -> Verdict| {
            outcome(&mutant, &[], jobs, killer)
        };
        let killer = |job: &Job<'_>, _: &Mutant<'_>| match &*job.name {
            "p02::a" => Verdict::Undecided("slow".to_owned()),
            "p03::a" => Verdict::Killed(7),
            _ => unreachable!("{} is not asked", job.name),
        };
        let expected = Outcome::Killed { job: "p03::a".to_owned(), execution: 7 };
        assert_eq!(outcome(&jobs, &killer), expected);
        let undecided = Outcome::Undecided(vec!["p02::a: slow".to_owned()]);
        assert_eq!(outcome(&jobs[..2], &killer), undecided);
        assert_eq!(outcome(&jobs[3..], &|_, _| Verdict::Survived), Outcome::Survived);
        assert_eq!(outcome(&jobs[..1], &killer), Outcome::Unreached);
        let spares = [Job { spares: &[mutant], ..jobs[2].clone() }];
        assert_eq!(outcome(&spares, &killer), Outcome::Survived);
    }

    #[test]
    fn jobs_of_the_guards_come_first() {
        let site = site(3, "f", Load, Order::Acquire);
        let mutant = Mutant { site: &site, weaker: Order::Relaxed };
        let names = ["p01::a", "p02::a/symmetric", "p03::a", "p04::a", "p05::a"];
        let jobs = names.map(|name| job(name, 1, &[&site]));
        let tried = |killer: &str| {
            let tried = RefCell::new(Vec::new());
            outcome(&mutant, &["p04::a", "p02::a", "p09::gone"], &jobs, |job, _| {
                tried.borrow_mut().push(job.name.clone());
                if job.name == killer { Verdict::Killed(1) } else { Verdict::Survived }
            });
            tried.into_inner()
        };
        assert_eq!(tried("p04::a"), ["p02::a/symmetric", "p04::a"]);
        assert_eq!(tried("p03::a"), ["p02::a/symmetric", "p04::a", "p01::a", "p03::a"]);
        assert_eq!(tried("nobody").len(), jobs.len());
    }

    #[test]
    fn several_are_weakened_at_once() {
        let sites = [site(3, "f", Load, Order::Acquire), site(4, "f", Change, Order::AcqRel)];
        let mutants = mutants(&sites);
        let expected = "src/a.rs:3:5 load Relaxed,src/a.rs:4:5 change Acquire";
        assert_eq!(at_once(&mutants[..2]), expected);
        assert_eq!(at_once(&mutants[1..]), "src/a.rs:4:5 change Relaxed");
        assert_eq!(at_once(&[]), "");
    }

    #[test]
    fn what_no_model_reaches_and_what_no_source_shows_is_found() {
        let (known, other) =
            (site(3, "f", Load, Order::Acquire), site(9, "g", Fence, Order::SeqCst));
        let found = |sites: &[Site], reaches: &[&Site]| {
            let findings = coverage(sites, &[job("p01::a", 1, &[]), job("p01::b", 1, reaches)]);
            findings.iter().map(Finding::to_string).collect::<Vec<_>>()
        };
        let both = [known.clone(), other.clone()];
        assert!(found(&both, &[&known, &other]).is_empty());
        let expected = "src/a.rs:9: no model reaches this: fence SeqCst in `g`, edge E";
        assert_eq!(found(&both, &[&known]), [expected]);
        let unknown = found(&both[..1], &[&known, &other]);
        assert!(
            unknown.len() == 1 && unknown[0].contains("src/a.rs:9: models meet"),
            "{unknown:?}"
        );
        // The same place with another ordering is not the same site.
        let stronger = site(3, "f", Load, Order::SeqCst);
        assert_eq!(found(&both[..1], &[&stronger]).len(), 2);
    }
}
