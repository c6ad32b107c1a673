//! The graph of stations: names resolved, and everything refused that could not work.

use std::collections::HashSet;

use crate::{error::BuildError, sync::Arc, team::Workers};

/// The most stations of a ring; each is a thread, or polled. Each worker of a team counts as one.
pub(crate) const MOST_STATIONS: usize = 256;

/// A station as the circuit needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) mutates: bool,
    /// Indices of the stations that it follows directly, ascending; none means the producers.
    pub(crate) follows: Vec<usize>,
    /// Those who share it; `None`: it has one thread, or is polled.
    pub(crate) workers: Option<Workers>,
}

/// What a station was declared to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    Producers,
    /// The stations with these indices.
    Stations(Vec<usize>),
    /// The stations with these names, declared before or after.
    Named(Vec<String>),
}

/// A station before its graph is checked.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    pub(crate) name: String,
    pub(crate) mutates: bool,
    pub(crate) workers: Option<Workers>,
    pub(crate) follows: Follows,
}

/// Checks the graph and returns its nodes in the order of declaration.
pub(crate) fn resolve(sketches: &[Sketch]) -> Result<Vec<Node>, BuildError> {
    if sketches.is_empty() {
        return Err(BuildError::NoStations);
    }
    let asked =
        sketches.iter().map(|sketch| sketch.workers.map_or(1, |workers| workers.number)).sum();
    if asked > MOST_STATIONS {
        return Err(BuildError::TooManyStations { asked, most: MOST_STATIONS });
    }
    if let Some(bad) = sketches.iter().find(|sketch| sketch.name.contains('\0')) {
        return Err(BuildError::BadName(bad.name.clone()));
    }
    let mut names = HashSet::new();
    if let Some(twice) = sketches.iter().find(|sketch| !names.insert(&sketch.name)) {
        return Err(BuildError::DuplicateName(twice.name.clone()));
    }
    let edges: Vec<Vec<usize>> =
        sketches.iter().map(|sketch| edges_of(sketch, sketches)).collect::<Result<_, _>>()?;
    if let Some(cycle) = find_cycle(&edges) {
        let name = |index: usize| sketches[index].name.clone();
        return Err(BuildError::Cycle(cycle.into_iter().map(name).collect()));
    }
    let before = ancestors(&edges);
    check_mutations(sketches, &before)?;
    let node = |(index, sketch): (usize, &Sketch)| Node {
        name: Arc::from(sketch.name.as_str()),
        mutates: sketch.mutates,
        follows: needed(&edges[index], &before),
        workers: sketch.workers,
    };
    Ok(sketches.iter().enumerate().map(node).collect())
}

fn edges_of(sketch: &Sketch, sketches: &[Sketch]) -> Result<Vec<usize>, BuildError> {
    match &sketch.follows {
        Follows::Producers => Ok(Vec::new()),
        Follows::Stations(indices) => Ok(indices.clone()),
        Follows::Named(names) => names
            .iter()
            .map(|name| {
                let known = || sketches.iter().map(|sketch| sketch.name.clone()).collect();
                sketches
                    .iter()
                    .position(|sketch| sketch.name == *name)
                    .ok_or_else(|| BuildError::UnknownName { name: name.clone(), known: known() })
            })
            .collect(),
    }
}

/// A circle of stations, the first one repeated at the end, in the order of the flow.
fn find_cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut done = vec![false; edges.len()];
    for start in 0..edges.len() {
        let mut path = Vec::new();
        if let Some(mut cycle) = walk(start, edges, &mut done, &mut path) {
            cycle.reverse();
            return Some(cycle);
        }
    }
    None
}

fn walk(
    at: usize,
    edges: &[Vec<usize>],
    done: &mut [bool],
    path: &mut Vec<usize>,
) -> Option<Vec<usize>> {
    if let Some(seen) = path.iter().position(|index| *index == at) {
        let mut cycle = path[seen..].to_vec();
        cycle.push(at);
        return Some(cycle);
    }
    if done[at] {
        return None;
    }
    path.push(at);
    let found = edges[at].iter().find_map(|next| walk(*next, edges, done, path));
    path.pop();
    done[at] = true;
    found
}

