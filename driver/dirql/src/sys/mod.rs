//! The kernel's C interface: `wdk_sys` on Windows, the same names elsewhere.
//!
//! What the bindings lack because the WDK has it as inline functions or macros is
//! declared or built here, once for both.

#[cfg(not(windows))]
#[cfg_attr(
    all(test, feature = "interleavings"),
    expect(
        dead_code,
        reason = "a modelled kernel's routines take the place of many"
    )
)]
mod host;
mod irp_fields;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
pub(crate) use host::*;
// These take the place of the host's: what is named comes before a glob.
#[cfg(all(test, feature = "interleavings"))]
pub(crate) use crate::interleavings::kernel::{
    IoAcquireCancelSpinLock, IoAcquireRemoveLockEx, IoAttachDeviceToDeviceStack,
    IoConnectInterruptEx, IoCreateDevice, IoCsqInitializeEx, IoCsqInsertIrpEx, IoCsqRemoveIrp,
    IoCsqRemoveNextIrp, IoDeleteDevice, IoDetachDevice, IoDisconnectInterruptEx,
    IoForwardIrpSynchronously, IoInitializeRemoveLockEx, IoReleaseCancelSpinLock,
    IoReleaseRemoveLockAndWaitEx, IoReleaseRemoveLockEx, IoReportInterruptActive,
    IoReportInterruptInactive, IoSetStartIoAttributes, IoStartNextPacket, IoStartPacket,
    IofCallDriver, IofCompleteRequest, KeAcquireInterruptSpinLock, KeAcquireSpinLockAtDpcLevel,
    KeAcquireSpinLockForDpc, KeAcquireSpinLockRaiseToDpc, KeCancelTimer, KeClearEvent,
    KeDelayExecutionThread, KeFlushQueuedDpcs, KeGetCurrentIrql, KeGetCurrentProcessorNumberEx,
    KeGetProcessorNumberFromIndex, KeInitializeDpc, KeInitializeEvent, KeInitializeThreadedDpc,
    KeInitializeTimerEx, KeInsertQueueDpc, KeLowerIrql, KeQueryActiveProcessorCountEx,
    KeReadStateEvent, KeReleaseInterruptSpinLock, KeReleaseSpinLock, KeReleaseSpinLockForDpc,
    KeReleaseSpinLockFromDpcLevel, KeRemoveEntryDeviceQueue, KeRemoveQueueDpc, KeResetEvent,
    KeRevertToUserGroupAffinityThread, KeSetCoalescableTimer, KeSetEvent, KeSetImportanceDpc,
    KeSetSystemGroupAffinityThread, KeSetTargetProcessorDpcEx, KeSetTimerEx,
    KeSynchronizeExecution, KeWaitForSingleObject, KfRaiseIrql,
};
#[cfg(windows)]
pub(crate) use windows::*;

pub(crate) use irp_fields::{
    CancelRoutine, cancel_irql, device_queue_entry, file_object, information, is_cancelled, links,
    second_word, set_cancel_routine, set_information, set_links, set_next, set_previous,
    set_second_word, set_word, word,
};

// What the driver-entry macro names, so it must be nameable from outside.
#[cfg(not(windows))]
pub use host::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};
#[cfg(windows)]
pub use wdk_sys::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

/// `IO_NO_INCREMENT`: the device did nothing that the requester waited for.
pub(crate) const NO_INCREMENT: CCHAR = 0;

/// `EVENT_INCREMENT`: the boost that a thread gets which an event wakes.
pub(crate) const EVENT_INCREMENT: i32 = 1;

/// `STATUS_TIMEOUT`.
pub(crate) const STATUS_TIMEOUT: NTSTATUS = 0x102;

/// A relative due time: negative, in units of 100 ns.
#[inline(never)]
pub(crate) fn relative_time(milliseconds: u32) -> LARGE_INTEGER {
    const UNITS_PER_MILLISECOND: i64 = 10_000;
    LARGE_INTEGER {
        QuadPart: i64::from(milliseconds)
            .saturating_mul(UNITS_PER_MILLISECOND)
            .saturating_neg(),
    }
}

/// A size that the kernel takes as a ULONG, at compile time.
///
/// # Panics
/// At compile time, if it does not fit.
pub(crate) const fn ulong_size<T>() -> u32 {
    let size = size_of::<T>();
    assert!(size <= 0xffff, "too large for a structure of the kernel's");
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the line above has looked; `try_from` is not const"
    )]
    let size = size as u32;
    size
}

/// The stack location that is the driver's own. Is `IoGetCurrentIrpStackLocation`.
///
/// # Safety
/// `irp` is an IRP that the driver owns.
pub(crate) unsafe fn current_location(irp: *mut IRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: (Pointer) the contract, passed on, facts 4 and 12.
    let place = unsafe { location_of(irp) };
    // SAFETY: (Ready) the I/O manager keeps it filled in, facts 4, 10 and 12.
    unsafe { place.read() }
}

