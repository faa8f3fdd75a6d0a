//! IofCompleteRequest: an IRP goes up its device stack, and ends.

use wdk_sys::{BOOLEAN, CCHAR, NTSTATUS, PDEVICE_OBJECT, PIRP, ULONG_PTR};

use crate::machine::cpu;
use crate::nt::callout::{Callback, call_out};
use crate::nt::dispatcher::wake_waiters;
use crate::nt::irp::location::{
    Location, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS,
};
use crate::nt::irp::{Irp, Originator, Outcome, Recipient, ledger};
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, is_success};
use crate::nt::violation::check;
use crate::nt::work::{self, Work};
use crate::nt::{cancel_watch, cleanup, counters, dma, dpc, pnp, power, processor, throughput};

/// IofCompleteRequest.
pub(crate) unsafe extern "C" fn iof_complete_request(irp: PIRP, _boost: CCHAR) {
    let routine = Routine::IofCompleteRequest;
    routine.enter();
    let irql = cpu::irql();
    let held = processor::held_count();
    check!(
        Irp06,
        routine,
        irql <= DISPATCH_LEVEL && held == 0,
        "An IRP was completed at IRQL {irql} with {held} spin locks held."
    );
    let irp = ledger::completed(routine.name(), irp);
    super::completion_ex::assert_sent(routine, &irp);
    assert_in_no_list(routine, &irp);
    dma::assert_unmapped(routine, &irp);
    begin(&irp);
    cancel_watch::assert_may_complete(&irp);
    cleanup::assert_may_complete(&irp);
    let status = irp.status();
    if irp.major() == power::MAJOR {
        power::rules::assert_reached_bus(routine, &irp, status);
    }
    pnp::assert_may_complete(routine, &irp);
    check!(
        Irp05,
        routine,
        status != STATUS_PENDING && status != -1,
        "The IRP {irp} was completed with status {status:#010x}."
    );
    check!(
        Can04,
        routine,
        irp.cancel_routine().is_none(),
        "The IRP {irp} was completed with its cancel routine set."
    );
    unwind(&irp);
}

/// Checks that a driver has taken an IRP out of its list: the IRP's memory goes away.
fn assert_in_no_list(routine: Routine, irp: &Irp) {
    let (links, place) = irp.links();
    check!(
        Pool06,
        routine,
        !links.is_linked(place),
        "The IRP {irp} is completed while it is linked into a list: its neighbours point at {place:#x}."
    );
}

/// Completes an IRP for one of the rig's own drivers.
pub(crate) fn complete_with(irp: &Irp, status: NTSTATUS, information: ULONG_PTR) {
    irp.set_status(status);
    irp.set_information(information);
    irp.progress(super::progress::Progress::reach_the_bottom);
    begin(irp);
    unwind(irp);
}

/// Takes the IRP away from whoever owned it.
fn begin(irp: &Irp) {
    let may_begin = irp.progress(super::progress::Progress::begin_completion);
    check!(
        Dpc05,
        Routine::IofCompleteRequest,
        may_begin || !dpc::is_beside_itself_here(),
        "The IRP {irp} was completed while it was being completed, by a DPC that runs on two processors at the same time."
    );
    check!(
        Irp01,
        Routine::IofCompleteRequest,
        may_begin,
        "The IRP {irp} was completed while it was being completed."
    );
}

/// Goes up the stack from the current location, calling completion routines.
fn unwind(irp: &Irp) {
    let mut index = irp.current();
    while index <= irp.stack_count() {
        let location = irp.location(index);
        let marked = location.is_marked_pending();
        let status = irp.status();
        irp.set_pending_returned(BOOLEAN::from(marked));
        irp.progress(|progress| progress.pass(index, marked, status));
        let called = take_routine(irp, location);
        index += 1;
        irp.set_current(index);
        if let Some(call) = called {
            if call.make(irp, index) == STATUS_MORE_PROCESSING_REQUIRED {
                // The driver owns the IRP again; it may even have completed it.
                return;
            }
            check!(
                Irp11,
                Callback::Completion,
                !marked || index > irp.stack_count() || irp.location(index).is_marked_pending(),
                "A completion routine let the IRP {irp} go on, which the driver below had pended, and did not mark it pending."
            );
            begin(irp);
        } else if marked && index <= irp.stack_count() {
            irp.location(index).mark_pending();
        }
    }
    end(irp);
}

/// A completion routine that wants to be called.
struct CompletionCall {
    routine: unsafe extern "C" fn(PDEVICE_OBJECT, PIRP, wdk_sys::PVOID) -> NTSTATUS,
    context: usize,
}

/// Takes the completion routine out of a location, whose driver is done, if it
/// wants to be called for an IRP that ended like this.
fn take_routine(irp: &Irp, location: Location<'_>) -> Option<CompletionCall> {
    let control = location.control();
    let is_wanted = if irp.cancel() != 0 && control & SL_INVOKE_ON_CANCEL != 0 {
        true
    } else if is_success(irp.status()) {
        control & SL_INVOKE_ON_SUCCESS != 0
    } else {
        control & SL_INVOKE_ON_ERROR != 0
    };
    let routine = location.completion_routine().filter(|_| is_wanted);
    let context = crate::nt::address::of(location.context());
    location.clear();
    routine.map(|routine| CompletionCall { routine, context })
}

impl CompletionCall {
    /// Calls the routine for the driver at location `index`, which set it.
    fn make(self, irp: &Irp, index: usize) -> NTSTATUS {
        let device = if index <= irp.stack_count() {
            irp.location(index).device()
        } else {
            core::ptr::null_mut()
        };
        let context = crate::nt::address::to_pointer(self.context);
        let asks = (index <= irp.stack_count()).then(|| irp.location(index).asks());
        irp.progress(|progress| progress.lend(index, asks));
        // SAFETY: (Caller) the driver stored the routine in the IRP to be called
        // so, with this context. (Pointer) the IRP is alive: `irp` holds it.
        call_out(Callback::Completion, || unsafe {
            (self.routine)(device, irp.pointer(), context)
        })
    }
}

/// The IRP came out at the top: its originator hears of it.
fn end(irp: &Irp) {
    let outcome = Outcome {
        status: irp.status(),
        information: irp.information(),
    };
    counters::IRPS_COMPLETED.add();
    pnp::requests::assert_ended(irp, outcome);
    // In one step, so that whoever finds that it has not ended may write to it
    // while he holds the same lock.
    irp.progress(|progress| {
        irp.fill_completed();
        progress.end(outcome);
    });
    ledger::retire(irp);
    match irp.originator() {
        Originator::Waiter => wake_waiters(),
        Originator::Power(ask) => {
            power::ended(irp, ask, outcome);
            wake_waiters();
        }
        Originator::Channel { recipient, .. } => match *recipient {
            Recipient::Request(_) => work::push(Work::Finish(irp.clone())),
            Recipient::Lane { lane, began } => throughput::ended(lane, began, irp),
        },
    }
}
