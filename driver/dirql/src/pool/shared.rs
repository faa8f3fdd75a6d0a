//! One value in pool that several own.

use core::{fmt, ops::Deref, ptr::NonNull};

use super::{Tag, allocate, free, refuse_too_high};
use crate::{
    irql::AtMostDispatch,
    status::Result,
    stop_code::{Reason, stop},
    sync::atomic::{AtomicUsize, Ordering, fence},
};

/// What an owner's address is of.
struct Shared<T> {
    /// How many own it.
    owners: AtomicUsize,
    value: T,
}

/// A value in nonpaged pool with several owners, freed when the last of them is dropped. Wraps
/// `ExAllocatePoolWithTag`, `ExFreePoolWithTag`.
///
/// It is what an ISR's state and the device extension can both have: the state is given to
/// the interrupt and can borrow nothing.
///
/// # IRQL
/// Used and cloned at any; dropped at DISPATCH_LEVEL or below, else the machine stops, whether
/// it was the last or not.
///
/// See "ExAllocatePoolWithTag" in the documentation.
///
/// ```
/// use core::sync::atomic::AtomicU32;
/// use dirql::{irql::Passive, pool::{PoolArc, Tag}, status::Result};
///
/// const TAG: Tag = Tag::new(*b"Edu ");
///
/// fn share(irql: &mut Passive) -> Result<[PoolArc<AtomicU32>; 2]> {
///     let count = PoolArc::new(irql, TAG, AtomicU32::new(0))?;
///     Ok([count.clone(), count])
/// }
/// ```
pub struct PoolArc<T> {
    block: NonNull<Shared<T>>,
    tag: Tag,
}

// SAFETY: (Aliasing) all owners give shared references, from any thread, hence `T: Sync`, and
// any of them may be the one that drops the value, hence `T: Send`, fact 66.
unsafe impl<T: Send + Sync> Send for PoolArc<T> {}
// SAFETY: (Aliasing) as above: from a shared owner another one can be made, fact 66.
unsafe impl<T: Send + Sync> Sync for PoolArc<T> {}

impl<T> PoolArc<T> {
    /// Moves a value into pool. Wraps `ExAllocatePoolWithTag`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES; the value is dropped.
    pub fn new<I: AtMostDispatch>(irql: &mut I, tag: Tag, value: T) -> Result<Self> {
        let block = allocate::<I, Shared<T>>(irql, 1, tag)?;
        let owners = AtomicUsize::new(1);
        // SAFETY: (Pointer) large enough and aligned, fact 18. (Aliasing) new, fact 66.
        unsafe { block.write(Shared { owners, value }) };
        Ok(Self { block, tag })
    }

    fn shared(&self) -> &Shared<T> {
        // SAFETY: (Ready) `new` wrote it. (Aliasing) shared references only are made of it
        // while there is an owner, and this is one, fact 66.
        unsafe { self.block.as_ref() }
    }
}

impl<T> Clone for PoolArc<T> {
    fn clone(&self) -> Self {
        // Nothing is read on the strength of the count: who clones has an owner.
        let owners = self.shared().owners.fetch_add(1, Ordering::Relaxed);
        if owners > isize::MAX.unsigned_abs() {
            stop(Reason::TooManyOwners, self.block.addr().get());
        }
        Self {
            block: self.block,
            tag: self.tag,
        }
    }
}

impl<T> Deref for PoolArc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.shared().value
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolArc<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, formatter)
    }
}

impl<T> Drop for PoolArc<T> {
    fn drop(&mut self) {
        refuse_too_high(self.block);
        // What this owner has done with the value comes before its end,
        if self.shared().owners.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // which comes after what all others have done.
        fence(Ordering::Acquire);
        // SAFETY: (Ready) `new` wrote it. (Aliasing) the last owner is going, fact 66.
        unsafe { self.block.drop_in_place() };
        // SAFETY: (IRQL) looked at above. (Caller) the last owner's one free, fact 66.
        unsafe { free(self.block, self.tag) };
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex, atomic::AtomicU32, atomic::Ordering},
        vec::Vec,
    };

    use super::{PoolArc, Tag};
    use crate::irql::{Passive, at_dispatch};

    const TAG: Tag = Tag::new(*b"Test");

    #[test]
    fn the_last_owner_drops_the_value() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        let mut irql = unsafe { Passive::assume() };
        let value = Arc::new(7);
        let first = PoolArc::new(&mut irql, TAG, Arc::clone(&value)).expect("memory");
        let second = first.clone();
        assert_eq!((**first, **second, Arc::strong_count(&value)), (7, 7, 2));
        drop(first);
        assert_eq!(Arc::strong_count(&value), 2);
        at_dispatch(&mut irql, |_| drop(second));
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn owners_may_be_on_any_processor() {
        const OWNERS: u32 = 8;
        const TIMES: u32 = 1_000;
        /// Tells what it was when it was dropped.
        struct Last(AtomicU32, Arc<Mutex<Vec<u32>>>);
        impl Drop for Last {
            fn drop(&mut self) {
                let value = *self.0.get_mut();
                self.1.lock().expect("no test panics with it").push(value);
            }
        }
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let value = Last(AtomicU32::new(0), Arc::clone(&dropped));
        let first = PoolArc::new(&mut irql, TAG, value).expect("memory");
        std::thread::scope(|scope| {
            for owner in (0..OWNERS).map(|_| first.clone()) {
                scope.spawn(move || {
                    for _ in 0..TIMES {
                        owner.clone().0.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            drop(first);
        });
        assert_eq!(*dropped.lock().expect("as above"), [OWNERS * TIMES]);
    }

    #[test]
    fn half_of_all_addresses_are_owners_enough() {
        const MOST: usize = isize::MAX.unsigned_abs();
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let first = PoolArc::new(&mut irql, TAG, 7).expect("memory");
        first.shared().owners.store(MOST, Ordering::Relaxed);
        let second = first.clone();
        assert_eq!(first.shared().owners.swap(2, Ordering::Relaxed), MOST + 1);
        assert_eq!((*first, *second), (7, 7));
    }

    /// A count that went round would free what has owners. They can only be forgotten ones.
    #[test]
    #[should_panic(expected = "bug check")]
    fn more_owners_than_there_can_be_stop_the_machine() {
        const MOST: usize = isize::MAX.unsigned_abs();
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let first = PoolArc::new(&mut irql, TAG, 7).expect("memory");
        first.shared().owners.store(MOST + 1, Ordering::Relaxed);
        let _one_too_many = first.clone();
    }

    #[test]
    fn prints_as_its_value_does() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let shared = PoolArc::new(&mut irql, TAG, [1, 2]).expect("memory");
        assert_eq!(std::format!("{shared:?}"), "[1, 2]");
    }
}
