//! Calls that fail: while a device is added and started, one call of a routine that may
//! say no says no.
//!
//! A driver meets most of its failures here, and has to undo what it has done by then.
//! Calls are counted in the thread that adds and starts the device and below
//! DISPATCH_LEVEL, so that what requests do meanwhile is not counted and the number of a
//! call means the same each time.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::machine::cpu;
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::thread;

/// The call that is to fail.
struct Fault {
    /// Calls up to and with that one; zero for none.
    remaining: u32,
    /// The routine whose call has failed.
    struck: &'static str,
}

static FAULT: IrqLock<Fault> = IrqLock::new(Fault {
    remaining: 0,
    struck: "",
});

/// The thread whose calls are counted, by its key; zero for none.
static THREAD: AtomicUsize = AtomicUsize::new(0);

/// Has the call with this number fail, from 1, or none; returns the routine whose call
/// has failed since this was called last, or nothing.
pub(crate) fn set(call: u32) -> &'static str {
    FAULT.with(|fault| {
        fault.remaining = call;
        core::mem::take(&mut fault.struck)
    })
}

/// Counts the calls that `body` makes.
pub(crate) fn counted<R>(body: impl FnOnce() -> R) -> R {
    THREAD.store(thread::current().key(), Ordering::Release);
    let result = body();
    THREAD.store(0, Ordering::Release);
    result
}

/// Whether this call of `routine` fails.
pub(crate) fn strikes(routine: impl Into<&'static str>) -> bool {
    let counted = THREAD.load(Ordering::Acquire);
    if counted == 0 || cpu::irql() >= DISPATCH_LEVEL || thread::current().key() != counted {
        return false;
    }
    let routine = routine.into();
    let strikes = FAULT.with(|fault| {
        let strikes = fault.remaining == 1;
        fault.remaining = fault.remaining.saturating_sub(1);
        if strikes {
            fault.struck = routine;
        }
        strikes
    });
    if strikes {
        log!("This call of {routine} fails.");
    }
    strikes
}
