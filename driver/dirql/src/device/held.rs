//! A device that is kept from being removed.
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 46. **Held.** A [`Held`] has acquired the remove lock of its device and releases it when
//!     it is dropped; REMOVE waits for that before it takes the extension down, fact 3. So
//!     the device is alive for as long as there is one.

use core::{ops::Deref, ptr::NonNull};

use super::Device;
use crate::{
    irql::{self, AtMostDispatch},
    status::Result,
    stop_code::{Reason, stop},
};

/// A reference to a device that outlives the routine that got it: REMOVE waits until it is
/// dropped. Wraps `IoAcquireRemoveLock`, `IoReleaseRemoveLock`; see "Using Remove Locks".
///
/// Forgetting one makes REMOVE wait for ever, and corrupts nothing. It is dropped at
/// DISPATCH_LEVEL or below; above, that is a bug check.
#[must_use = "the device is held for as long as this is kept"]
#[derive(Debug)]
pub struct Held<E> {
    device: NonNull<Device<E>>,
}

// SAFETY: (Aliasing) it gives shared references only, to what every thread may share, fact 46;
// the remove lock belongs to no thread.
unsafe impl<E: Sync> Send for Held<E> {}
// SAFETY: as above, fact 46.
unsafe impl<E: Sync> Sync for Held<E> {}

impl<E> Device<E> {
    /// Keeps the device from being removed for as long as the result exists, wherever it is.
    /// Wraps `IoAcquireRemoveLock`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_DELETE_PENDING once the device is being removed.
    pub fn hold<I: AtMostDispatch>(&self, _irql: &mut I) -> Result<Held<E>> {
        self.header.remove_lock().acquire(tag(self))?;
        Ok(Held {
            device: NonNull::from_ref(self),
        })
    }
}

impl<E> Deref for Held<E> {
    type Target = Device<E>;

    fn deref(&self) -> &Device<E> {
        // SAFETY: (Pointer) alive, fact 46. (Aliasing) devices are only shared, fact 1.
        unsafe { self.device.as_ref() }
    }
}

impl<E> Drop for Held<E> {
    fn drop(&mut self) {
        if irql::current() > irql::DISPATCH_LEVEL {
            stop(Reason::DroppedTooHigh, self.device.addr().get());
        }
        self.header.remove_lock().release(tag(self));
    }
}

/// By which the remove lock knows these: an address that no IRP has.
fn tag<E>(device: &Device<E>) -> *mut crate::sys::IRP {
    core::ptr::from_ref(device).cast_mut().cast()
}
