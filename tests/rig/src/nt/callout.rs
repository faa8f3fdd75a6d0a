//! Calls into the driver.
//!
//! Whatever the routine, it returns at the IRQL at which it was called and with
//! the same spin locks held; that is looked at around every call.

use crate::machine::cpu;
use crate::nt::cancel_watch;
use crate::nt::processor;
use crate::nt::violation::check;

/// A kind of routine that a driver gives to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    DriverEntry,
    AddDevice,
    Unload,
    Dispatch,
    StartIo,
    Isr,
    SynchCritSection,
    Dpc,
    ThreadedDpc,
    IoTimer,
    Completion,
    WorkItem,
    PowerCompletion,
    ControllerControl,
    AdapterControl,
    AdapterListControl,
}

impl AsRef<str> for Callback {
    fn as_ref(&self) -> &str {
        match self {
            Self::DriverEntry => "DriverEntry",
            Self::AddDevice => "AddDevice",
            Self::Unload => "Unload",
            Self::Dispatch => "Dispatch",
            Self::StartIo => "StartIo",
            Self::Isr => "InterruptService",
            Self::SynchCritSection => "SynchCritSection",
            Self::Dpc => "DeferredRoutine",
            Self::ThreadedDpc => "CustomThreadedDpc",
            Self::IoTimer => "IoTimer",
            Self::Completion => "IoCompletion",
            Self::WorkItem => "WorkItem",
            Self::PowerCompletion => "PowerCompletion",
            Self::ControllerControl => "ControllerControl",
            Self::AdapterControl => "AdapterControl",
            Self::AdapterListControl => "AdapterListControl",
        }
    }
}

/// Runs `call`, which enters the driver, and checks how it comes back.
pub(crate) fn call_out<R>(callback: Callback, call: impl FnOnce() -> R) -> R {
    let irql = cpu::irql();
    let held = processor::held_count();
    let result = match callback {
        Callback::Isr | Callback::Dpc | Callback::ThreadedDpc => cancel_watch::aside(call),
        _ => call(),
    };
    let irql_after = cpu::irql();
    if callback == Callback::Dispatch {
        check!(
            Irql03,
            callback,
            irql_after == irql,
            "A dispatch routine was called at IRQL {irql} and returned at {irql_after}."
        );
    } else {
        check!(
            Irql04,
            callback,
            irql_after == irql,
            "{callback:?} was called at IRQL {irql} and returned at {irql_after}."
        );
    }
    let held_after = processor::held_count();
    check!(
        Spl05,
        callback,
        held_after == held,
        "{callback:?} was called with {held} spin locks held and returned with {held_after}."
    );
    result
}
