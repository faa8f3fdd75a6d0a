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

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::PowerRecord;
    use crate::irql::Passive;

    fn passive() -> Passive {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE, fact
        // 5.
        unsafe { Passive::assume() }
    }

    #[test]
    fn a_device_sleeps_until_it_is_woken_or_stopped() {
        let record = PowerRecord::new();
        assert!(!record.is_asleep());
        record.set_asleep(true);
        assert!(record.is_asleep());
        record.set_asleep(false);
        assert!(!record.is_asleep());
        record.set_asleep(true);
        record.stopped();
        assert!(!record.is_asleep());
    }

    #[test]
    fn changes_are_made_one_after_the_other() {
        const ROUNDS: u32 = 20;
        let (record, inside, made) = (PowerRecord::new(), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        record.exclusive(&mut passive(), |_| {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            thread::yield_now();
                            made.fetch_add(1, Ordering::Relaxed);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                });
            }
        });
        assert_eq!(made.into_inner(), 2 * ROUNDS);
    }
}
