//! The remove lock of a device. Wraps `IoInitializeRemoveLock`,
//! `IoAcquireRemoveLock`, `IoReleaseRemoveLock`, `IoReleaseRemoveLockAndWait`.
//!
//! Held once for each IRP, with the IRP's address as the tag, from the dispatch
//! routine until the IRP is completed or forwarded. REMOVE waits for all of them.

use core::cell::UnsafeCell;

use crate::{
    irql::Passive,
    status::{NtError, Result},
    sys,
};

const TAG: u32 = u32::from_le_bytes(*b"DirQ");
/// `sizeof(IO_REMOVE_LOCK)`, by which the kernel knows its form.
const SIZE: u32 = sys::ulong_size::<sys::IO_REMOVE_LOCK>();

/// A remove lock, in the device extension.
#[derive(Debug)]
pub(crate) struct RemoveLock(UnsafeCell<sys::IO_REMOVE_LOCK>);

// SAFETY: the kernel's remove-lock routines synchronise among themselves, fact 10.
unsafe impl Sync for RemoveLock {}

impl RemoveLock {
    /// Storage for a lock; `initialize` makes it one, in its place.
    pub(crate) fn new() -> Self {
        // SAFETY: the structure is opaque integers and lists; zero is valid for all, facts
        // 10 and 12.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }

    /// Initialises the lock, in AddDevice.
    ///
    /// # Safety
    /// Called once, and `self` is not moved afterwards.
    pub(crate) unsafe fn initialize(&self, _irql: &mut Passive) {
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the contract fixes the
        // address. The limits are used under Driver Verifier only; zero means none, facts 5
        // and 10.
        unsafe { sys::IoInitializeRemoveLockEx(self.0.get(), TAG, 0, 0, SIZE) };
    }

    /// Keeps the device from being removed while it holds.
    ///
    /// # Errors
    /// STATUS_DELETE_PENDING once REMOVE has begun; nothing is held then.
    pub(crate) fn acquire(&self, tag: *mut sys::IRP) -> Result<()> {
        // SAFETY: (IRQL) callable up to DISPATCH_LEVEL, where dispatch routines are.
        // (Pointer) the lock was initialised in AddDevice; the file name is optional, facts
        // 5 and 10.
        let status = unsafe {
            sys::IoAcquireRemoveLockEx(self.0.get(), tag.cast(), c"".as_ptr().cast(), 0, SIZE)
        };
        NtError::check(status).map(|_| ())
    }

    /// Gives back what `acquire` with this tag took.
    pub(crate) fn release(&self, tag: *mut sys::IRP) {
        // SAFETY: (IRQL) callable up to DISPATCH_LEVEL. Pairs with `acquire`: an owned
        // IRP holds the lock, fact 4, and its one completion or forwarding ends here.
        unsafe { sys::IoReleaseRemoveLockEx(self.0.get(), tag.cast(), SIZE) };
    }

    /// Gives back what `acquire` took, refuses everybody who comes later, and waits
    /// until all have released. REMOVE only.
    pub(crate) fn release_and_wait(&self, _irql: &mut Passive, tag: *mut sys::IRP) {
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. Pairs with the `acquire` of the
        // REMOVE request, facts 5 and 10.
        unsafe { sys::IoReleaseRemoveLockAndWaitEx(self.0.get(), tag.cast(), SIZE) };
    }
}
