//! Calls into the driver.
//!
//! Whatever the routine, it returns at the IRQL at which it was called, with the same
//! spin locks held and with interrupts enabled as they were; that is looked at around
//! every call.

use x86_64::instructions::interrupts;

use crate::machine::cpu;
use crate::nt::budget::Budget;
use crate::nt::cancel_watch;
use crate::nt::counters;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::measure::{Mark, mark};
use crate::nt::processor;
use crate::nt::rule::Rule;
use crate::nt::thread;
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
    TraceEnable,
    /// One of a cancel-safe queue's, which has rules of its own.
    Csq,
}

impl Callback {
    /// All of them.
    pub(crate) const ALL: [Self; 18] = [
        Self::DriverEntry,
        Self::AddDevice,
        Self::Unload,
        Self::Dispatch,
        Self::StartIo,
        Self::Isr,
        Self::SynchCritSection,
        Self::Dpc,
        Self::ThreadedDpc,
        Self::IoTimer,
        Self::Completion,
        Self::WorkItem,
        Self::PowerCompletion,
        Self::ControllerControl,
        Self::AdapterControl,
        Self::AdapterListControl,
        Self::TraceEnable,
        Self::Csq,
    ];
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
            Self::TraceEnable => "EnableCallback",
            Self::Csq => "CsqRoutine",
        }
    }
}

/// Runs `call`, which enters the driver, and checks how it comes back.
pub(crate) fn call_out<R>(callback: Callback, call: impl FnOnce() -> R) -> R {
    let irql = cpu::irql();
    let held = processor::held_count();
    let are_enabled = interrupts::are_enabled();
    if irql >= DISPATCH_LEVEL {
        // For as long as the routine runs, by the processor.
        counters::checked(Rule::Irql06);
        counters::checked(Rule::Irql08);
    }
    let budget = Budget::of(callback);
    let start = budget.map(|_| Budget::begin());
    mark(Mark::Enter(callback));
    let result = thread::in_driver(|| match callback {
        Callback::Isr | Callback::Dpc | Callback::ThreadedDpc => cancel_watch::aside(call),
        _ => call(),
    });
    mark(Mark::Leave(callback));
    if let (Some(budget), Some(start)) = (budget, start) {
        budget.spend(callback.as_ref(), start);
    }
    check!(
        Irql07,
        callback,
        interrupts::are_enabled() == are_enabled,
        "{callback:?} was called with interrupts {} and returned with them {}.",
        if are_enabled { "enabled" } else { "disabled" },
        if are_enabled { "disabled" } else { "enabled" }
    );
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
