//! Sites and jobs made up for tests.

use std::{collections::BTreeSet, time::Duration};

use super::{
    models::Job,
    operation::{Operation, Order},
    sites::{Place, Site},
};

pub fn site(line: usize, function: &str, operation: Operation, order: Order) -> Site {
    Site {
        place: Place { file: "src/a.rs".to_owned(), line, column: 5 },
        function: function.to_owned(),
        operation,
        order,
        edges: BTreeSet::from(["E".to_owned()]),
        ordinal: (1, 1),
    }
}

/// A job that reaches these sites.
pub fn job(name: &str, executions: usize, reaches: &[&Site]) -> Job<'static> {
    let key = |site: &&Site| (site.place.clone(), site.operation, site.order);
    Job {
        name: name.to_owned(),
        executions,
        time: Duration::ZERO,
        reaches: reaches.iter().map(key).collect(),
        spares: &[],
    }
}
