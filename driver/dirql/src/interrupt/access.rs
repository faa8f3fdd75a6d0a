//! Who may enter a critical section, and how the last of them is waited for.
//!
//! One pointer decides: the interrupt object, NULL unless critical sections may run. It
//! is at once the answer to "is it connected?" and what KeSynchronizeExecution is given,
//! so from DISPATCH_LEVEL entering costs one load and one comparison.
//!
//! Closing has to wait for those that have read the pointer and still use it:
//!
//! * At DISPATCH_LEVEL code is neither preempted nor moved to another processor. So a
//!   thread that runs below DISPATCH_LEVEL on a processor proves that every section that
//!   began there at DISPATCH_LEVEL has ended. Closing takes its thread to each processor
//!   in turn.
//! * Below that level code can be preempted between the look and the use, so it counts
//!   itself in and out. That is two locked instructions, off the paths that are hot.

use core::ptr::null_mut;

use crate::{
    irql::Passive,
    processor,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
    sys, wait,
};

/// Whether critical sections may run, and on what.
#[derive(Debug)]
pub(super) struct Access {
    /// NULL unless open.
    object: AtomicPtr<sys::KINTERRUPT>,
    /// Those inside that were not at DISPATCH_LEVEL when they came.
    inside: AtomicUsize,
}

/// Whoever has this is inside; dropping it leaves. It never leaves this module's
/// callers; forgetting it would only keep `close` waiting for ever.
pub(super) struct Pass<'a> {
    access: &'a Access,
    object: *mut sys::KINTERRUPT,
}

impl Access {
    /// Closed.
    pub(super) const fn new() -> Self {
        Self {
            object: AtomicPtr::new(null_mut()),
            inside: AtomicUsize::new(0),
        }
    }

    /// Lets critical sections in; everything written before this is seen inside.
    pub(super) fn open(&self, object: *mut sys::KINTERRUPT) {
        self.object.store(object, Ordering::Release);
    }

    /// Lets nobody in any more, and returns when everybody has left.
    pub(super) fn close(&self, irql: &mut Passive) {
        Self::close_all(core::slice::from_ref(self), irql);
    }

    /// As `close`, for several at once.
    pub(super) fn close_all(accesses: &[Self], irql: &mut Passive) {
        for access in accesses {
            // Those that count themselves in do so before they look at the pointer: with
            // both sides in one order, either they find NULL or they are counted below.
            access.object.store(null_mut(), Ordering::SeqCst);
        }
        processor::visit_all(irql);
        for access in accesses {
            while access.inside.load(Ordering::SeqCst) != 0 {
                wait::delay(irql, 1);
            }
        }
    }

    /// The interrupt object for a caller that is at DISPATCH_LEVEL, until it comes down;
    /// NULL if closed.
    #[inline]
    pub(super) fn object_at_dispatch(&self) -> *mut sys::KINTERRUPT {
        self.object.load(Ordering::Acquire)
    }

    /// Goes in, from any IRQL; `None` if closed.
    #[inline]
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let pass = Pass {
            access: self,
            object: self.object.load(Ordering::SeqCst),
        };
        (!pass.object.is_null()).then_some(pass)
    }
}

impl Pass<'_> {
    /// What to synchronise with.
    pub(super) const fn object(&self) -> *mut sys::KINTERRUPT {
        self.object
    }
}

impl Drop for Pass<'_> {
    #[inline]
    fn drop(&mut self) {
        self.access.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use core::ptr::NonNull;

    use super::Access;
    use crate::irql::Passive;

    #[test]
    fn lets_in_while_open_only() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        let mut irql = unsafe { Passive::assume() };
        let access = Access::new();
        assert!(access.enter().is_none());
        assert!(access.object_at_dispatch().is_null());
        let object = NonNull::dangling().as_ptr();
        access.open(object);
        assert_eq!(access.object_at_dispatch(), object);
        let pass = access.enter().expect("open");
        assert_eq!(pass.object(), object);
        drop(pass);
        access.close(&mut irql);
        assert!(access.enter().is_none());
        assert!(access.object_at_dispatch().is_null());
    }

    #[test]
    fn closing_waits_for_those_inside() {
        let access = Access::new();
        access.open(NonNull::dangling().as_ptr());
        let (entered, has_entered) = std::sync::mpsc::channel();
        let (leave, may_leave) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let access = &access;
            scope.spawn(move || {
                let pass = access.enter().expect("open");
                entered.send(()).expect("the test waits");
                may_leave.recv().expect("the test says so");
                drop(pass);
            });
            has_entered.recv().expect("it enters");
            let closing = scope.spawn(|| {
                // SAFETY: as above, fact 5.
                let mut irql = unsafe { Passive::assume() };
                access.close(&mut irql);
            });
            while !access.object_at_dispatch().is_null() {
                std::thread::yield_now();
            }
            assert!(access.enter().is_none());
            assert!(!closing.is_finished());
            leave.send(()).expect("it waits for this");
        });
    }
}
