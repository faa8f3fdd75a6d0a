//! Where DPCs go: KeSetImportanceDpc, KeSetTargetProcessorDpc, KeSetTargetProcessorDpcEx.

use wdk_sys::{CCHAR, KDPC_IMPORTANCE, NTSTATUS, PPROCESSOR_NUMBER, PRKDPC};

use super::object::{Object, importance};
use crate::machine::cpu;
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use crate::nt::timer;
use crate::nt::violation::{check, fatal};

/// KeSetImportanceDpc.
pub(crate) unsafe extern "C" fn ke_set_importance_dpc(dpc: PRKDPC, importance: KDPC_IMPORTANCE) {
    let routine = Routine::KeSetImportanceDpc;
    let object = changeable(routine, dpc);
    let value = u8::try_from(importance)
        .ok()
        .filter(|value| (importance::LOW..=importance::MEDIUM_HIGH).contains(value));
    let Some(value) = value else {
        fatal(
            "INVALID-ARGUMENT",
            routine.name(),
            format_args!("{importance} is no KDPC_IMPORTANCE."),
        )
    };
    object.set_importance(value);
}

/// KeSetTargetProcessorDpcEx.
pub(crate) unsafe extern "C" fn ke_set_target_processor_dpc_ex(
    dpc: PRKDPC,
    number: PPROCESSOR_NUMBER,
) -> NTSTATUS {
    let object = changeable(Routine::KeSetTargetProcessorDpcEx, dpc);
    // SAFETY: The driver passes a processor number of its own.
    let number = unsafe { number.read() };
    if number.Group != 0
        || number.Reserved != 0
        || usize::from(number.Number) >= cpu::processor_count()
    {
        return STATUS_INVALID_PARAMETER;
    }
    object.set_target(number.Number);
    STATUS_SUCCESS
}

/// KeSetTargetProcessorDpc, which has no way to say no.
pub(crate) unsafe extern "C" fn ke_set_target_processor_dpc(dpc: PRKDPC, number: CCHAR) {
    let routine = Routine::KeSetTargetProcessorDpc;
    let object = changeable(routine, dpc);
    let processor = u8::try_from(number)
        .ok()
        .filter(|&processor| usize::from(processor) < cpu::processor_count());
    check!(
        Dpc07,
        routine,
        processor.is_some(),
        "There is no processor {number}."
    );
    object.set_target(processor.unwrap_or_default());
}

/// A DPC whose place in the queues may be changed now.
fn changeable(routine: Routine, dpc: PRKDPC) -> Object {
    routine.enter();
    let object = Object::expect(routine.name(), dpc);
    check!(
        Dpc07,
        routine,
        !object.is_queued() && !timer::is_set_with(object.address()),
        "The DPC at {dpc:p} is in a queue, or a timer that is set has it."
    );
    object
}
