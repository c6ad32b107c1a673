//! How far it is: on standard error, a bar if that is a terminal and a line a step if not.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The bar. Its length is the estimated time, so that steps of different lengths move it evenly.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    logs: bool,
}

impl Progress {
    /// A bar for so much work.
    ///
    /// # Panics
    ///
    /// Never: the template is a constant.
    #[must_use]
    pub fn new(total: Duration) -> Self {
        let bar = ProgressBar::new(millis(total));
        let style =
            ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {percent:>3} % {msg}")
                .expect("a fixed template")
                .progress_chars("=> ");
        bar.set_style(style);
        let logs = bar.is_hidden();
        Self { bar, logs }
    }

    /// A bar that nobody sees.
    #[must_use]
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), logs: false }
    }

    /// The next step.
    pub fn begin(&self, step: String) {
        if self.logs {
            eprintln!("{:>6.1} s  {step}", self.bar.elapsed().as_secs_f64());
        }
        self.bar.set_message(step);
        // Drawn at once and not by a thread: while a run is on, nothing else may want a core.
        self.bar.tick();
    }

    /// The step is done.
    pub fn end(&self, estimate: Duration) {
        self.bar.inc(millis(estimate));
    }

    /// All is done.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}
