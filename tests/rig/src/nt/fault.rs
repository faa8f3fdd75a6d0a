//! Calls that fail: one call of a routine that may say no says no.
//!
//! A driver meets most of its failures while a device is added and started, and has to
//! undo what it has done by then. Those calls are counted in the thread that adds and
//! starts the device and below DISPATCH_LEVEL, so that what requests do meanwhile is not
//! counted and the number of a call means the same each time. Or all calls are counted,
//! wherever the driver makes them.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use rig_protocol::Calls;

use crate::machine::cpu;
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::nt::counters;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::rule::Rule;
use crate::nt::thread;

/// Nobody has memory there: an access below this is one through a null pointer.
const FIRST_ADDRESS: u64 = 0x1_0000;

/// The call that is to fail.
struct Fault {
    /// Calls up to and with that one; zero for none.
    remaining: u32,
    /// Which calls are counted.
    calls: Calls,
    /// The routine whose call has failed.
    struck: &'static str,
}

static FAULT: IrqLock<Fault> = IrqLock::new(Fault {
    remaining: 0,
    calls: Calls::OfStart,
    struck: "",
});

/// The thread that adds or starts a device, by its key; zero for none.
static THREAD: AtomicUsize = AtomicUsize::new(0);

/// The call that failed last, of those that were to, has returned a null pointer.
static HAS_RETURNED_NULL: AtomicBool = AtomicBool::new(false);
/// Calls of PoRequestPowerIrp that have failed.
static POWER_REFUSALS: AtomicU32 = AtomicU32::new(0);

/// Has the call with this number fail, from 1, or none; returns the routine whose call
/// has failed since this was called last, or nothing.
pub(crate) fn set(call: u32, calls: Calls) -> &'static str {
    if call != 0 {
        // What is null from now on is so because of another call. With none to fail the
        // driver may still have the pointer of the last one.
        HAS_RETURNED_NULL.store(false, Ordering::Relaxed);
    }
    FAULT.with(|fault| {
        fault.remaining = call;
        fault.calls = calls;
        core::mem::take(&mut fault.struck)
    })
}

/// Runs `body`, which adds or starts a device.
pub(crate) fn counted<R>(body: impl FnOnce() -> R) -> R {
    THREAD.store(thread::current().key(), Ordering::Release);
    let result = body();
    THREAD.store(0, Ordering::Release);
    result
}

/// Whether the thread that adds or starts a device is here, below DISPATCH_LEVEL.
pub(crate) fn is_starting_here() -> bool {
    let starting = THREAD.load(Ordering::Acquire);
    starting != 0 && cpu::irql() < DISPATCH_LEVEL && thread::current().key() == starting
}

/// Whether this call of `routine` fails.
pub(crate) fn strikes(routine: impl Into<&'static str>) -> bool {
    let is_starting = is_starting_here();
    let routine = routine.into();
    let strikes = FAULT.with(|fault| {
        if fault.remaining == 0 || (fault.calls == Calls::OfStart && !is_starting) {
            return false;
        }
        let strikes = fault.remaining == 1;
        fault.remaining -= 1;
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

/// As [`strikes`], for a routine that returns a null pointer then.
pub(crate) fn strikes_with_null(routine: impl Into<&'static str>) -> bool {
    let strikes = strikes(routine);
    if strikes {
        HAS_RETURNED_NULL.store(true, Ordering::Relaxed);
        counters::checked(Rule::Pool04);
    }
    strikes
}

/// As [`strikes`], for PoRequestPowerIrp.
pub(crate) fn strikes_power_request(routine: impl Into<&'static str>) -> bool {
    let strikes = strikes(routine);
    if strikes {
        POWER_REFUSALS.fetch_add(1, Ordering::Relaxed);
    }
    strikes
}

/// How often a driver has been refused a power IRP, which excuses how it ends the one that
/// it was refused it for.
pub(crate) fn power_refusals() -> u32 {
    POWER_REFUSALS.load(Ordering::Relaxed)
}

/// The rule that an access to this address broke, if it was through the null pointer that
/// a call has returned.
pub(crate) fn explain_fault(address: u64) -> Option<Rule> {
    (address < FIRST_ADDRESS && HAS_RETURNED_NULL.load(Ordering::Relaxed)).then_some(Rule::Pool04)
}
