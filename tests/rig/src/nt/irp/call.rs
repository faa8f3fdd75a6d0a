//! IofCallDriver: an IRP goes down its device stack.

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP};

use crate::machine::cpu;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device::Device;
use crate::nt::driver::Driver;
use crate::nt::irp::progress::Fault;
use crate::nt::irp::{Function, Irp, completion_ex, ledger};
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::load;
use crate::nt::routine::Routine;
use crate::nt::rule::Rule;
use crate::nt::violation::{check, fatal, violation};
use crate::nt::{counters, power, processor};

/// IofCallDriver.
pub(crate) unsafe extern "C" fn iof_call_driver(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let routine = Routine::IofCallDriver;
    routine.enter();
    let device = Device::expect(routine, device);
    let irp = ledger::live(routine.name(), irp);
    forward(routine, device, &irp)
}

/// Sends an IRP on for the driver, whose conduct is checked.
pub(crate) fn forward(routine: Routine, device: Device, irp: &Irp) -> NTSTATUS {
    let irql = cpu::irql();
    let held = processor::held_count();
    check!(
        Irp07,
        routine,
        irql <= DISPATCH_LEVEL && held == 0,
        "The IRP {irp} was forwarded at IRQL {irql} with {held} spin locks held."
    );
    check!(
        Can04,
        routine,
        irp.cancel_routine().is_none(),
        "The IRP {irp} was forwarded with its cancel routine set."
    );
    assert_prepared(routine, irp);
    completion_ex::assert_checked(routine, irp);
    let sender = irp.current();
    irp.progress(|progress| progress.forward(sender));
    let status = call(routine.name(), device, irp);
    irp.progress(|progress| progress.lower_returned(sender, status));
    status
}

/// Checks how the driver that owns the IRP prepared the next stack location.
fn assert_prepared(routine: Routine, irp: &Irp) {
    let Some((own, asked)) = irp.progress(|progress| progress.owner()) else {
        return;
    };
    if !(1..=irp.stack_count()).contains(&own) {
        return;
    }
    let location = irp.location(own);
    let below = own.checked_sub(1).filter(|index| *index > 0);
    let next = below.map(|index| irp.location(index));
    if irp.current() == own + 1 {
        check!(
            Irp09,
            routine,
            !location.is_marked_pending()
                && location.asks() == asked
                && next.is_none_or(|next| next.completion_routine().is_none()),
            "The IRP {irp} was forwarded with its stack location skipped, after it was marked pending, changed, or given a completion routine."
        );
    } else if irp.current() == own
        && let Some(next) = next
    {
        let inherited = next.completion_routine().is_some()
            && next.completion_routine().map(|routine| routine as usize)
                == location
                    .completion_routine()
                    .map(|routine| routine as usize)
            && next.context() == location.context();
        check!(
            Irp09,
            routine,
            !inherited,
            "The IRP {irp} was forwarded with the upper driver's completion routine copied along."
        );
    }
}

/// Sends a new IRP to the top of a device stack.
pub(crate) fn send(device: Device, irp: &Irp) -> NTSTATUS {
    counters::IRPS_SENT.add();
    call("IofCallDriver", device, irp)
}

/// Calls the dispatch routine of `device` with the IRP's next stack location and
/// judges how it returns.
fn call(routine: &str, device: Device, irp: &Irp) -> NTSTATUS {
    let current = irp.current();
    check!(
        Irp10,
        routine,
        (2..=irp.stack_count() + 1).contains(&current),
        "The IRP {irp} was forwarded with no stack location left."
    );
    let index = current - 1;
    irp.set_current(index);
    let location = irp.location(index);
    location.set_device(device.pointer());
    let (major, minor) = (location.major(), location.minor());
    let asks = location.asks();
    irp.progress(|progress| progress.enter(index, asks));
    let dispatch = load::driver_object(device.driver())
        .and_then(|driver: Driver| driver.dispatch_routine(major));
    let Some(dispatch) = dispatch else {
        fatal(
            "NO-DISPATCH-ROUTINE",
            routine,
            format_args!(
                "The driver has no dispatch routine for {}.",
                Function(major, minor)
            ),
        )
    };
    let status = power::dispatching::inside(irp, || {
        // SAFETY: (Caller) the driver put the routine into its driver object to be
        // called so. (Pointer) `device` was found, the IRP is alive: `irp` holds it.
        call_out(Callback::Dispatch, || unsafe {
            dispatch(device.pointer(), irp.pointer())
        })
    });
    judge(irp, index, status, &Function(major, minor));
    status
}

/// Ends the run when the dispatch routine broke a rule.
fn judge(irp: &Irp, index: usize, status: NTSTATUS, function: &Function) {
    let fault = irp.progress(|progress| {
        // While the progress is locked, completion cannot pass this location, so
        // the location is still the driver's to have marked.
        let is_marked = !progress.has_passed(index) && irp.location(index).is_marked_pending();
        progress.judge(index, status, is_marked)
    });
    for rule in [Rule::Irp13, Rule::Irp03, Rule::Irp04] {
        counters::checked(rule);
    }
    let Some(fault) = fault else { return };
    let dispatch = Callback::Dispatch.as_ref();
    match fault {
        Fault::Lost => violation(
            Rule::Irp13,
            dispatch,
            format_args!(
                "The dispatch routine for {function} returned {status:#010x} and neither completed nor forwarded nor pended the IRP."
            ),
        ),
        Fault::PendingNotMarked => violation(
            Rule::Irp03,
            dispatch,
            format_args!(
                "The dispatch routine for {function} returned STATUS_PENDING without marking the IRP pending."
            ),
        ),
        Fault::MarkedNotPending => violation(
            Rule::Irp03,
            dispatch,
            format_args!(
                "The dispatch routine for {function} marked the IRP pending and returned {status:#010x}."
            ),
        ),
        Fault::OtherStatus(completed) => violation(
            Rule::Irp04,
            dispatch,
            format_args!(
                "The dispatch routine for {function} completed the IRP with {completed:#010x} and returned {status:#010x}."
            ),
        ),
    }
}
