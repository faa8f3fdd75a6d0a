//! Counters that the ISR shares with everybody else.

/// What has happened since the counters were last reset.
///
/// Written in the ISR and in SynchCritSection routines, read as a copy that one
/// critical section takes, so the figures are of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Interrupts that the ISR claimed.
    pub interrupts_claimed: u64,
    /// Interrupts that were some other device's.
    pub interrupts_not_ours: u64,
    /// Claimed interrupts that no operation had asked for.
    pub interrupts_unasked: u64,
    /// Operations that the controller took. Each is completed, timed out, aborted or
    /// under way; a reset while one is under way makes the others one more than this.
    pub operations_started: u64,
    /// Operations that ended with their interrupt.
    pub operations_completed: u64,
    /// Operations that passed their deadline.
    pub operations_timed_out: u64,
    /// Operations taken back by [`Controller::silence`](crate::Controller::silence) and
    /// [`Controller::take_back`](crate::Controller::take_back).
    pub operations_aborted: u64,
    /// Drains that found at least one result.
    pub drains: u64,
    /// Most results that one drain found.
    pub most_results: u64,
    /// Liveness checks made.
    pub liveness_checks: u64,
    /// Transfers that were started. Each is completed, timed out, aborted or under way.
    pub dma_started: u64,
    /// Transfers that ended with their bytes moved.
    pub dma_completed: u64,
    /// Transfers that passed their deadline.
    pub dma_timed_out: u64,
    /// Transfers that were given up, or whose device went.
    pub dma_aborted: u64,
    /// Bytes moved from the device's buffer.
    pub dma_bytes_read: u64,
    /// Bytes moved to the device's buffer.
    pub dma_bytes_written: u64,
    /// Operations that were refused because no more results could wait for the DPC.
    pub results_refused: u64,
    /// Events that no room was left for between the ISR and the DPC.
    pub events_lost: u64,
}

/// Adds one. Wrapping is right for a counter of 64 bits that starts at zero: it
/// would take centuries, and the alternative under the lock is a branch.
pub(crate) const fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}
