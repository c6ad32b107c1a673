//! Every public call, in any order, beside a model that foretells what each of them returns.
//!
//! One thread does everything: the stations are pollers, so that nothing depends on who is faster.
//! `tests/model.rs` is the same idea on many threads, where less can be foretold.

mod common;
#[path = "machine/model.rs"]
mod model;
#[path = "machine/ops.rs"]
mod ops;
#[path = "machine/payload.rs"]
mod payload;
#[path = "machine/polling.rs"]
mod polling;
#[path = "machine/publishing.rs"]
mod publishing;
#[path = "machine/recipes.rs"]
mod recipes;
#[path = "machine/rest.rs"]
mod rest;
#[path = "machine/rules.rs"]
mod rules;
#[path = "machine/world.rs"]
mod world;

use common::within_a_minute;
use ops::{Case, cases};
use payload::{Counted, Plain};
use proptest::prelude::*;
use recipes::recipes;
use slipring::{Multi, Single};

/// 2,000, or as many as `PROPTEST_CASES` says.
fn cases_to_run() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000)
}

fn run(case: &Case) {
    if case.is_multi {
        world::run::<Counted, Multi>(case);
        world::run::<Plain, Multi>(case);
    } else {
        world::run::<Counted, Single>(case);
        world::run::<Plain, Single>(case);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_time: 60_000, ..ProptestConfig::with_cases(cases_to_run()) })]

    #[test]
    fn every_call_returns_what_the_model_foretells(case in cases()) {
        within_a_minute(move || run(&case));
    }

    #[test]
    fn the_builder_does_what_its_rules_say(recipe in recipes()) {
        within_a_minute(move || recipes::run(&recipe));
    }
}
