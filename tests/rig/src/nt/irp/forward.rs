//! IoForwardIrpSynchronously: send an IRP down, wait until the drivers below are
//! done with it, keep it.

use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::{BOOLEAN, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID};

use crate::nt::device::Device;
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::irp::location::{SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS};
use crate::nt::irp::{Irp, call, ledger};
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING};
use crate::nt::{fault, power};

/// IoForwardIrpSynchronously.
pub(crate) unsafe extern "C" fn io_forward_irp_synchronously(
    device: PDEVICE_OBJECT,
    irp: PIRP,
) -> BOOLEAN {
    let routine = Routine::IoForwardIrpSynchronously;
    routine.enter();
    let device = Device::expect(routine, device);
    let irp = ledger::live(routine.name(), irp);
    power::rules::assert_not_power(routine, &irp);
    if irp.current() < 2 || fault::strikes(routine) {
        return 0;
    }
    let is_back = AtomicBool::new(false);
    copy_current_to_next(&irp, &is_back);
    if call::forward(routine, device, &irp) == STATUS_PENDING {
        // Without a deadline the wait ends in one way only.
        let _back: bool = wait_until(routine.name(), None, || is_back.load(Ordering::Acquire));
    }
    1
}

/// Prepares the next stack location like the current one, with a completion
/// routine that sets `is_back`.
fn copy_current_to_next(irp: &Irp, is_back: &AtomicBool) {
    let current = irp.location(irp.current());
    let next = irp.location(irp.current() - 1);
    next.write(current.read());
    next.set_control(SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL);
    next.set_completion_routine(Some(come_back));
    next.set_context(core::ptr::from_ref(is_back).cast_mut().cast());
}

/// The completion routine: keeps the IRP and tells who waits.
unsafe extern "C" fn come_back(_device: PDEVICE_OBJECT, _irp: PIRP, context: PVOID) -> NTSTATUS {
    // SAFETY: (Pointer) the flag that `copy_current_to_next` stored; its owner
    // waits for it to be set, and it is not touched after that.
    let is_back = unsafe { &*context.cast_const().cast::<AtomicBool>() };
    is_back.store(true, Ordering::Release);
    wake_waiters();
    STATUS_MORE_PROCESSING_REQUIRED
}
