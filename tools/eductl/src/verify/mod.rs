//! `verify`: everything that the driver promises, against values computed here.
//!
//! The driver's counters are set to zero first and must, at the end, hold
//! exactly what was done in between: one claimed interrupt for each operation
//! that needs one, and nothing for any of the bad requests.

mod answers;
mod bad_requests;
mod check;
mod counters;
mod events;
mod parallel;
mod records;
mod transfers;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use fastrand::Rng;
use serde::Serialize;

use crate::{
    commands::{CommandError, stats::Counters},
    device::{Device, DeviceError},
    transport::{Open, System, TransportError},
};

pub use check::Check;
use check::Tally;

/// What `verify` found.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// What chose the random data.
    pub seed: u64,
    /// The groups of checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// Operations of this run that end with an interrupt.
    pub operations: u64,
    /// Reads and writes of the device's buffer.
    pub transfers: u64,
    /// The driver's counters before this run, which set them to zero.
    pub counters_before: Counters,
    /// The driver's counters at the end of this run.
    pub counters: Counters,
}

impl Verification {
    /// Whether every check passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }
}

/// One group of checks.
type Group = fn(&Bench<'_>, &mut Check) -> Result<(), CommandError>;

const GROUPS: [(&str, Group); 17] = [
    ("identification", answers::identification),
    ("liveness", answers::liveness),
    ("factorials of 0 to 34", answers::small_factorials),
    ("factorials of large numbers", answers::large_factorials),
    ("raised interrupts", answers::raised_interrupts),
    ("from several threads at once", parallel::mixed),
    ("transfers of random data", transfers::round_trips),
    ("transfers out of bounds", transfers::bounds),
    ("both engines at once", parallel::both_engines),
    ("events for two waiters", events::every_waiter),
    ("waits for other events", events::other_waits),
    ("flight recorder", records::records),
    ("unknown control codes", bad_requests::unknown_codes),
    ("wrong lengths", bad_requests::wrong_lengths),
    ("wrong values", bad_requests::wrong_values),
    ("wrong access", bad_requests::wrong_access),
    ("buffers longer than needed", bad_requests::long_buffers),
];

/// What a group works with.
struct Bench<'a> {
    system: &'a dyn System,
    number: usize,
    device: Device<'a>,
    tally: &'a Tally,
    random: Mutex<Rng>,
}

impl Bench<'_> {
    /// Random numbers that follow from the seed.
    fn random(&self) -> Rng {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.fork()
    }
}

/// Runs all groups on device `number` of `system`, with random data of a new seed.
///
/// # Errors
/// [`CommandError`] when the run cannot go on; what is merely wrong is in the
/// result.
pub fn run(system: &dyn System, number: usize) -> Result<Verification, CommandError> {
    run_with_seed(system, number, fastrand::u64(..))
}

/// As [`run`], with the random data of a seed.
///
/// # Errors
/// As [`run`].
pub fn run_with_seed(
    system: &dyn System,
    number: usize,
    seed: u64,
) -> Result<Verification, CommandError> {
    let handle = system
        .open(&Open::read_write(number))
        .map_err(DeviceError::from)?;
    let tally = Tally::default();
    let bench = Bench {
        system,
        number,
        device: Device::new(handle.as_ref()),
        tally: &tally,
        random: Mutex::new(Rng::with_seed(seed)),
    };
    let mut checks = Vec::new();
    let mut reset = Check::new("reset of the counters");
    let counters_before = counters::reset(&bench, &mut reset)?;
    checks.push(reset);
    for (name, group) in GROUPS {
        let mut check = Check::new(name);
        match group(&bench, &mut check) {
            Ok(()) => {}
            Err(error) if goes_on(&error) => check.fail(error.to_string()),
            Err(error) => return Err(error),
        }
        checks.push(check);
    }
    let mut agree = Check::new("the counters agree");
    let counters = counters::agree(&bench, &mut agree)?;
    checks.push(agree);
    handle.close().map_err(DeviceError::from)?;
    Ok(Verification {
        seed,
        checks,
        operations: tally.operations(),
        transfers: tally.transfers(),
        counters_before,
        counters,
    })
}

/// Whether other checks still make sense after `error`: the driver answered, and the
/// answer is what is wrong.
pub(crate) const fn goes_on(error: &CommandError) -> bool {
    match error {
        CommandError::Device(DeviceError::Transport(error)) => {
            matches!(error, TransportError::Failed { .. })
        }
        CommandError::Device(_) | CommandError::WrongAnswer(_) => true,
        CommandError::File { .. }
        | CommandError::NothingToShow(_)
        | CommandError::Usage(_)
        | CommandError::Output(_) => false,
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(formatter, "{check}")?;
        }
        let made: u64 = self.checks.iter().map(Check::made).sum();
        let failed: u64 = self.checks.iter().map(Check::failed).sum();
        write!(
            formatter,
            "verify: {made} checks, {failed} failed; {} operations, {} transfers, {} interrupts; \
             seed {}",
            self.operations, self.transfers, self.counters.interrupts_claimed, self.seed
        )
    }
}

#[cfg(all(test, unix))]
mod tests;
