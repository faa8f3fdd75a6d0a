//! Waiting for time to pass, which only PASSIVE_LEVEL may. Wraps `KeDelayExecutionThread`.
//!
//! # Model
//!
//! A wait gives the processor to other threads, so it asks for
//! [`MayWait`]. Nothing here stalls a processor: `KeStallExecutionProcessor`
//! at a raised level is what a timer is for.
//!
//! # Not here
//!
//! Waiting for something to happen: [`Event`](crate::event::Event). See
//! "KeDelayExecutionThread".

use crate::{irql::MayWait, sys};

/// Lets at least `milliseconds` pass. Wraps `KeDelayExecutionThread`; see its reference
/// page.
///
/// # IRQL
/// PASSIVE_LEVEL, with no lock held but a passive-level interrupt's.
pub fn delay<I: MayWait>(_irql: &mut I, milliseconds: u32) {
    let mut interval = sys::relative_time(milliseconds);
    // SAFETY: (IRQL) the token says that the thread may wait. (Pointer) the interval lives
    // across the call, which does not keep its address. A non-alertable kernel-mode wait
    // ends only by its time, so there is no status to look at, facts 5, 10 and 11.
    let _elapsed = unsafe { sys::KeDelayExecutionThread(sys::KERNEL_MODE, 0, &raw mut interval) };
}
