//! What the builder accepts, and what it says of all else: the rules of its documentation, each on
//! its own. Where more than one is broken, the order here is the one in which they are told.

use std::thread;

use slipring::{BuildError, Wait};

use crate::recipes::{Place, Recipe, Thread, Unit};

/// The most stations of a ring.
const MOST_STATIONS: usize = 256;
/// The largest capacity that the builder takes.
pub const LARGEST: usize = 1 << if usize::BITS == 32 { 31 } else { 40 };
const LARGEST_FIRST: u64 = 1 << 62;

/// A station, and those that it was declared to follow.
struct Placed<'a> {
    unit: &'a Unit,
    follows: Follows<'a>,
}

enum Follows<'a> {
    Indices(Vec<usize>),
    Names(&'a [String]),
}

/// What `start` must come to.
#[derive(Debug)]
pub enum Verdict {
    Starts {
        warns: bool,
    },
    Fails(BuildError),
    /// Stations follow each other in a circle; which circle is told is not said.
    FailsInACircle(Vec<Vec<usize>>),
    /// The factory's panic goes on to the caller.
    Panics,
    /// One of these stations cannot start.
    DoesNotStart(Vec<String>),
}

pub fn verdict(recipe: &Recipe, cores: &[usize]) -> Verdict {
    let placed = place(recipe);
    if let Some(error) = first_error(recipe, &placed) {
        return Verdict::Fails(error);
    }
    let edges: Vec<Vec<usize>> = match edges(&placed) {
        Ok(edges) => edges,
        Err(error) => return Verdict::Fails(error),
    };
    let before = before(&edges);
    if (0..placed.len()).any(|index| before[index][index]) {
        return Verdict::FailsInACircle(edges);
    }
    if let Some(error) = unordered(&placed, &before).or_else(|| bad_option(&placed, cores)) {
        return Verdict::Fails(error);
    }
    if recipe.factory_panics_at.is_some_and(|call| call < recipe.capacity) {
        return Verdict::Panics;
    }
    let failing: Vec<String> = placed
        .iter()
        .filter(|placed| placed.unit.thread.is_some_and(Thread::fails))
        .map(|placed| placed.unit.name.clone())
        .collect();
    if !failing.is_empty() {
        return Verdict::DoesNotStart(failing);
    }
    Verdict::Starts { warns: warns(recipe, &placed) }
}

/// Lines the stations up in the order of their declaration.
fn place(recipe: &Recipe) -> Vec<Placed<'_>> {
    let (mut placed, mut latest) = (Vec::new(), Vec::new());
    for stage in &recipe.stages {
        let stage_starts = placed.len();
        for unit in &stage.units {
            let follows = match &stage.place {
                Place::Then => Follows::Indices(latest.clone()),
                Place::Branch => Follows::Indices(Vec::new()),
                Place::After(names) => Follows::Names(names),
            };
            placed.push(Placed { unit, follows });
        }
        latest = (stage_starts..placed.len()).collect();
    }
    placed
}

