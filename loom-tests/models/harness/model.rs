//! What a model is.

use slipring::model::Fences;

/// A small concurrent program, and what must hold at the end of each of its executions.
#[derive(Clone, Copy)]
pub struct Model {
    /// `p01` and so on; see the README.
    pub property: &'static str,
    pub name: &'static str,
    /// Threads (the main one included), slots and events: what the size of the search depends on.
    pub size: (u8, u8, u8),
    /// The most preemptions in an execution of the quick run; `None`: every execution.
    pub bound: Option<usize>,
    /// The same for the full run.
    pub full: Option<usize>,
    /// It is run once with each.
    pub fences: &'static [Fences],
    pub body: fn(),
}

impl Model {
    /// A model whose executions are all tried, and whose property does not rest on the asymmetric
    /// fence.
    pub const fn exhaustive(
        property: &'static str,
        name: &'static str,
        size: (u8, u8, u8),
        body: fn(),
    ) -> Self {
        Self { property, name, size, bound: None, full: None, fences: &[Fences::Bare], body }
    }

    /// The same model, tried with at most so many preemptions; all of them in the full run.
    pub const fn bounded(mut self, preemptions: usize) -> Self {
        self.bound = Some(preemptions);
        self
    }

    /// The same model, also in the full run tried with at most so many preemptions.
    pub const fn full_bounded(mut self, preemptions: usize) -> Self {
        self.full = Some(preemptions);
        self
    }

    /// The same model, once with each form of the store-load fence: its property rests on it.
    pub const fn both_fences(mut self) -> Self {
        self.fences = &[Fences::Symmetric, Fences::Asymmetric];
        self
    }
}

/// A model with one form of the fence: what a process runs.
#[derive(Clone, Copy)]
pub struct Job {
    pub model: &'static Model,
    pub fences: Fences,
}

impl Job {
    /// All jobs of these models.
    pub fn all(models: &[&'static [Model]]) -> Vec<Self> {
        let jobs = |model: &'static Model| {
            model.fences.iter().map(move |fences| Self { model, fences: *fences })
        };
        models.iter().flat_map(|models| models.iter()).flat_map(jobs).collect()
    }

    /// `p01::attempts`, or `p06::one_sleeper/asymmetric`.
    pub fn name(&self) -> String {
        let form = match self.fences {
            Fences::Bare => "",
            Fences::Symmetric => "/symmetric",
            Fences::Asymmetric => "/asymmetric",
        };
        format!("{}::{}{form}", self.model.property, self.model.name)
    }

    pub fn bound(&self, full: bool) -> Option<usize> {
        if full { self.model.full } else { self.model.bound }
    }
}