/// For each station all those that are before it, in an acyclic graph.
fn ancestors(edges: &[Vec<usize>]) -> Vec<HashSet<usize>> {
    fn collect(at: usize, edges: &[Vec<usize>], all: &mut [Option<HashSet<usize>>]) {
        if all[at].is_some() {
            return;
        }
        let mut before = HashSet::new();
        for next in &edges[at] {
            collect(*next, edges, all);
            before.insert(*next);
            before.extend(all[*next].iter().flatten());
        }
        all[at] = Some(before);
    }
    let mut all = vec![None; edges.len()];
    (0..edges.len()).for_each(|at| collect(at, edges, &mut all));
    all.into_iter().map(Option::unwrap_or_default).collect()
}

/// A mutating station must be before or after every other one.
fn check_mutations(sketches: &[Sketch], before: &[HashSet<usize>]) -> Result<(), BuildError> {
    for (index, sketch) in sketches.iter().enumerate().filter(|(_, sketch)| sketch.mutates) {
        let unordered = (0..sketches.len()).find(|other| {
            *other != index && !before[index].contains(other) && !before[*other].contains(&index)
        });
        if let Some(other) = unordered {
            let (mutating, other) = (sketch.name.clone(), sketches[other].name.clone());
            return Err(BuildError::Unordered { mutating, other });
        }
    }
    Ok(())
}

/// Of the stations followed, those that are not before another one of them anyway.
fn needed(edges: &[usize], before: &[HashSet<usize>]) -> Vec<usize> {
    let implied = |index: &usize| edges.iter().any(|other| before[*other].contains(index));
    let mut needed: Vec<usize> = edges.iter().copied().filter(|index| !implied(index)).collect();
    needed.sort_unstable();
    needed.dedup();
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(name: &str, mutates: bool, follows: &[&str]) -> Sketch {
        let names = follows.iter().map(|name| (*name).to_owned()).collect();
        Sketch { name: name.to_owned(), mutates, workers: None, follows: Follows::Named(names) }
    }

    fn follows(sketches: &[Sketch]) -> Vec<Vec<usize>> {
        resolve(sketches).unwrap().into_iter().map(|node| node.follows).collect()
    }

    #[test]
    fn a_diamond_keeps_only_the_edges_that_matter() {
        let diamond = [
            sketch("join", true, &["left", "right", "first"]),
            sketch("left", false, &["first"]),
            sketch("right", false, &["first", "first"]),
            sketch("first", true, &[]),
        ];
        assert_eq!(follows(&diamond), [vec![1, 2], vec![3], vec![3], vec![]]);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let cases = [
            (vec![], "no stations"),
            (vec![sketch("a", false, &[]); 257], "257 stations"),
            (vec![sketch("a\0b", false, &[])], r#""a\0b""#),
            (vec![sketch("a", false, &[]), sketch("a", false, &[])], "`a`"),
            (vec![sketch("a", false, &["b"])], "no station is called `b`"),
            (
                vec![
                    sketch("a", false, &["c"]),
                    sketch("b", false, &["a"]),
                    sketch("c", false, &["b"]),
                ],
                "a -> b -> c -> a",
            ),
            (vec![sketch("a", false, &["a"])], "a -> a"),
            (
                vec![sketch("a", false, &[]), sketch("b", true, &[])],
                "`b` mutates events but is ordered neither before nor after `a`",
            ),
        ];
        for (sketches, expected) in cases {
            let error = resolve(&sketches).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} does not contain {expected}");
        }
    }

    proptest! {
        /// The edges left out change nothing: who is before whom stays the same.
        #[test]
        fn fewer_edges_say_the_same(edges in (1_usize..9).prop_flat_map(|stations| {
            (0..stations).map(|at| prop::collection::vec(0..at.max(1), 0..=at.min(4))).collect::<Vec<_>>()
        })) {
            // Station 0 follows nobody; the others only those before them: acyclic by making.
            let edges: Vec<Vec<usize>> = edges.into_iter().enumerate()
                .map(|(at, edges)| edges.into_iter().filter(|edge| *edge < at).collect())
                .collect();
            let before = ancestors(&edges);
            let fewer: Vec<Vec<usize>> = edges.iter().map(|edges| needed(edges, &before)).collect();
            prop_assert_eq!(ancestors(&fewer), before);
            prop_assert!(find_cycle(&edges).is_none());
        }
    }
}
