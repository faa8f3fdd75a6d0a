//! One value in pool.

use core::{
    borrow::{Borrow, BorrowMut},
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use super::{Tag, allocate, free, refuse_too_high};
use crate::{irql::AtMostDispatch, status::Result};

/// A value in nonpaged pool, freed when it is dropped. Wraps `ExAllocatePoolWithTag`,
/// `ExFreePoolWithTag`.
///
/// # IRQL
/// Usable at any; dropped at DISPATCH_LEVEL or below, else the machine stops.
///
/// See "ExAllocatePoolWithTag" in the documentation.
///
/// ```
/// use dirql::{irql::Dispatch, pool::{PoolBox, Tag}, status::Result};
///
/// const TAG: Tag = Tag::new(*b"Edu ");
///
/// fn keep(irql: &mut Dispatch, table: [u32; 64]) -> Result<PoolBox<[u32; 64]>> {
///     PoolBox::new(irql, TAG, table)
/// }
/// ```
pub struct PoolBox<T> {
    block: NonNull<T>,
    tag: Tag,
}

// SAFETY: (Aliasing) the one owner of the value, fact 17, so it goes where a `T` may go.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: (Aliasing) a shared reference gives shared references to the value only, fact 17.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    /// Moves a value into pool. Wraps `ExAllocatePoolWithTag`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES; the value is dropped.
    pub fn new<I: AtMostDispatch>(irql: &mut I, tag: Tag, value: T) -> Result<Self> {
        let block = allocate::<I, T>(irql, 1, tag)?;
        // SAFETY: (Pointer) large enough and aligned, fact 18. (Aliasing) new, fact 17.
        unsafe { block.write(value) };
        Ok(Self { block, tag })
    }

    /// Moves the value out and frees the pool. Wraps `ExFreePoolWithTag`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn into_inner<I: AtMostDispatch>(self, _irql: &mut I) -> T {
        let owned = core::mem::ManuallyDrop::new(self);
        // SAFETY: (Ready) `new` wrote the value. (Aliasing) its owner is given up here, so
        // nobody reads it again, fact 17.
        let value = unsafe { owned.block.read() };
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Caller) the owner's one
        // free, fact 17: `ManuallyDrop` keeps the drop from being another.
        unsafe { free(owned.block, owned.tag) };
        value
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: (Ready) `new` wrote the value. (Aliasing) borrowed as the owner is, fact 17.
        unsafe { self.block.as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, fact 17.
        unsafe { self.block.as_mut() }
    }
}

impl<T> Borrow<T> for PoolBox<T> {
    fn borrow(&self) -> &T {
        self
    }
}

/// So that what owns a `T`, or a box with one, can be generic in that.
impl<T> BorrowMut<T> for PoolBox<T> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolBox<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, formatter)
    }
}

impl<T> Drop for PoolBox<T> {
    fn drop(&mut self) {
        refuse_too_high(self.block);
        // SAFETY: (Ready) `new` wrote the value. (Aliasing) the owner is going, fact 17.
        unsafe { self.block.drop_in_place() };
        // SAFETY: (IRQL) looked at just now. (Caller) the owner's one free, fact 17.
        unsafe { free(self.block, self.tag) };
    }
}

#[cfg(test)]
mod tests {
    use core::borrow::BorrowMut;
    use std::sync::Arc;

    use super::{PoolBox, Tag};
    use crate::irql::{Passive, at_dispatch};

    const TAG: Tag = Tag::new(*b"Test");

    #[test]
    fn drops_the_value_once() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        let mut irql = unsafe { Passive::assume() };
        let value = Arc::new(7);
        let boxed = PoolBox::new(&mut irql, TAG, Arc::clone(&value)).expect("memory");
        assert_eq!((**boxed, Arc::strong_count(&value)), (7, 2));
        at_dispatch(&mut irql, |_| drop(boxed));
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn gives_the_value_back() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let mut boxed = PoolBox::new(&mut irql, TAG, 1).expect("memory");
        *boxed += 1;
        assert_eq!(boxed.into_inner(&mut irql), 2);
    }

    #[test]
    fn is_borrowed_as_its_value_is() {
        fn double(value: &mut impl BorrowMut<u32>) -> u32 {
            *value.borrow_mut() *= 2;
            *(*value).borrow()
        }
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let mut boxed = PoolBox::new(&mut irql, TAG, 4).expect("memory");
        assert_eq!((double(&mut boxed), *boxed), (8, 8));
    }

    #[test]
    fn holds_what_has_no_size() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        assert!(PoolBox::new(&mut irql, TAG, ()).is_ok());
    }

    #[test]
    fn prints_as_its_value_does() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let boxed = PoolBox::new(&mut irql, TAG, [1, 2]).expect("memory");
        assert_eq!(std::format!("{boxed:?}"), "[1, 2]");
    }
}
