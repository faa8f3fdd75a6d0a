//! Telling a driver of the requests that are completed for it.
//!
//! A driver completes a request in one place, and this crate in others: one that is cancelled
//! while it waits, one that is dropped, one that is refused while the device is removed. A
//! driver that records what became of its requests is told of all that its dispatch routines
//! were given. See "Completing IRPs".
//!
//! # Soundness
//!
//! Facts 1, 4 and 5 of the crate.

use crate::{device::Device, driver::Driver, irql::UpToDispatch, status::Result, sys};

/// A driver that is told of its completions.
pub trait Completing: Driver {
    /// Called just before an IRP that a dispatch routine of this driver was given is
    /// completed: `Ok` with the number of bytes, or the error. What it does takes its part of
    /// every request's time.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL, with whatever lock the completion is made with: take none.
    fn completing(device: &Device<Self>, irql: &mut UpToDispatch, result: Result<usize>);
}

/// As the header of a device keeps it, which does not know the extension.
pub(crate) type Routine = unsafe fn(*mut sys::DEVICE_OBJECT, &mut UpToDispatch, Result<usize>);

/// Calls [`Completing::completing`].
///
/// # Safety
/// `object` is a device object whose extension is a `Device<E>`, and alive.
pub(crate) unsafe fn routine<E: Completing>(
    object: *mut sys::DEVICE_OBJECT,
    irql: &mut UpToDispatch,
    result: Result<usize>,
) {
    // SAFETY: (Pointer) the contract, fact 1.
    let device = unsafe { Device::<E>::of(object) };
    E::completing(device, irql, result);
}

/// Tells the driver of `object`, if it wants to know, that an IRP of that device is about to be
/// completed.
///
/// # Safety
/// `routine` is what the header of `object` has. The IRP's owner calls this, at DISPATCH_LEVEL
/// or below.
pub(crate) unsafe fn tell(
    routine: Option<Routine>,
    object: *mut sys::DEVICE_OBJECT,
    result: Result<usize>,
) {
    let Some(routine) = routine else { return };
    // SAFETY: (IRQL) the contract, fact 5.
    let mut irql = unsafe { UpToDispatch::assume() };
    // SAFETY: (Pointer) the header has the routine that AddDevice gave it, for this extension,
    // which the remove lock of the IRP keeps alive, facts 1 and 4.
    unsafe { routine(object, &mut irql, result) };
}
