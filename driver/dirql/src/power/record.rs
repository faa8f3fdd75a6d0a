//! What a device keeps for its power IRPs.

use core::ptr::null_mut;

use crate::{
    irql::Passive,
    status::{NtError, Result},
    sync::atomic::{AtomicBool, AtomicPtr, Ordering},
    sys, wait,
};

/// In the header of every device; used by drivers that handle power.
#[derive(Debug)]
pub(crate) struct PowerRecord {
    /// From AddDevice to REMOVE; NULL if the driver does not handle power.
    work_item: AtomicPtr<sys::IO_WORKITEM>,
    /// `Power::power_down` was called, and nothing has ended that yet. Written inside
    /// `exclusive`.
    asleep: AtomicBool,
    /// Somebody is inside `exclusive`.
    changing: AtomicBool,
}

impl PowerRecord {
    pub(crate) const fn new() -> Self {
        Self {
            work_item: AtomicPtr::new(null_mut()),
            asleep: AtomicBool::new(false),
            changing: AtomicBool::new(false),
        }
    }

    /// Allocates the work item, in AddDevice. Wraps `IoAllocateWorkItem`.
    ///
    /// # Safety
    /// `object` is the device object whose record this is, which REMOVE deletes after
    /// [`free`](Self::free).
    pub(crate) unsafe fn allocate(
        &self,
        _irql: &mut Passive,
        object: *mut sys::DEVICE_OBJECT,
    ) -> Result<()> {
        // SAFETY: (Pointer) the contract. (IRQL) the token says PASSIVE_LEVEL, facts 5 and
        // 10.
        let item = unsafe { sys::IoAllocateWorkItem(object) };
        if item.is_null() {
            return Err(NtError::STATUS_INSUFFICIENT_RESOURCES);
        }
        self.work_item.store(item, Ordering::Release);
        Ok(())
    }

    /// Frees the work item, if there is one. Wraps `IoFreeWorkItem`.
    ///
    /// # Safety
    /// No power IRP is at the device, and none will be.
    pub(crate) unsafe fn free(&self, _irql: &mut Passive) {
        let item = self.work_item.swap(null_mut(), Ordering::AcqRel);
        if !item.is_null() {
            // SAFETY: (Pointer) `allocate` allocated it, and the swap takes it once. It is
            // not queued, because no IRP is left for which it could be, fact 35.
            unsafe { sys::IoFreeWorkItem(item) };
        }
    }

    /// The work item.
    pub(super) fn work_item(&self) -> *mut sys::IO_WORKITEM {
        self.work_item.load(Ordering::Acquire)
    }

    /// Whether the driver has put the device to sleep.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Acquire)
    }

    /// There is nothing left that could be woken: the driver has given up the hardware.
    pub(crate) fn stopped(&self) {
        self.set_asleep(false);
    }

    pub(super) fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Ordering::Release);
    }

    /// Runs `change` while nobody else changes the device's state. Waits are short: nobody
    /// waits for an IRP inside.
    pub(crate) fn exclusive<R>(
        &self,
        irql: &mut Passive,
        change: impl FnOnce(&mut Passive) -> R,
    ) -> R {
        while self.changing.swap(true, Ordering::Acquire) {
            wait::delay(irql, 1);
        }
        let result = change(irql);
        self.changing.store(false, Ordering::Release);
        result
    }
}
