//! Where orderings take effect, read from the sources: what the models are measured against.
//!
//! A *site* is the call of an atomic's method or of a fence with a strong ordering. A function
//! marked `#[cfg_attr(loom, track_caller)]` that holds such a call is an *accessor*: not it is the
//! site, but each call of it; and if that call stands in an accessor again, each call of that one.
//! Calls are found by name, so the name of an accessor must not be that of another function.
//!
//! Of the facade's two faces the real one never runs under a model. Each function there that names
//! a strong ordering has a counterpart in the model's face: same file name, same function name, the
//! same operation and ordering. The counterpart takes its place here. The other files of the
//! model's face are instruments and belong to no protocol.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    operands::{Code, Operand},
    operation::{Operation, Order},
};
use crate::{
    finding::Finding,
    functions::Function,
    source::{Source, Token},
};

const REAL: &str = "src/sync/real/";
const MODEL: &str = "src/sync/model/";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    pub place: Place,
    /// The function around it, with its type.
    pub function: String,
    pub operation: Operation,
    pub order: Order,
    /// Of the orderings that take effect here.
    pub edges: BTreeSet<String>,
    /// Which one it is, counted from 1, of how many of the same operation and ordering in its
    /// function.
    pub ordinal: (usize, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Site {
    pub fn edge_names(&self) -> String {
        self.edges.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// What a call of an accessor passes on, and on which edges.
type Passed = BTreeMap<(Operation, Order), BTreeSet<String>>;

/// All sites of the library, given all its sources, and what keeps them from being found.
pub fn sites(sources: &[(&str, Source)]) -> (Vec<Site>, Vec<Finding>) {
    let tokens: Vec<Vec<Token<'_>>> = sources.iter().map(|(_, source)| source.tokens()).collect();
    let files: Vec<(&str, Code<'_>)> = sources
        .iter()
        .zip(&tokens)
        .map(|((file, source), tokens)| (*file, Code::read(file, source, tokens)))
        .collect();
    let counterparts: Vec<String> =
        files.iter().filter_map(|(file, code)| counterpart(file, code)).collect();
    let is_protocol = |file: &str| {
        !file.starts_with(REAL)
            && (!file.starts_with(MODEL) || counterparts.iter().any(|name| name == file))
    };
    let (protocol, faces): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(file, _)| is_protocol(file));
    let mut findings: Vec<Finding> =
        protocol.iter().flat_map(|(_, code)| code.findings.clone()).collect();
    findings.extend(without_counterpart(&faces, &protocol));
    findings.extend(only_in_the_model(&faces, &protocol));
    let accessors = accessors(&protocol);
    findings.extend(unfindable(&protocol, &accessors));
    let (sites, ambiguous) = resolve(&protocol, &accessors);
    findings.extend(ambiguous);
    (sites, findings)
}

/// The file of the model's face that stands for this one of the real face, if that is needed.
fn counterpart(file: &str, code: &Code<'_>) -> Option<String> {
    let name = file.strip_prefix(REAL)?;
    (!code.operands.is_empty()).then(|| format!("{MODEL}{name}"))
}

/// Orderings of the real face for which no function of the model's face stands.
fn without_counterpart(faces: &[(&str, Code<'_>)], protocol: &[(&str, Code<'_>)]) -> Vec<Finding> {
    let key = |operand: &Operand<'_>| {
        let function = operand.function.as_ref().map(|function| function.name);
        (function.map(str::to_owned), operand.operation, operand.order)
    };
    let mut findings = Vec::new();
    for (file, code) in faces {
        let Some(wanted) = counterpart(file, code) else { continue };
        let model = protocol.iter().find(|(file, _)| *file == wanted);
        for operand in &code.operands {
            let stands_for = |other: &Operand<'_>| {
                key(other) == key(operand)
                    && other.function.as_ref().is_some_and(|function| function.tracks_caller)
            };
            if !model.is_some_and(|(_, code)| code.operands.iter().any(stands_for)) {
                let (operation, order) = (operand.operation, operand.order);
                let message = format!(
                    "no function of this name in {wanted} has a {operation} {order} and \
                     `#[cfg_attr(loom, track_caller)]`, so no model can tell what this one is for"
                );
                findings.push(Finding::new(file, operand.position.0, message));
            }
        }
    }
    findings
}

/// Fences that models execute and the real face has not: what was proved would not be what runs.
/// The heavy side of the asymmetric fence stands for a system call, and is left out.
fn only_in_the_model(faces: &[(&str, Code<'_>)], protocol: &[(&str, Code<'_>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (real_file, real) in faces {
        let Some(wanted) = counterpart(real_file, real) else { continue };
        let model = protocol.iter().filter(|(file, _)| *file == wanted);
        for (file, operand) in
            model.flat_map(|(file, code)| code.operands.iter().map(move |o| (file, o)))
        {
            let name = |operand: &Operand<'_>| operand.function.as_ref().map(|f| f.name.to_owned());
            let is_the_same = |other: &Operand<'_>| {
                (name(other), other.operation, other.order)
                    == (name(operand), operand.operation, operand.order)
            };
            if operand.operation != Operation::HeavyFence && !real.operands.iter().any(is_the_same)
            {
                let (operation, order) = (operand.operation, operand.order);
                let message =
                    format!("{real_file} has no {operation} {order} in a function of this name");
                findings.push(Finding::new(file, operand.position.0, message));
            }
        }
    }
    findings
}

/// The accessors and what a call of each passes on.
fn accessors<'a>(files: &[(&str, Code<'a>)]) -> BTreeMap<&'a str, Passed> {
    let mut accessors: BTreeMap<&str, Passed> = BTreeMap::new();
    for operand in files.iter().flat_map(|(_, code)| &code.operands) {
        if let Some(accessor) = operand.function.as_ref().filter(|function| function.tracks_caller)
        {
            let passed = accessors.entry(accessor.name).or_default();
            let edges = passed.entry((operand.operation, operand.order)).or_default();
            edges.extend(operand.edges.iter().cloned());
        }
    }
    // Accessors that call accessors, until nothing is added any more.
    loop {
        let before = accessors.clone();
        for call in files.iter().flat_map(|(_, code)| &code.calls) {
            let caller = call.function.as_ref().filter(|function| function.tracks_caller);
            if let (Some(caller), Some(passed)) = (caller, before.get(call.name)) {
                let sum = accessors.entry(caller.name).or_default();
                for (operand, edges) in passed {
                    sum.entry(*operand).or_default().extend(edges.iter().cloned());
                }
            }
        }
        if accessors == before {
            return accessors;
        }
    }
}

