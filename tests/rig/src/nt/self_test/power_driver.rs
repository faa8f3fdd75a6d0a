//! IRP_MJ_POWER of the self-test driver: the power policy owner of its device.
//!
//! # Soundness
//! Facts 1 and 2 of [`self_test`](super).

use core::ptr;

use wdk_sys::{
    DEVICE_POWER_STATE, NTSTATUS, PDEVICE_OBJECT, PIO_COMPLETION_ROUTINE, PIO_STATUS_BLOCK, PIRP,
    POWER_STATE, PVOID, UCHAR,
};

use crate::nt::irp::call::iof_call_driver;
use crate::nt::irp::location::{SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS};
use crate::nt::power::exports::{po_request_power_irp, po_set_power_state};
use crate::nt::power::{D0, D3, DEVICE, Target, minor};
use crate::nt::self_test::driver::{
    INTERRUPT_ACKNOWLEDGE, STATUS, complete, forward, handle, mark_pending, write_register,
};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Hook, happen};
use crate::nt::status::{
    STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS, is_success,
};

/// `PowerSystemWorking`.
const WORKING: i32 = 1;

/// IRP_MJ_POWER.
pub(super) unsafe extern "C" fn dispatch_power(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let packet = handle(irp);
    let location = packet.location(packet.current());
    match (location.minor(), location.power_target()) {
        (minor::SET_POWER, Target::System(_)) => {
            if let Some(status) = happen(Hook::System, device, irp) {
                return status;
            }
            pend_and_forward(device, irp, Some(system_done))
        }
        (minor::SET_POWER, Target::Device(D0)) => {
            if let Some(status) = happen(Hook::PowerUp, device, irp) {
                return status;
            }
            pend_and_forward(device, irp, Some(powered_up))
        }
        (minor::SET_POWER, Target::Device(state)) => power_down(device, irp, state),
        (_, target) => {
            let is_device = matches!(target, Target::Device(_));
            if is_device && let Some(status) = happen(Hook::QueryDevice, device, irp) {
                return status;
            }
            packet.set_status(STATUS_SUCCESS);
            forward(device, irp)
        }
    }
}

/// The device leaves D0: silence it, say so, send the IRP on.
fn power_down(device: PDEVICE_OBJECT, irp: PIRP, state: DEVICE_POWER_STATE) -> NTSTATUS {
    if let Some(status) = happen(Hook::PowerDown, device, irp) {
        return status;
    }
    if !own(device).registers().is_null() {
        write_register(device, STATUS, 0);
        write_register(device, INTERRUPT_ACKNOWLEDGE, u32::MAX);
    }
    if happen(Hook::Report, device, irp).is_none() {
        report(device, state);
    }
    handle(irp).set_status(STATUS_SUCCESS);
    let status = forward(device, irp);
    let _status = happen(Hook::Asleep, device, ptr::null_mut());
    status
}

/// The drivers below have had a system set-power IRP: asks for the device power IRP
/// that follows from it.
unsafe extern "C" fn system_done(device: PDEVICE_OBJECT, irp: PIRP, _context: PVOID) -> NTSTATUS {
    if !is_success(handle(irp).status()) {
        return STATUS_SUCCESS;
    }
    if happen(Hook::Request, device, irp).is_some() {
        return STATUS_SUCCESS;
    }
    let packet = handle(irp);
    let state = match packet.location(packet.current()).power_target() {
        Target::System(WORKING) => D0,
        _ => D3,
    };
    let status = request(device, minor::SET_POWER, state, irp);
    if status == STATUS_PENDING {
        return STATUS_MORE_PROCESSING_REQUIRED;
    }
    packet.set_status(status);
    STATUS_SUCCESS
}

/// Asks for a device power IRP; `system` is completed when it has ended.
pub(super) fn request(
    device: PDEVICE_OBJECT,
    code: UCHAR,
    state: DEVICE_POWER_STATE,
    system: PIRP,
) -> NTSTATUS {
    let state = POWER_STATE { DeviceState: state };
    // SAFETY: Facts 1 and 2.
    unsafe {
        po_request_power_irp(
            own(device).pdo(),
            code,
            state,
            Some(requested),
            system.cast(),
            ptr::null_mut(),
        )
    }
}

/// The device power IRP has ended, and with it the system power IRP.
unsafe extern "C" fn requested(
    _device: PDEVICE_OBJECT,
    _code: UCHAR,
    _state: POWER_STATE,
    system: PVOID,
    block: PIO_STATUS_BLOCK,
) {
    // SAFETY: The power manager passes a status block that is alive during the call.
    let block = unsafe { block.read() };
    if !system.is_null() {
        // SAFETY: The block's status is in use, not its pointer.
        complete(system.cast(), unsafe { block.__bindgen_anon_1.Status });
    }
}

/// The device is in D0 again.
unsafe extern "C" fn powered_up(device: PDEVICE_OBJECT, _irp: PIRP, _context: PVOID) -> NTSTATUS {
    report(device, D0);
    STATUS_SUCCESS
}

/// Tells the power manager the device's state.
pub(super) fn report(device: PDEVICE_OBJECT, state: DEVICE_POWER_STATE) {
    let state = POWER_STATE { DeviceState: state };
    // SAFETY: Facts 1 and 2.
    let _before = unsafe { po_set_power_state(device, DEVICE, state) };
}

/// Marks an IRP pending and sends it on with a completion routine.
fn pend_and_forward(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    routine: PIO_COMPLETION_ROUTINE,
) -> NTSTATUS {
    mark_pending(&handle(irp));
    copy_and_forward(device, irp, routine);
    STATUS_PENDING
}

/// IoCopyCurrentIrpStackLocationToNext, IoSetCompletionRoutine and IofCallDriver.
pub(super) fn copy_and_forward(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    routine: PIO_COMPLETION_ROUTINE,
) -> NTSTATUS {
    let packet = handle(irp);
    let next = packet.location(packet.current() - 1);
    next.write(packet.location(packet.current()).read());
    next.set_control(SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL);
    next.set_completion_routine(routine);
    next.set_context(ptr::null_mut());
    packet.set_status(STATUS_SUCCESS);
    // SAFETY: Facts 1 and 2.
    unsafe { iof_call_driver(own(device).lower(), irp) }
}
