//! A progress bar for work that takes a while.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use indicatif::{ProgressDrawTarget, ProgressStyle};

/// Work that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// A bar on standard error. Any thread may move it.
#[derive(Debug)]
pub struct ProgressBar {
    what: &'static str,
    is_wanted: bool,
    start: Instant,
    bar: OnceLock<indicatif::ProgressBar>,
}

impl ProgressBar {
    pub(super) fn new(what: &'static str, is_wanted: bool) -> Self {
        Self {
            what,
            is_wanted,
            start: Instant::now(),
            bar: OnceLock::new(),
        }
    }

    /// Says that `done` of `total` steps are done, and what is being done now. Cheap: may be called often.
    pub fn set(&self, phase: &'static str, done: u64, total: u64) {
        if !self.is_wanted || self.start.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| self.draw(total));
        if bar.length() != Some(total) {
            bar.set_length(total);
        }
        bar.set_position(done);
        bar.set_message(phase);
    }

    fn draw(&self, total: u64) -> indicatif::ProgressBar {
        let bar = indicatif::ProgressBar::new(total);
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3}% {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(self.what);
        bar
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.finish();
    }
}
