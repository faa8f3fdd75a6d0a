//! What the executive counts, for the report that the host asks for.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rig_protocol::Report;

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::nt::routine::Routine;
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

    /// Counts so many.
    pub(crate) fn add_many(&self, count: u64) {
        if let Some(word) = self.0.get(cpu::current_processor()) {
            word.0.fetch_add(count, Ordering::Relaxed);
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
/// How long processors have spun for interrupt locks, in counts of the time-stamp counter.
pub(crate) static LOCK_WAIT_COUNTS: Counter = Counter::new();
pub(crate) static DPCS: Counter = Counter::new();
pub(crate) static DPCS_ALREADY_QUEUED: Counter = Counter::new();
/// Requests that `cancel-storm` has cancelled.
pub(crate) static STORM_CANCELLATIONS: Counter = Counter::new();
/// Messages for which there was no interrupt of their own.
pub(crate) static MESSAGES_MERGED: Counter = Counter::new();
pub(crate) static REGISTER_READS: Counter = Counter::new();
pub(crate) static REGISTER_WRITES: Counter = Counter::new();
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
pub(crate) fn checks_of(rule: Rule) -> u64 {
    CHECKS
        .iter()
        .filter_map(|checks| checks.0.get(rule as usize))
        .map(|word| word.load(Ordering::Relaxed))
        .sum()
}

/// How often each routine was called, for each processor by itself.
static CALLS: [Calls; MAX_PROCESSORS] =
    [const { Calls([const { AtomicU64::new(0) }; Routine::ALL.len()]) }; MAX_PROCESSORS];

/// Routines that the driver imports, or has asked for by name.
static IMPORTED: [AtomicBool; Routine::ALL.len()] =
    [const { AtomicBool::new(false) }; Routine::ALL.len()];

/// One processor's calls, which share no cache line with another's.
#[repr(align(64))]
struct Calls([AtomicU64; Routine::ALL.len()]);

/// Counts one call of a routine. Any IRQL.
pub(crate) fn called(routine: Routine) {
    let word = CALLS
        .get(cpu::current_processor())
        .and_then(|calls| calls.0.get(routine as usize));
    if let Some(word) = word {
        word.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often a routine was called.
pub(crate) fn calls_of(routine: Routine) -> u64 {
    CALLS
        .iter()
        .filter_map(|calls| calls.0.get(routine as usize))
        .map(|word| word.load(Ordering::Relaxed))
        .sum()
}

/// Notes that the driver can call a routine.
pub(crate) fn imported(routine: Routine) {
    if let Some(flag) = IMPORTED.get(routine as usize) {
        flag.store(true, Ordering::Relaxed);
    }
}

/// Whether the driver can call a routine.
pub(crate) fn is_imported(routine: Routine) -> bool {
    IMPORTED
        .get(routine as usize)
        .is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Longest times for which a spin lock was held, in units of 100 ns: an interrupt's, and
/// any other.
static LONGEST_INTERRUPT_LOCK: AtomicU64 = AtomicU64::new(0);
static LONGEST_SPIN_LOCK: AtomicU64 = AtomicU64::new(0);

/// Notes how long a spin lock was held. Any IRQL.
pub(crate) fn held_for_100ns(is_interrupt: bool, time: u64) {
    let longest = if is_interrupt {
        &LONGEST_INTERRUPT_LOCK
    } else {
        &LONGEST_SPIN_LOCK
    };
    longest.fetch_max(time, Ordering::Relaxed);
}

/// Counts by name, for the statistics.
pub(crate) fn named() -> [(&'static str, u64); 13] {
    [
        ("irps-sent", IRPS_SENT.total()),
        ("irps-completed", IRPS_COMPLETED.total()),
        ("device-controls", DEVICE_CONTROLS.total()),
        ("isr-calls", ISR_CALLS.total()),
        ("isr-claimed", ISR_CLAIMED.total()),
        ("critical-sections", CRITICAL_SECTIONS.total()),
        ("lock-waits", LOCK_WAITS.total()),
        ("dpcs", DPCS.total()),
        ("dpcs-already-queued", DPCS_ALREADY_QUEUED.total()),
        ("timer-dpcs", TIMER_DPCS.total()),
        ("storm-cancellations", STORM_CANCELLATIONS.total()),
        (
            "longest-interrupt-lock-100ns",
            LONGEST_INTERRUPT_LOCK.load(Ordering::Relaxed),
        ),
        (
            "longest-spin-lock-100ns",
            LONGEST_SPIN_LOCK.load(Ordering::Relaxed),
        ),
    ]
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
        messages_merged: MESSAGES_MERGED.total(),
        isr_calls_by_processor: core::array::from_fn(|processor| ISR_CALLS.of(processor)),
        register_reads: REGISTER_READS.total(),
        register_writes: REGISTER_WRITES.total(),
        checks: Rule::ALL.iter().copied().map(checks_of).sum(),
        // The first violation ends the run, so nobody is left to report it here.
        violations: 0,
    }
}