/// Accessors whose calls cannot all be found by name.
fn unfindable(files: &[(&str, Code<'_>)], accessors: &BTreeMap<&str, Passed>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in accessors.keys() {
        let homonyms: Vec<_> = files
            .iter()
            .flat_map(|(file, code)| code.functions.iter().map(move |function| (*file, function)))
            .filter(|(_, function)| function.name == *name)
            .collect();
        let is_accessor = |(_, function): &&(&str, &Function<'_>)| function.tracks_caller;
        let accessor = homonyms.iter().find(is_accessor).copied();
        for (file, function) in homonyms.iter().filter(|other| Some(**other) != accessor) {
            let (accessor, line) = accessor.map_or(("", 0), |(file, other)| (file, other.line));
            let message = format!(
                "`{}` has the name of an accessor ({accessor}:{line}), whose calls are found by \
                 name: rename one of them",
                function.shown(),
            );
            findings.push(Finding::new(file, function.line, message));
        }
        for (file, code) in files {
            for (_, line) in code.named.iter().filter(|(named, _)| named == name) {
                let message = format!(
                    "`{name}` is an accessor: call it by its path or as a method; imported by \
                     itself or passed as a value, its calls cannot be found"
                );
                findings.push(Finding::new(file, *line, message));
            }
        }
        if let Some((file, function)) = accessor
            && !files.iter().any(|(_, code)| code.calls.iter().any(|call| call.name == *name))
        {
            let message = format!("nobody calls the accessor `{name}`: no model can reach it");
            findings.push(Finding::new(file, function.line, message));
        }
    }
    findings
}

/// The sites: operands outside of accessors, and calls of accessors outside of accessors.
fn resolve(
    files: &[(&str, Code<'_>)],
    accessors: &BTreeMap<&str, Passed>,
) -> (Vec<Site>, Vec<Finding>) {
    let mut found: BTreeMap<(Place, Operation, Order), (String, BTreeSet<String>)> =
        BTreeMap::new();
    for (file, code) in files {
        let place = |(line, column)| Place { file: (*file).to_owned(), line, column };
        for operand in &code.operands {
            let function = operand.function.as_ref();
            if function.is_none_or(|function| !function.tracks_caller) {
                let shown = function.map_or_else(String::new, Function::shown);
                let key = (place(operand.position), operand.operation, operand.order);
                let (_, edges) = found.entry(key).or_insert((shown, BTreeSet::new()));
                edges.extend(operand.edges.iter().cloned());
            }
        }
        for call in &code.calls {
            let function = call.function.as_ref();
            if let Some(passed) = accessors.get(call.name)
                && function.is_none_or(|function| !function.tracks_caller)
            {
                let shown = function.map_or_else(String::new, Function::shown);
                for ((operation, order), edges) in passed {
                    let key = (place(call.position), *operation, *order);
                    found.insert(key, (shown.clone(), edges.clone()));
                }
            }
        }
    }
    let mut findings = Vec::new();
    let keys: Vec<_> = found.keys().collect();
    for pair in keys.windows(2) {
        let ((place, operation, order), (next, next_operation, next_order)) = (pair[0], pair[1]);
        if (place, operation) == (next, next_operation) {
            let message = format!(
                "a {operation} {order} and a {operation} {next_order} take effect at this call; \
                 they can be weakened only if an accessor has one of them"
            );
            findings.push(Finding::new(&place.file, place.line, message));
        }
    }
    let sites = found.into_iter().map(|((place, operation, order), (function, edges))| Site {
        place,
        function,
        operation,
        order,
        edges,
        ordinal: (1, 1),
    });
    (numbered(sites.collect()), findings)
}

/// Counts the sites of a function that have the same operation and ordering.
fn numbered(mut sites: Vec<Site>) -> Vec<Site> {
    let mut counts = BTreeMap::new();
    for site in &mut sites {
        let key = (site.place.file.clone(), site.function.clone(), site.operation, site.order);
        let count = counts.entry(key).or_insert(0);
        *count += 1;
        site.ordinal.0 = *count;
    }
    for site in &mut sites {
        let key = (site.place.file.clone(), site.function.clone(), site.operation, site.order);
        site.ordinal.1 = counts[&key];
    }
    sites
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: &str = "\
impl Cursor {
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn passed(&self) -> u64 {
        // ORDERING(CURSOR): Acquire.
        self.0.load(Ordering::Acquire)
    }
}
";

    /// The sites as `file:line:column function operation ordering edges`, and the findings.
    fn read(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let sources: Vec<_> =
            files.iter().map(|(file, text)| (*file, Source::parse(text))).collect();
        let (sites, findings) = sites(&sources);
        let shown = |site: &Site| {
            let Site { place, function, operation, order, .. } = site;
            format!("{place} {function} {operation} {order} {}", site.edge_names())
        };
        let findings = findings.iter().map(Finding::to_string).collect();
        (sites.iter().map(shown).collect(), findings)
    }

    #[track_caller]
    fn fails(files: &[(&str, &str)], expected: &str) {
        let (_, findings) = read(files);
        assert!(findings.len() == 1 && findings[0].contains(expected), "{findings:#?}");
    }

    #[test]
    fn an_ordering_is_its_own_site() {
        let text = "fn f() {\n    // ORDERING(A, B): why.\n    x.store(1, Ordering::Release);\n}";
        let (sites, findings) = read(&[("src/a.rs", text)]);
        assert_eq!(sites, ["src/a.rs:3:7 f store Release A, B"]);
        assert!(findings.is_empty());
    }

    #[test]
    fn the_callers_of_an_accessor_are_the_sites() {
        let station = "\
impl Post {
    #[cfg_attr(loom, track_caller)]
    fn seen(&self) -> u64 { self.cursor.passed() }
    fn a(&self) { self.seen() }
}
fn b() { c.cursor.passed(); Cursor::passed(&c); }
#[cfg(test)]
mod tests { fn d() { c.cursor.passed(); } }
";
        let (sites, findings) = read(&[("src/cursor.rs", CURSOR), ("src/post.rs", station)]);
        let expected = [
            "src/post.rs:4:24 Post::a load Acquire CURSOR",
            "src/post.rs:6:19 b load Acquire CURSOR",
            "src/post.rs:6:29 b load Acquire CURSOR",
        ];
        assert_eq!(sites, expected);
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[test]
    fn sites_of_a_function_are_counted() {
        let text = "fn f() { a.passed(); b.passed(); c.store(1, Ordering::Release); }";
        let sources = [("src/a.rs", Source::parse(CURSOR)), ("src/b.rs", Source::parse(text))];
        let (sites, _) = sites(&sources);
        let ordinals: Vec<_> = sites.iter().map(|site| site.ordinal).collect();
        assert_eq!(ordinals, [(1, 2), (2, 2), (1, 1)]);
    }

    #[test]
    fn accessors_whose_calls_cannot_be_found_are_objected_to() {
        let call = "fn f() { a.passed() }";
        let homonym = "impl Circuit { fn passed(&self) {} }\nfn f() { a.passed() }";
        fails(&[("src/a.rs", CURSOR), ("src/b.rs", homonym)], "src/b.rs:1: `Circuit::passed` has");
        let value = format!("{call}\nfn g() {{ a.map(Cursor::passed) }}");
        fails(&[("src/a.rs", CURSOR), ("src/b.rs", &value)], "src/b.rs:2: `passed` is an accessor");
        fails(&[("src/a.rs", CURSOR)], "src/a.rs:3: nobody calls");
    }

    #[test]
    fn two_orderings_behind_one_call_are_objected_to() {
        let two = "#[cfg_attr(loom, track_caller)]\nfn g() { a.load(Ordering::Acquire); \
                   b.load(Ordering::SeqCst) }\nfn f() { g() }";
        fails(&[("src/a.rs", two)], "src/a.rs:3: a load Acquire and a load SeqCst");
    }

    #[test]
    fn the_model_face_stands_for_the_real_one() {
        let real = "fn full() { fence(Ordering::SeqCst); }";
        let model = "#[cfg_attr(loom, track_caller)]\nfn full() {\n // ORDERING(D): x.\n \
                     mutation::fence(Ordering::SeqCst);\n}";
        let above = "fn f() { barrier::full() }";
        let instrument = "fn name(order: Ordering) { match order { Ordering::SeqCst => {} } }";
        let files = [
            ("src/sync/real/barrier.rs", real),
            ("src/sync/model/barrier.rs", model),
            ("src/sync/model/mutation.rs", instrument),
            ("src/a.rs", above),
        ];
        let (sites, findings) = read(&files);
        assert_eq!(sites, ["src/a.rs:1:10 f fence SeqCst D"]);
        assert!(findings.is_empty(), "{findings:?}");
        let untracked = model.replace("#[cfg_attr(loom, track_caller)]", "");
        fails(&[files[0], (files[1].0, &untracked)], "src/sync/real/barrier.rs:1: no function of");
        fails(&[files[0]], "src/sync/real/barrier.rs:1: no function of this name");
        let gone = "fn full() {} fn other() { fence(Ordering::Acquire); }";
        let (_, findings) = read(&[(files[0].0, gone), files[1], files[3]]);
        assert!(
            findings.iter().any(|line| {
                line.contains("barrier.rs:4: src/sync/real/barrier.rs has no fence SeqCst")
            }),
            "{findings:?}"
        );
    }
}
