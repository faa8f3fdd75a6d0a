//! The command line's words for a [`Plan`].

use std::time::Duration;

use super::{Mix, Plan};

/// What a run is to be, as the command line says it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Threads that send requests
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    threads: u32,
    /// Requests that each thread has under way at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=12))]
    outstanding: u32,
    /// Threads that follow the interrupts as events, and must miss none
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=16))]
    waiters: u32,
    /// How long to go on
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// The weights of the kinds of requests among those that are under way
    #[arg(long, value_name = "KIND=WEIGHT,...", default_value_t = Mix::default())]
    mix: Mix,
    /// How many requests of a hundred to cancel
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    cancel: u8,
    /// What chooses the requests; without it, every run is another
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Options {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan {
            threads: self.threads as usize,
            outstanding: self.outstanding as usize,
            waiters: self.waiters as usize,
            length: Duration::from_secs(self.seconds.into()),
            mix: self.mix,
            cancel_percent: self.cancel,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..)),
        }
    }
}
