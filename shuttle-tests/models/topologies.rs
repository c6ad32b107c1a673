//! Three to eight stations on threads and pollers, one to four producers, rings of one to eight
//! slots: nothing goes wrong, and every station sees everything.

use crate::{
    harness::explore,
    ring::{
        self,
        case::{CALM, Recipe, Shape},
    },
};

#[test]
fn a_chain() {
    explore(800, |rng| ring::run(rng, Recipe { shape: Some(Shape::Chain), ..CALM }));
}

#[test]
fn a_diamond() {
    explore(800, |rng| ring::run(rng, Recipe { shape: Some(Shape::Diamond), ..CALM }));
}

#[test]
fn stations_side_by_side() {
    explore(800, |rng| ring::run(rng, Recipe { shape: Some(Shape::Fan), ..CALM }));
}

#[test]
fn layers() {
    explore(800, |rng| ring::run(rng, Recipe { shape: Some(Shape::Layers), ..CALM }));
}

#[test]
fn any_graph() {
    explore(1_200, |rng| ring::run(rng, Recipe { shape: Some(Shape::Graph), ..CALM }));
}

#[test]
fn pollers_that_leave() {
    explore(1_200, |rng| ring::run(rng, Recipe { leaving: true, ..CALM }));
}

#[test]
fn deadlines_that_come() {
    explore(1_200, |rng| ring::run(rng, Recipe { timeouts: true, ..CALM }));
}
