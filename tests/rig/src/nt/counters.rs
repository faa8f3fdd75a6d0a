//! What the executive counts, for the report that the host asks for.

use core::sync::atomic::{AtomicU64, Ordering};

use rig_protocol::Report;

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::nt::rule::Rule;

/// A count that any processor adds to at any IRQL.
///
/// One word for each processor, so that counting costs no contention.
pub(crate) struct Counter([Padded; MAX_PROCESSORS]);

/// A word that shares its cache line with no other.
#[repr(align(64))]
struct Padded(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self([const { Padded(AtomicU64::new(0)) }; MAX_PROCESSORS])
    }

    /// Counts one.
    pub(crate) fn add(&self) {
        if let Some(word) = self.0.get(cpu::current_processor()) {
            word.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What one processor counted.
    fn of(&self, processor: usize) -> u64 {
        self.0
            .get(processor)
            .map_or(0, |word| word.0.load(Ordering::Relaxed))
    }

    /// What all processors counted.
    pub(crate) fn total(&self) -> u64 {
        (0..MAX_PROCESSORS)
            .map(|processor| self.of(processor))
            .sum()
    }
}

pub(crate) static IRPS_SENT: Counter = Counter::new();
pub(crate) static IRPS_COMPLETED: Counter = Counter::new();
pub(crate) static DEVICE_CONTROLS: Counter = Counter::new();
pub(crate) static ISR_CALLS: Counter = Counter::new();
pub(crate) static ISR_CLAIMED: Counter = Counter::new();
pub(crate) static CRITICAL_SECTIONS: Counter = Counter::new();
pub(crate) static LOCK_WAITS: Counter = Counter::new();
pub(crate) static DPCS: Counter = Counter::new();
pub(crate) static DPCS_ALREADY_QUEUED: Counter = Counter::new();
/// Requests that `cancel-storm` has cancelled.
pub(crate) static STORM_CANCELLATIONS: Counter = Counter::new();
pub(crate) static TIMER_DPCS: Counter = Counter::new();

/// How often each rule was checked, for each processor by itself.
static CHECKS: [Checks; MAX_PROCESSORS] =
    [const { Checks([const { AtomicU64::new(0) }; Rule::ALL.len()]) }; MAX_PROCESSORS];

/// One processor's checks, which share no cache line with another's.
#[repr(align(64))]
struct Checks([AtomicU64; Rule::ALL.len()]);

/// Counts one check of a rule. Any IRQL.
pub(crate) fn checked(rule: Rule) {
    let word = CHECKS
        .get(cpu::current_processor())
        .and_then(|checks| checks.0.get(rule as usize));
    if let Some(word) = word {
        word.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often a rule was checked.
fn checks_of(rule: Rule) -> u64 {
    CHECKS
        .iter()
        .filter_map(|checks| checks.0.get(rule as usize))
        .map(|word| word.load(Ordering::Relaxed))
        .sum()
}

/// All counts as the command channel carries them.
pub(crate) fn report() -> Report {
    Report {
        irps_sent: IRPS_SENT.total(),
        irps_completed: IRPS_COMPLETED.total(),
        device_controls: DEVICE_CONTROLS.total(),
        isr_calls: ISR_CALLS.total(),
        isr_claimed: ISR_CLAIMED.total(),
        critical_sections: CRITICAL_SECTIONS.total(),
        lock_waits: LOCK_WAITS.total(),
        dpcs: DPCS.total(),
        dpcs_already_queued: DPCS_ALREADY_QUEUED.total(),
        timer_dpcs: TIMER_DPCS.total(),
        isr_calls_by_processor: core::array::from_fn(|processor| ISR_CALLS.of(processor)),
        checks: Rule::ALL.iter().copied().map(checks_of).sum(),
        // The first violation ends the run, so nobody is left to report it here.
        violations: 0,
    }
}