/// Leaves the driver's stack location to the driver below. Is
/// `IoSkipCurrentIrpStackLocation`.
///
/// # Safety
/// `irp` is an IRP that the driver owns, has not marked pending, and forwards next,
/// without a completion routine.
pub(crate) unsafe fn skip_current_location(irp: *mut IRP) {
    // SAFETY: (Pointer) an owned IRP is alive. (Aliasing) its owner alone touches it, fact
    // 4.
    let irp = unsafe { &mut *irp };
    irp.CurrentLocation = irp.CurrentLocation.wrapping_add(1);
    // SAFETY: (Pointer) as above, facts 4 and 12.
    let place = unsafe { location_of(irp) };
    // SAFETY: (Ready) the I/O manager keeps it filled in, facts 4, 10 and 12.
    let location = unsafe { place.read() };
    // SAFETY: (Pointer) locations are an array, and its end is above the topmost one, fact
    // 4.
    let above = unsafe { location.add(1) };
    // SAFETY: (Aliasing) the IRP is its owner's, fact 4.
    unsafe { place.write(above) };
}

/// A PowerCompletion routine.
pub(crate) type RequestPowerComplete =
    Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, u8, POWER_STATE, PVOID, *mut IO_STATUS_BLOCK)>;

/// `SystemPowerState`.
pub(crate) const SYSTEM_POWER_STATE_TYPE: POWER_STATE_TYPE = 0;
/// `DevicePowerState`.
pub(crate) const DEVICE_POWER_STATE_TYPE: POWER_STATE_TYPE = 1;
/// `DelayedWorkQueue`.
pub(crate) const DELAYED_WORK_QUEUE: WORK_QUEUE_TYPE = 1;

/// An IoCompletion routine.
pub(crate) type CompletionRoutine =
    Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, PVOID) -> NTSTATUS>;

/// Prepares the stack location of the driver below as the driver's own, with a completion
/// routine of the driver's or none. Is `IoCopyCurrentIrpStackLocationToNext` and
/// `IoSetCompletionRoutine`.
///
/// # Safety
/// `irp` is an IRP that the driver owns and forwards next. It has a location left, which
/// holds for the IRPs that the driver's dispatch routines are given.
pub(crate) unsafe fn copy_current_location(
    irp: *mut IRP,
    routine: CompletionRoutine,
    context: PVOID,
    control: u8,
) {
    // SAFETY: (Pointer) the contract, fact 4.
    let current = unsafe { current_location(irp) };
    // SAFETY: (Pointer) the locations are an array, and the contract says that this is not
    // its first, fact 10.
    let next = unsafe { current.sub(1) };
    // SAFETY: (Ready) the I/O manager has filled it in, fact 10.
    let mut location = unsafe { current.read() };
    location.CompletionRoutine = routine;
    location.Context = context;
    location.Control = control;
    // SAFETY: (Aliasing) the IRP is its owner's, fact 4.
    unsafe { next.write(location) };
}

/// Where an IRP keeps the address of its current stack location.
///
/// # Safety
/// `irp` is an IRP that is alive.
unsafe fn location_of(irp: *mut IRP) -> *mut *mut IO_STACK_LOCATION {
    // SAFETY: (Pointer) the contract. What a driver sees of the union is the overlay, facts
    // 4 and 12.
    let overlay = unsafe { &raw mut (*irp).Tail.Overlay };
    // SAFETY: (Pointer) a place in the IRP; not the packet type, which shares it, facts 4
    // and 12.
    unsafe {
        &raw mut (*overlay)
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation
    }
}

/// Sets the status that an IRP goes on with.
///
/// # Safety
/// The caller owns the IRP.
pub(crate) unsafe fn set_status(irp: *mut IRP, status: NTSTATUS) {
    // SAFETY: (Pointer) an owned IRP is alive; the status shares its place with a pointer
    // that only the I/O manager uses, facts 4, 10 and 12.
    let place = unsafe { &raw mut (*irp).IoStatus.__bindgen_anon_1.Status };
    // SAFETY: (Aliasing) the IRP is the caller's, fact 4.
    unsafe { place.write(status) };
}

/// The status that an IRP carries.
///
/// # Safety
/// The caller owns the IRP.
pub(crate) unsafe fn status(irp: *const IRP) -> NTSTATUS {
    // SAFETY: as in `set_status`, facts 4 and 12.
    let place = unsafe { &raw const (*irp).IoStatus.__bindgen_anon_1.Status };
    // SAFETY: (Ready) every IRP has a status, facts 4 and 12.
    unsafe { place.read() }
}