fn first_error(recipe: &Recipe, placed: &[Placed<'_>]) -> Option<BuildError> {
    let asked = recipe.capacity;
    if asked.count_ones() != 1 || asked > LARGEST {
        let mut next = 1;
        while next < asked && next < LARGEST {
            next *= 2;
        }
        return Some(BuildError::Capacity { asked, next });
    }
    if recipe.stages.iter().any(|stage| stage.units.is_empty()) {
        return Some(BuildError::EmptyStage);
    }
    if recipe.first > LARGEST_FIRST {
        return Some(BuildError::FirstSequence(recipe.first));
    }
    let names: Vec<&String> = placed.iter().map(|placed| &placed.unit.name).collect();
    if names.is_empty() {
        return Some(BuildError::NoStations);
    }
    if names.len() > MOST_STATIONS {
        return Some(BuildError::TooManyStations { asked: names.len(), most: MOST_STATIONS });
    }
    if let Some(bad) = names.iter().find(|name| name.contains('\0')) {
        return Some(BuildError::BadName((*bad).clone()));
    }
    let is_second = |index: &usize| names[..*index].contains(&names[*index]);
    let second = (0..names.len()).find(is_second)?;
    Some(BuildError::DuplicateName(names[second].clone()))
}

fn edges(placed: &[Placed<'_>]) -> Result<Vec<Vec<usize>>, BuildError> {
    let find = |name: &String| {
        placed.iter().position(|placed| placed.unit.name == *name).ok_or_else(|| {
            let known = placed.iter().map(|placed| placed.unit.name.clone()).collect();
            BuildError::UnknownName { name: name.clone(), known }
        })
    };
    let followed = |placed: &Placed<'_>| match &placed.follows {
        Follows::Indices(indices) => Ok(indices.clone()),
        Follows::Names(names) => names.iter().map(find).collect(),
    };
    placed.iter().map(followed).collect()
}

/// For each station which others are before it, however far (Warshall's algorithm).
fn before(edges: &[Vec<usize>]) -> Vec<Vec<bool>> {
    let follows =
        |followed: &Vec<usize>| (0..edges.len()).map(|at| followed.contains(&at)).collect();
    let mut before: Vec<Vec<bool>> = edges.iter().map(follows).collect();
    for middle in 0..edges.len() {
        let through = before[middle].clone();
        for row in before.iter_mut().filter(|row| row[middle]) {
            for (is_before, is_further) in row.iter_mut().zip(&through) {
                *is_before |= is_further;
            }
        }
    }
    before
}

fn unordered(placed: &[Placed<'_>], before: &[Vec<bool>]) -> Option<BuildError> {
    for index in 0..placed.len() {
        let is_unordered =
            |other: &usize| *other != index && !before[index][*other] && !before[*other][index];
        if placed[index].unit.mutates
            && let Some(other) = (0..placed.len()).find(is_unordered)
        {
            let name = |index: usize| placed[index].unit.name.clone();
            return Some(BuildError::Unordered { mutating: name(index), other: name(other) });
        }
    }
    None
}

fn bad_option(placed: &[Placed<'_>], cores: &[usize]) -> Option<BuildError> {
    placed.iter().find_map(|Placed { unit, .. }| {
        let station = || unit.name.clone();
        if unit.max_batch == Some(0) {
            return Some(BuildError::NoBatch { station: station() });
        }
        // Of no effect on a polled station.
        let core = unit.core.filter(|core| unit.thread.is_some() && !cores.contains(core))?;
        Some(BuildError::NoSuchCore { station: station(), core, available: cores.to_vec() })
    })
}

/// Stations that spin warn if the ring's threads, with one producer, are more than the cores.
fn warns(recipe: &Recipe, placed: &[Placed<'_>]) -> bool {
    let threads = || placed.iter().filter(|placed| placed.unit.thread.is_some());
    let spins = |placed: &&Placed<'_>| {
        matches!(placed.unit.wait.unwrap_or(recipe.wait), Wait::Spin | Wait::Hint)
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    threads().any(|placed| spins(&placed)) && threads().count() + 1 > cores
}

/// Whether `names` is a circle in the direction of the flow: each is followed by the next.
pub fn is_circle(names: &[String], recipe: &Recipe, edges: &[Vec<usize>]) -> bool {
    let all: Vec<&String> = place(recipe).iter().map(|placed| &placed.unit.name).collect();
    let index = |name: &String| all.iter().position(|other| *other == name);
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return false };
    let follows = |pair: &[String]| match (index(&pair[0]), index(&pair[1])) {
        (Some(one), Some(next)) => edges[next].contains(&one),
        _ => false,
    };
    let mut once: Vec<&String> = names[1..].iter().collect();
    once.sort_unstable();
    once.dedup();
    first == last
        && names.len() > 1
        && once.len() == names.len() - 1
        && names.windows(2).all(follows)
}
