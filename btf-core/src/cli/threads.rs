//! How many threads a program starts.

use std::num::NonZeroUsize;

/// The most threads that are started, unless the machine has more cores: each needs memory of its own.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");

/// The option for the number of threads.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ThreadArgs {
    /// Number of threads [default: one for each core]
    ///
    /// The output does not depend on it. More than 64 are started only on machines with more cores.
    #[arg(short = 'j', long, value_name = "N", value_parser = thread_count)]
    threads: Option<NonZeroUsize>,
}

impl ThreadArgs {
    /// The number of threads to start.
    #[must_use]
    pub fn count(&self) -> NonZeroUsize {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.threads.unwrap_or(cores).min(cores.max(MAX_THREADS))
    }
}

/// Reads a number of threads.
fn thread_count(text: &str) -> Result<NonZeroUsize, String> {
    let count = text.parse();
    count.map_err(|_| "expected a number from 1".to_owned())
}
