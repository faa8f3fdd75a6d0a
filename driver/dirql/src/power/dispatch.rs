//! IRP_MJ_POWER: the dispatch routine, the completion routines, the work item.

use super::{
    Power,
    request::{Asked, QUERY_POWER, SET_POWER, end, request_alone, request_for},
    transition,
};
use crate::{
    device::{Device, Header},
    irp::{Irp, SL_PENDING_RETURNED, STATUS_PENDING},
    irql::{Passive, UpToDispatch},
    pnp,
    power::DeviceState,
    status::{NtError, status_of},
    sys, thunks,
};

/// `STATUS_MORE_PROCESSING_REQUIRED`: the IRP is the driver's again.
const MORE_PROCESSING_REQUIRED: sys::NTSTATUS = 0xC000_0016_u32.cast_signed();
/// `STATUS_SUCCESS`, which lets an IRP go on up.
const CONTINUE_COMPLETION: sys::NTSTATUS = 0;
/// `SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL`.
const INVOKE_ALWAYS: u8 = 0xe0;

/// IRP_MJ_POWER.
pub(crate) unsafe extern "C" fn dispatch<E: Power>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: (Caller) the power manager; only `Routines::<E>::power` hands this out. The
    // I/O manager keeps the device object across the call, fact 10.
    let device = unsafe { Device::<E>::of(object) };
    let header = device.header();
    // SAFETY: (IRQL) dispatch routines are called at DISPATCH_LEVEL or below, fact 10.
    let mut irql = unsafe { UpToDispatch::assume() };
    if let Err(error) = header.remove_lock().acquire(irp) {
        // SAFETY: (Caller) the dispatch routine owns the IRP; no remove lock is held, fact
        // 35.
        return unsafe { thunks::refuse(irp, error) };
    }
    // SAFETY: (Caller) the dispatch routine owns the IRP, whose major code is this one's,
    // fact 35.
    let asked = unsafe { Asked::of(irp) };
    // SAFETY: (Caller) the dispatch routine owns the IRP, and the lock was acquired above,
    // fact 35.
    let owned = unsafe { Irp::from_raw(irp) };
    match asked {
        Asked::System { .. } => pend_and_forward(header, owned, system_done),
        Asked::Set(DeviceState::D0) => pend_and_forward(header, owned, powered_up::<E>),
        Asked::Set(to) => power_down(device, &mut irql, owned, to),
        Asked::Query(to) => query(device, &mut irql, owned, to),
        Asked::Other => pnp::forward(header, owned),
    }
}

/// IRP_MN_QUERY_POWER for a device power state.
fn query<E: Power>(
    device: &Device<E>,
    irql: &mut UpToDispatch,
    irp: Irp,
    to: DeviceState,
) -> sys::NTSTATUS {
    match E::query_power(device, irql, to) {
        Ok(()) => pnp::succeed_and_forward(device.header(), irp),
        Err(error) => {
            let _dispatched = irp.complete(irql, Err(error));
            error.status()
        }
    }
}

/// IRP_MN_SET_POWER for less than D0: this driver first, at PASSIVE_LEVEL.
fn power_down<E: Power>(
    device: &Device<E>,
    irql: &mut UpToDispatch,
    irp: Irp,
    to: DeviceState,
) -> sys::NTSTATUS {
    if let Some(mut passive) = irql.try_passive() {
        transition::power_down(device, passive.token(), to);
        return pnp::forward(device.header(), irp);
    }
    let irp = irp.into_raw();
    // SAFETY: (Caller) owned, and not forwarded, fact 35.
    unsafe { mark_pending(irp) };
    // SAFETY: (Caller) a set-power IRP of this device, given up here, fact 35.
    unsafe { move_to_passive::<E>(device.header(), irp) };
    STATUS_PENDING
}

/// Leaves an IRP pending, passes it down, and has `routine` called when it comes back, with
/// the device object as its context.
fn pend_and_forward(
    header: &Header,
    irp: Irp,
    routine: unsafe extern "C" fn(
        *mut sys::DEVICE_OBJECT,
        *mut sys::IRP,
        sys::PVOID,
    ) -> sys::NTSTATUS,
) -> sys::NTSTATUS {
    let irp = irp.into_raw();
    // SAFETY: (Caller) owned, and not forwarded yet, fact 35.
    unsafe { mark_pending(irp) };
    // SAFETY: (Caller) as above, and forwarded next. The context outlives the IRP, fact 35.
    unsafe {
        sys::copy_current_location(irp, Some(routine), header.object().cast(), INVOKE_ALWAYS);
    };
    // SAFETY: (IRQL) dispatch routines are at DISPATCH_LEVEL or below. (Pointer) the lower
    // device stays while this one is attached. The routine may have run already, fact 10.
    let _completed_or_pending = unsafe { sys::IofCallDriver(header.lower(), irp) };
    STATUS_PENDING
}

/// Is `IoMarkIrpPending`.
///
/// # Safety
/// The caller owns the IRP.
unsafe fn mark_pending(irp: *mut sys::IRP) {
    // SAFETY: (Pointer) the contract, fact 35.
    let location = unsafe { sys::current_location(irp) };
    // SAFETY: (Aliasing) the IRP is the caller's, fact 35.
    unsafe { (*location).Control |= SL_PENDING_RETURNED };
}

