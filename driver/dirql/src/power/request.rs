//! What a power IRP asks for, and the device power IRPs that a policy owner asks for.

use core::ptr::null_mut;

use super::DeviceState;
use crate::{
    device::Header,
    status::{NtError, Result},
    sys,
};

/// What a power IRP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// IRP_MN_QUERY_POWER or IRP_MN_SET_POWER for a system power state, to which this
    /// device power state belongs.
    System { minor: u8, to: DeviceState },
    /// IRP_MN_QUERY_POWER for a device power state.
    Query(DeviceState),
    /// IRP_MN_SET_POWER for a device power state.
    Set(DeviceState),
    /// Something that is not for this driver.
    Other,
}

/// IRP_MN_SET_POWER.
pub(super) const SET_POWER: u8 = 2;
/// IRP_MN_QUERY_POWER.
pub(super) const QUERY_POWER: u8 = 3;

impl Asked {
    /// What this IRP asks of the driver whose stack location is current.
    ///
    /// # Safety
    /// The caller owns the IRP, which is an IRP_MJ_POWER.
    pub(super) unsafe fn of(irp: *mut sys::IRP) -> Self {
        // SAFETY: (Pointer) the contract, fact 35.
        let location = unsafe { sys::current_location(irp) };
        // SAFETY: (Pointer) a location of that IRP, fact 35.
        let minor = unsafe { (*location).MinorFunction };
        if !matches!(minor, SET_POWER | QUERY_POWER) {
            return Self::Other;
        }
        // SAFETY: (Pointer) as above; both minor codes use this member, fact 35.
        let power = unsafe { &raw const (*location).Parameters.Power };
        // SAFETY: (Ready) the power manager has filled it in, fact 10.
        let kind = unsafe { (*power).Type };
        // SAFETY: (Ready) as above, fact 35.
        let state = unsafe { (*power).State };
        // SAFETY: (Ready) both members of the union are the same integer type, fact 12.
        let value = unsafe { state.DeviceState };
        if kind == sys::SYSTEM_POWER_STATE_TYPE {
            return Self::System {
                minor,
                to: DeviceState::for_system(value),
            };
        }
        match (DeviceState::from_irp(value), minor) {
            (Some(state), SET_POWER) => Self::Set(state),
            (Some(state), _) => Self::Query(state),
            (None, _) => Self::Other,
        }
    }
}

/// Asks for a device power IRP; `system` is completed when that has ended. Wraps
/// `PoRequestPowerIrp`.
///
/// # Safety
/// The caller owns `system`, a system power IRP at the device with this header, whose
/// remove lock it holds; on success it gives it up.
pub(super) unsafe fn request_for(
    header: &Header,
    minor: u8,
    to: DeviceState,
    system: *mut sys::IRP,
) -> Result<()> {
    // SAFETY: (Caller) the contract is that of `requested`, fact 35.
    unsafe { request(header, minor, to, Some(requested), system.cast()) }
}

/// Asks for a device power IRP, and lets it happen.
pub(super) fn request_alone(header: &Header, minor: u8, to: DeviceState) -> Result<()> {
    // SAFETY: nothing is called when it has ended, fact 10.
    unsafe { request(header, minor, to, None, null_mut()) }
}

/// # Safety
/// `completion` may be called with `context` when the device power IRP has ended.
unsafe fn request(
    header: &Header,
    minor: u8,
    to: DeviceState,
    completion: sys::RequestPowerComplete,
    context: sys::PVOID,
) -> Result<()> {
    // SAFETY: (IRQL) completion routines, where this is called, are at DISPATCH_LEVEL or
    // below. (Pointer) the PDO is there while this device is attached. The IRP is not
    // asked for: it may have ended already, fact 10.
    let status = unsafe {
        sys::PoRequestPowerIrp(
            header.physical(),
            minor,
            to.as_power_state(),
            completion,
            context,
            null_mut(),
        )
    };
    NtError::check(status).map(|_| ())
}

/// The power manager calls this when the device power IRP has ended.
unsafe extern "C" fn requested(
    _object: *mut sys::DEVICE_OBJECT,
    _minor: u8,
    _state: sys::POWER_STATE,
    system: sys::PVOID,
    block: *mut sys::IO_STATUS_BLOCK,
) {
    // SAFETY: (Pointer) the power manager's, alive during the call, fact 10.
    let block = unsafe { &raw const (*block).__bindgen_anon_1.Status };
    // SAFETY: (Ready) an IRP that has ended has a status, fact 10.
    let status = unsafe { block.read() };
    // SAFETY: (Caller) only `request_for` hands this out, with a system power IRP that its
    // caller gave up. PowerCompletion routines are called at DISPATCH_LEVEL or below, fact
    // 35.
    unsafe { end(system.cast(), status) };
}

/// Completes an IRP that was pended, and gives back its remove lock.
///
/// # Safety
/// At DISPATCH_LEVEL or below; the caller owns the IRP, which is at a device of this crate
/// whose remove lock it holds, and gives it up.
pub(super) unsafe fn end(irp: *mut sys::IRP, status: sys::NTSTATUS) {
    // SAFETY: (Pointer) the contract, fact 35.
    let location = unsafe { sys::current_location(irp) };
    // SAFETY: (Pointer) a location of that IRP, fact 35.
    let object = unsafe { (*location).DeviceObject };
    // SAFETY: (Pointer) a device of this crate, which the remove lock keeps, fact 35.
    let header = unsafe { Header::of(object) };
    // SAFETY: (Aliasing) the caller owns the IRP, fact 35.
    unsafe { sys::set_status(irp, status) };
    // SAFETY: (IRQL) the contract. (Caller) the one completion: the IRP is given up, fact
    // 35.
    unsafe { sys::IofCompleteRequest(irp, sys::NO_INCREMENT) };
    header.remove_lock().release(irp);
}
