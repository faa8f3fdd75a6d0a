//! Processors of the system. Wraps `KeQueryActiveProcessorCountEx`.
//!
//! # Model
//!
//! Processors are numbered through all groups, from zero. Which of them runs a thread means
//! something only while the thread cannot move.
//!
//! # Soundness
//!
//! Facts 5, 10 and 11 of the crate.

use crate::{
    irql::{AtLeastDispatch, Passive},
    status::{NtError, Result},
    sys,
};

/// Active processors in all groups. Wraps `KeQueryActiveProcessorCountEx`.
///
/// # IRQL
/// Any.
#[must_use]
pub fn active_count() -> u32 {
    let all_groups = u16::MAX;
    // SAFETY: callable at any IRQL; ALL_PROCESSOR_GROUPS is a documented argument, fact 10.
    unsafe { sys::KeQueryActiveProcessorCountEx(all_groups) }
}

/// System-wide index, from zero, of the processor that runs this. Wraps
/// `KeGetCurrentProcessorNumberEx`.
///
/// # IRQL
/// DISPATCH_LEVEL or above, in an ISR too: below that the thread can be on another processor
/// when this returns.
#[must_use]
pub fn current<I: AtLeastDispatch>(_irql: &I) -> u32 {
    number()
}

/// Number of the processor that runs this.
///
/// It tells something only while the thread cannot move, at DISPATCH_LEVEL or above.
pub(crate) fn number() -> u32 {
    // SAFETY: callable at any IRQL; the optional out-parameter may be NULL, fact 10.
    unsafe { sys::KeGetCurrentProcessorNumberEx(core::ptr::null_mut()) }
}

/// The group and number of the processor with this index over all groups. Wraps
/// `KeGetProcessorNumberFromIndex`.
///
/// # Errors
/// STATUS_INVALID_PARAMETER if there is no such processor.
pub(crate) fn number_of(index: u32) -> Result<sys::PROCESSOR_NUMBER> {
    let mut number = sys::PROCESSOR_NUMBER::default();
    // SAFETY: callable at any IRQL; the result lives across the call, facts 10 and 11.
    let status = unsafe { sys::KeGetProcessorNumberFromIndex(index, &raw mut number) };
    NtError::check(status).map(|_| number)
}

/// Takes the calling thread to every active processor in turn. Wraps
/// `KeSetSystemGroupAffinityThread`, `KeRevertToUserGroupAffinityThread`.
///
/// Below DISPATCH_LEVEL the change takes effect at once: the call returns on the processor
/// that it names. So when this returns, whatever ran at DISPATCH_LEVEL or above on any
/// processor when it was called has ended there, and so has a threaded DPC, which no other thread
/// preempts ("Introduction to Threaded DPCs"). A processor that becomes active meanwhile
/// was not running then.
pub(crate) fn visit_all(_irql: &mut Passive) {
    for index in 0..active_count() {
        let Ok(number) = number_of(index) else {
            // There is no such processor, so nothing runs on it.
            continue;
        };
        let mut there = sys::GROUP_AFFINITY {
            Mask: 1 << (number.Number % 64),
            Group: number.Group,
            ..Default::default()
        };
        let mut before = sys::GROUP_AFFINITY::default();
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) both live across the call;
        // the processor is one that is active, facts 5, 10 and 11.
        unsafe { sys::KeSetSystemGroupAffinityThread(&raw mut there, &raw mut before) };
        // SAFETY: (IRQL) as above. (Caller) undoes the line above, whose result this is,
        // facts 5, 10 and 11.
        unsafe { sys::KeRevertToUserGroupAffinityThread(&raw mut before) };
    }
}