/// The drivers below have had a system power IRP: the device power IRP follows, and the
/// system power IRP ends with it. One to S0 need not wait, so that devices wake up side by
/// side.
unsafe extern "C" fn system_done(
    _object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
    object: sys::PVOID,
) -> sys::NTSTATUS {
    // SAFETY: (Caller) the I/O manager, for `pend_and_forward`, which gave the device object;
    // it is alive, fact 35.
    let header = unsafe { Header::of(object.cast()) };
    // SAFETY: (Aliasing) a completion routine owns the IRP, fact 35.
    let below = NtError::check(unsafe { sys::status(irp) });
    // SAFETY: (Caller) as above; `dispatch` is for IRP_MJ_POWER, fact 35.
    let asked = unsafe { Asked::of(irp) };
    let (Ok(_), Asked::System { minor, to }) = (below, asked) else {
        header.remove_lock().release(irp);
        return CONTINUE_COMPLETION;
    };
    let waits = minor == QUERY_POWER || to != DeviceState::D0;
    let requested = if waits {
        // SAFETY: (Caller) a completion routine owns the IRP, whose remove lock is held;
        // it says that the IRP is kept, fact 35.
        unsafe { request_for(header, minor, to, irp) }
    } else {
        request_alone(header, SET_POWER, to)
    };
    if waits && requested.is_ok() {
        return MORE_PROCESSING_REQUIRED;
    }
    // SAFETY: (Aliasing) as above, fact 35.
    unsafe { sys::set_status(irp, status_of(&requested)) };
    header.remove_lock().release(irp);
    CONTINUE_COMPLETION
}

/// The drivers below have powered the device up.
unsafe extern "C" fn powered_up<E: Power>(
    _object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
    object: sys::PVOID,
) -> sys::NTSTATUS {
    // SAFETY: as in `system_done`; `dispatch::<E>` gave this routine for its own device,
    // fact 35.
    let device = unsafe { Device::<E>::of(object.cast()) };
    let header = device.header();
    // SAFETY: (Aliasing) a completion routine owns the IRP, fact 35.
    let failed = NtError::check(unsafe { sys::status(irp) }).is_err();
    // SAFETY: (IRQL) completion routines are called at DISPATCH_LEVEL or below, fact 10.
    let mut irql = unsafe { UpToDispatch::assume() };
    if !failed {
        let Some(mut passive) = irql.try_passive() else {
            // SAFETY: (Caller) a set-power IRP of this device; the routine says that it is
            // kept, fact 35.
            unsafe { move_to_passive::<E>(header, irp) };
            return MORE_PROCESSING_REQUIRED;
        };
        transition::power_up(device, passive.token());
    }
    header.remove_lock().release(irp);
    CONTINUE_COMPLETION
}

/// Goes on with a set-power IRP at PASSIVE_LEVEL. Wraps `IoQueueWorkItem`.
///
/// # Safety
/// `irp` is a device set-power IRP that the caller owns, has pended, and gives up; it is at
/// the device with this header, whose driver is `E`, and holds its remove lock.
unsafe fn move_to_passive<E: Power>(header: &Header, irp: *mut sys::IRP) {
    let item = header.power().work_item();
    // SAFETY: (Pointer) allocated in AddDevice and freed when no power IRP is left, fact 35;
    // not queued, fact 36. (IRQL) callable up to DISPATCH_LEVEL, where power IRPs are.
    unsafe {
        sys::IoQueueWorkItem(
            item,
            Some(at_passive::<E>),
            sys::DELAYED_WORK_QUEUE,
            irp.cast(),
        );
    };
}

/// The work item's routine.
unsafe extern "C" fn at_passive<E: Power>(object: *mut sys::DEVICE_OBJECT, irp: sys::PVOID) {
    let irp = irp.cast::<sys::IRP>();
    // SAFETY: (Caller) a system worker thread, for `move_to_passive`, with the device object
    // for which the work item was allocated; it is alive, fact 35.
    let device = unsafe { Device::<E>::of(object) };
    // SAFETY: (IRQL) work items run at PASSIVE_LEVEL, fact 10.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: (Caller) `move_to_passive` passed the IRP on, fact 35.
    match unsafe { Asked::of(irp) } {
        Asked::Set(to) if to != DeviceState::D0 => {
            transition::power_down(device, &mut irql, to);
            // SAFETY: (Caller) `move_to_passive` passed it on, pended and with its lock,
            // fact 35.
            unsafe { forward_pended(device.header(), irp) };
        }
        _ => {
            transition::power_up(device, &mut irql);
            // SAFETY: (Aliasing) the IRP is this routine's, fact 35.
            let status = unsafe { sys::status(irp) };
            // SAFETY: (IRQL) PASSIVE_LEVEL. (Caller) as above; its completion routine kept
            // it for this, fact 35.
            unsafe { end(irp, status) };
        }
    }
}

/// Passes down an IRP that was pended, so that its location cannot be skipped, and gives
/// back its remove lock.
///
/// # Safety
/// At PASSIVE_LEVEL; the caller owns the IRP, which is at the device with this header,
/// holds its remove lock, and was marked pending.
unsafe fn forward_pended(header: &Header, irp: *mut sys::IRP) {
    // SAFETY: (Caller) the contract; it is forwarded next, fact 35.
    unsafe { sys::copy_current_location(irp, None, core::ptr::null_mut(), 0) };
    // SAFETY: (IRQL) PASSIVE_LEVEL. (Pointer) the lower device stays while this one is
    // attached, fact 10.
    let _returned_to_nobody = unsafe { sys::IofCallDriver(header.lower(), irp) };
    header.remove_lock().release(irp);
}
