//! How far a run is, for who watches it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::totals::rate;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How long it has been running.
    pub elapsed: Duration,
    /// How long it is to run.
    pub length: Duration,
    /// Requests with the right answer so far.
    pub operations: u64,
    /// Requests that were cancelled so far.
    pub cancelled: u64,
}

/// A progress bar on standard error; it is not drawn when that is no terminal.
pub struct Bar {
    bar: ProgressBar,
    last: Option<Progress>,
}

impl Bar {
    /// A bar that is drawn when [`Bar::show`] is first called.
    #[must_use]
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
            bar.set_style(style);
        }
        Self { bar, last: None }
    }

    /// Draws it.
    pub fn show(&mut self, progress: &Progress) {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.bar.set_length(milliseconds(progress.length));
        self.bar
            .set_position(milliseconds(progress.elapsed.min(progress.length)));
        self.bar.set_message(format!(
            "{:.0} of {:.0} s  {} operations, {:.0}/s  {} cancelled",
            progress.elapsed.as_secs_f64(),
            progress.length.as_secs_f64(),
            progress.operations,
            self.rate(progress),
            progress.cancelled
        ));
        self.last = Some(*progress);
    }

    /// Operations in a second since it was last drawn.
    fn rate(&self, progress: &Progress) -> f64 {
        let (operations, elapsed) = self
            .last
            .map_or((0, Duration::ZERO), |last| (last.operations, last.elapsed));
        rate(
            progress.operations.saturating_sub(operations),
            progress.elapsed.saturating_sub(elapsed),
        )
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
