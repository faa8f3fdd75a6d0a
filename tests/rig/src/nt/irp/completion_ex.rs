//! IoSetCompletionRoutineEx: a completion routine whose registration takes memory, and so
//! may fail.
//!
//! The memory is given back when the routine is called, so the IRP must be sent to the next
//! lower driver. "IoSetCompletionRoutineEx function", Remarks.

use wdk_sys::{BOOLEAN, NTSTATUS, PDEVICE_OBJECT, PIO_COMPLETION_ROUTINE, PIRP, PVOID};

use crate::nt::device::Device;
use crate::nt::fault;
use crate::nt::irp::location::{SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS};
use crate::nt::irp::progress::Registration;
use crate::nt::irp::{Irp, ledger};
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS};
use crate::nt::violation::check;

/// IoSetCompletionRoutineEx.
pub(crate) unsafe extern "C" fn io_set_completion_routine_ex(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    completion: PIO_COMPLETION_ROUTINE,
    context: PVOID,
    on_success: BOOLEAN,
    on_error: BOOLEAN,
    on_cancel: BOOLEAN,
) -> NTSTATUS {
    let routine = Routine::IoSetCompletionRoutineEx;
    routine.enter();
    Device::expect(routine, device);
    let irp = ledger::live(routine.name(), irp);
    let own = irp.current();
    check!(
        Irp10,
        routine,
        (2..=irp.stack_count()).contains(&own),
        "The IRP {irp} has no stack location left for a driver below."
    );
    if fault::strikes(routine) {
        irp.progress(|progress| progress.register(own, Registration::Refused));
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let next = irp.location(own - 1);
    let flag = |is_wanted: BOOLEAN, flag| if is_wanted == 0 { 0 } else { flag };
    next.set_control(
        flag(on_success, SL_INVOKE_ON_SUCCESS)
            | flag(on_error, SL_INVOKE_ON_ERROR)
            | flag(on_cancel, SL_INVOKE_ON_CANCEL),
    );
    next.set_completion_routine(completion);
    next.set_context(context);
    irp.progress(|progress| progress.register(own, Registration::Made));
    STATUS_SUCCESS
}

/// A driver sends an IRP on. A driver that was refused the routine may do so without, but
/// then it has nothing to say at the next location, and skips its own.
pub(super) fn assert_checked(routine: Routine, irp: &Irp) {
    let own = irp.current();
    let registration = irp.progress(|progress| progress.take_registration(own));
    let has_routine = || {
        own.checked_sub(1)
            .filter(|next| (1..=irp.stack_count()).contains(next))
            .is_some_and(|next| irp.location(next).completion_routine().is_some())
    };
    check!(
        Irp17,
        routine,
        registration != Some(Registration::Refused) || has_routine(),
        "IoSetCompletionRoutineEx failed for the IRP {irp}, which was sent on as if it had not."
    );
}

/// A driver completes an IRP.
pub(super) fn assert_sent(routine: Routine, irp: &Irp) {
    let registration = irp.progress(|progress| {
        let (own, _) = progress.owner()?;
        progress.take_registration(own)
    });
    check!(
        Irp17,
        routine,
        registration != Some(Registration::Made),
        "IoSetCompletionRoutineEx succeeded for the IRP {irp}, which was completed without being sent on."
    );
}
