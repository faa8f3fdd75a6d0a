//! How long each processor has been at each IRQL, for the report of a run that asks
//! for one.
//!
//! The time is the machine's own, the time-stamp counter's. A thread that is taken
//! off its processor in the very instant in which it changes its IRQL has a little of
//! it counted for the processor that it left.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::block::{MAX_PROCESSORS, current_processor};
use crate::machine::time;

/// IRQLs that there are.
const LEVELS: usize = 16;
/// The place of time in which a processor had nothing to do.
const IDLE: usize = LEVELS;

/// Nothing is counted until somebody wants it.
static IS_COUNTING: AtomicBool = AtomicBool::new(false);

/// One processor's times, which share no cache line with another's.
#[repr(align(64))]
struct Times {
    /// When its IRQL changed last; zero before the first time.
    since: AtomicU64,
    /// It waits for an interrupt.
    is_idle: AtomicBool,
    /// Counts of the time-stamp counter, by IRQL, and [`IDLE`].
    at: [AtomicU64; LEVELS + 1],
}

static TIMES: [Times; MAX_PROCESSORS] = [const {
    Times {
        since: AtomicU64::new(0),
        is_idle: AtomicBool::new(false),
        at: [const { AtomicU64::new(0) }; LEVELS + 1],
    }
}; MAX_PROCESSORS];

/// Begins to count.
pub(crate) fn count_irql_times() {
    IS_COUNTING.store(true, Ordering::Release);
}

/// Whether somebody wants to know.
pub(crate) fn counts_irql_times() -> bool {
    IS_COUNTING.load(Ordering::Relaxed)
}

/// This processor leaves the IRQL `old`. Any IRQL.
pub(super) fn leave(old: u8) {
    if !counts_irql_times() {
        return;
    }
    let Some(times) = TIMES.get(current_processor()) else {
        return;
    };
    let was_idle = old == 0 && times.is_idle.swap(false, Ordering::Relaxed);
    let place = if was_idle { IDLE } else { usize::from(old) };
    let now = time::counter();
    // An interrupt between these two lines counts its own time and leaves a later one.
    let since = times.since.fetch_max(now, Ordering::Relaxed);
    if since != 0
        && let Some(word) = times.at.get(place)
    {
        word.fetch_add(now.saturating_sub(since), Ordering::Relaxed);
    }
}

/// This processor is about to wait for an interrupt at PASSIVE_LEVEL; interrupts are
/// disabled.
pub(super) fn begin_idle() {
    leave(0);
    if let Some(times) = TIMES.get(current_processor()) {
        times.is_idle.store(counts_irql_times(), Ordering::Relaxed);
    }
}

/// How long a processor has been at an IRQL, in units of 100 ns. Idle time is not
/// PASSIVE_LEVEL's here.
pub(crate) fn time_at_irql_100ns(processor: usize, irql: u8) -> u64 {
    read(processor, usize::from(irql).min(LEVELS - 1))
}

/// How long a processor has had nothing to do, in units of 100 ns.
pub(crate) fn idle_time_100ns(processor: usize) -> u64 {
    read(processor, IDLE)
}

fn read(processor: usize, place: usize) -> u64 {
    TIMES
        .get(processor)
        .and_then(|times| times.at.get(place))
        .map_or(0, |word| time::to_100ns(word.load(Ordering::Relaxed)))
}
