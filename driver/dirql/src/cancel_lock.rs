//! The system's cancel spin lock. Wraps `IoAcquireCancelSpinLock`,
//! `IoReleaseCancelSpinLock`.
//!
//! The I/O manager holds it around every cancel routine's beginning, and around each
//! step of a device queue whose packets have one. There is one for the whole system, so
//! what runs under it is short; the driver's own code never does.
//!
//! See "Using the System's Cancel Spin Lock" in the Windows driver documentation.

use crate::{
    irql::{AtMostDispatch, Dispatch},
    sys,
};

/// Runs `f` with the cancel spin lock held, at DISPATCH_LEVEL.
pub(crate) fn with<I: AtMostDispatch, R>(_irql: &mut I, f: impl FnOnce(&mut Dispatch) -> R) -> R {
    let mut old = 0;
    // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) a local variable.
    // (Caller) this crate's callers run nothing of a driver's under the lock and take it
    // once: each use of this function is a straight line, facts 5 and 10.
    unsafe { sys::IoAcquireCancelSpinLock(&raw mut old) };
    // SAFETY: (IRQL) acquiring the lock has raised to this level, facts 5 and 10.
    let mut irql = unsafe { Dispatch::assume() };
    let result = f(&mut irql);
    // SAFETY: (IRQL) still at DISPATCH_LEVEL: closures nest. Pairs with the acquisition,
    // facts 5 and 10.
    unsafe { sys::IoReleaseCancelSpinLock(old) };
    result
}
