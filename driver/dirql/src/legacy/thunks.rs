//! The C routines that the kernel calls in a driver without PnP.

use super::{AllocatedController, Attached, Controller, LegacyDriver};
use crate::{
    device::Device,
    irp::Buffers as _,
    irql::Dispatch,
    start_io::{Beginning, begin},
    status::NtError,
    stop_code::{Reason, stop},
    sys,
    thunks::{Arrived, dispatch},
};

/// IRP_MJ_CREATE.
pub(super) unsafe extern "C" fn create<E: LegacyDriver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: (Caller) the I/O manager; only `initialize::<E>` hands this out, and the device
    // extension is an `Attached<E>`, fact 1.
    let arrived = unsafe { Arrived::<Attached<E>>::new(object, irp) };
    dispatch(irp, arrived, E::create)
}

/// IRP_MJ_DEVICE_CONTROL.
pub(super) unsafe extern "C" fn device_control<E: LegacyDriver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: as in `create`, fact 1.
    let arrived = unsafe { Arrived::<Attached<E>>::new(object, irp) };
    dispatch(irp, arrived, E::device_control)
}

/// StartIo.
pub(super) unsafe extern "C" fn start_io<E: LegacyDriver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) {
    // SAFETY: (Caller) the I/O manager, from IoStartPacket or IoStartNextPacket. (Pointer) the
    // IRP holds the remove lock, so the device is alive, fact 4.
    let device = unsafe { Device::<Attached<E>>::of(object) };
    // SAFETY: (IRQL) StartIo is called at DISPATCH_LEVEL, fact 5.
    let mut irql = unsafe { Dispatch::assume() };
    // SAFETY: (Caller) the thunk, with what it was given, once. The driver cannot take back
    // what it has begun, so a packet is not cancelable from here on, fact 31.
    match unsafe { begin(device.header(), &mut irql, irp, None) } {
        Beginning::Gone => {}
        Beginning::Cancelled(packet) => packet.fail(&mut irql, NtError::STATUS_CANCELLED),
        Beginning::Packet(packet) => E::start_io(device, &mut irql, packet),
    }
}

/// IRP_MJ_CLEANUP: the requests of a file that wait are wanted no more; those that have
/// the controller end by themselves.
pub(super) unsafe extern "C" fn cleanup<E: LegacyDriver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: as in `create`, fact 1.
    let arrived = unsafe { Arrived::<Attached<E>>::new(object, irp) };
    dispatch(irp, arrived, |device, irql, irp| {
        if let Some(file) = irp.file() {
            let header = device.header();
            header.packets().waiting().clean_up(header, irql, file);
        }
        irp.complete(irql, Ok(0))
    })
}

/// ControllerControl.
pub(super) unsafe extern "C" fn controller_control<E: LegacyDriver>(
    object: *mut sys::DEVICE_OBJECT,
    _irp: *mut sys::IRP,
    _map_registers: sys::PVOID,
    _context: sys::PVOID,
) -> sys::IO_ALLOCATION_ACTION {
    // SAFETY: (Caller) the I/O manager, from IoAllocateController or IoFreeController.
    // (Pointer) the packet that waits holds the remove lock, so the device is alive, fact 4.
    let device = unsafe { Device::<Attached<E>>::of(object) };
    // SAFETY: (IRQL) ControllerControl routines are called at DISPATCH_LEVEL, fact 5.
    let mut irql = unsafe { Dispatch::assume() };
    let Some(packet) = device.take_waiting(&mut irql) else {
        stop(Reason::NoPacketWaiting, object.addr());
    };
    let controller = device.controller().object();
    // SAFETY: (Caller) this is the call, fact 42.
    let allocated = unsafe { AllocatedController::new(controller) };
    E::controller_control(device, &mut irql, allocated, packet).action_of(controller)
}

/// DpcForIsr.
pub(super) unsafe extern "C" fn dpc_for_isr<E: LegacyDriver>(
    _dpc: *mut sys::KDPC,
    context: sys::PVOID,
    _irp: sys::PVOID,
    _argument: sys::PVOID,
) {
    // SAFETY: (Caller) the kernel's DPC dispatcher. (Pointer) DriverEntry gave the controller
    // as context; Unload flushes DPCs before it drops it, facts 3 and 40.
    let controller = unsafe { &*context.cast::<Controller<E>>() };
    // SAFETY: (IRQL) DPCs run at DISPATCH_LEVEL, fact 5.
    let mut irql = unsafe { Dispatch::assume() };
    E::dpc_for_isr(controller, &mut irql);
}
