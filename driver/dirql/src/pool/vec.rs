//! Several values in pool.

use core::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use super::{Tag, allocate, free, refuse_too_high};
use crate::{irql::AtMostDispatch, status::Result};

/// Room for this many values is made first.
const FIRST_CAPACITY: usize = 4;

/// A growable array in nonpaged pool, freed when it is dropped. Wraps
/// `ExAllocatePoolWithTag`, `ExFreePoolWithTag`.
///
/// An array without room has no pool yet.
///
/// # IRQL
/// Read and written at any; grown and dropped at DISPATCH_LEVEL or below.
///
/// See "ExAllocatePoolWithTag" in the documentation.
pub struct PoolVec<T> {
    /// `None` while the capacity is zero.
    block: Option<NonNull<T>>,
    capacity: usize,
    /// So many values at the start of the block are initialised.
    length: usize,
    tag: Tag,
}

// SAFETY: (Aliasing) the one owner of the values, fact 17, so it goes where a `T` may go.
unsafe impl<T: Send> Send for PoolVec<T> {}
// SAFETY: (Aliasing) a shared reference gives shared references to the values only, fact
// 17.
unsafe impl<T: Sync> Sync for PoolVec<T> {}

impl<T> PoolVec<T> {
    /// An array without room.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new(tag: Tag) -> Self {
        const {
            assert!(size_of::<T>() > 0, "an array of nothing needs no pool");
        }
        Self {
            block: None,
            capacity: 0,
            length: 0,
            tag,
        }
    }

    /// An array with room for `capacity` values. Wraps `ExAllocatePoolWithTag`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub fn with_capacity<I: AtMostDispatch>(
        irql: &mut I,
        tag: Tag,
        capacity: usize,
    ) -> Result<Self> {
        let mut array = Self::new(tag);
        array.grow_to(irql, capacity)?;
        Ok(array)
    }

    /// Appends a value, making room if there is none. Wraps `ExAllocatePoolWithTag`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES; the array is as before, the value is dropped.
    pub fn push<I: AtMostDispatch>(&mut self, irql: &mut I, value: T) -> Result<()> {
        if self.length == self.capacity {
            self.grow_to(irql, self.capacity.saturating_mul(2).max(FIRST_CAPACITY))?;
        }
        // There is room now, so nothing comes back.
        let _no_value = self.push_within_capacity(value);
        Ok(())
    }

    /// Appends a value if there is room for it, else hands it back. Allocates nothing,
    /// so a critical section may do it.
    ///
    /// # IRQL
    /// Any.
    ///
    /// # Errors
    /// The value, if there is no room.
    pub fn push_within_capacity(&mut self, value: T) -> core::result::Result<(), T> {
        let (Some(block), true) = (self.block, self.length < self.capacity) else {
            return Err(value);
        };
        // SAFETY: (Pointer) inside the block: the length is below the capacity, fact 18.
        let place = unsafe { block.add(self.length) };
        // SAFETY: (Pointer) as above. (Aliasing) no value is there yet, facts 17 and 18.
        unsafe { place.write(value) };
        self.length = self.length.saturating_add(1);
        Ok(())
    }

    /// Takes the last value out.
    ///
    /// # IRQL
    /// Any.
    pub fn pop(&mut self) -> Option<T> {
        let (Some(block), Some(last)) = (self.block, self.length.checked_sub(1)) else {
            return None;
        };
        self.length = last;
        // SAFETY: (Pointer) the length said that a value is there, facts 17 and 18.
        let place = unsafe { block.add(last) };
        // SAFETY: (Ready) as above. (Aliasing) it counts no more, so it is moved out once,
        // facts 17 and 18.
        Some(unsafe { place.read() })
    }

    /// Drops all values but the first `length`.
    ///
    /// # IRQL
    /// Any.
    pub fn truncate(&mut self, length: usize) {
        while self.length > length {
            drop(self.pop());
        }
    }

    /// Drops all values; the room stays.
    ///
    /// # IRQL
    /// Any.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// How many values there is room for without another allocation.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Moves the values into a larger block.
    fn grow_to<I: AtMostDispatch>(&mut self, irql: &mut I, capacity: usize) -> Result<()> {
        if capacity <= self.capacity {
            return Ok(());
        }
        let larger = allocate::<I, T>(irql, capacity, self.tag)?;
        if let Some(block) = self.block.replace(larger) {
            // SAFETY: (Pointer) both blocks have room for the length. (Aliasing) the new
            // one is nobody else's; the values in the old one count no more, facts 17 and
            // 18.
            unsafe { block.copy_to_nonoverlapping(larger, self.length) };
            // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Caller) the owner's one
            // free of this block, fact 17: it was replaced.
            unsafe { free(block, self.tag) };
        }
        self.capacity = capacity;
        Ok(())
    }
}

impl<T: Copy> PoolVec<T> {
    /// An array with a copy of `values`. Wraps `ExAllocatePoolWithTag`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub fn copy_of<I: AtMostDispatch>(irql: &mut I, tag: Tag, values: &[T]) -> Result<Self> {
        let mut array = Self::with_capacity(irql, tag, values.len())?;
        for value in values {
            let _no_value = array.push_within_capacity(*value);
        }
        Ok(array)
    }

    /// An array of `length` times the same value. Wraps `ExAllocatePoolWithTag`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub fn filled<I: AtMostDispatch>(
        irql: &mut I,
        tag: Tag,
        length: usize,
        value: T,
    ) -> Result<Self> {
        let mut array = Self::with_capacity(irql, tag, length)?;
        for _ in 0..length {
            let _no_value = array.push_within_capacity(value);
        }
        Ok(array)
    }
}

impl<T> Deref for PoolVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let start = self.block.unwrap_or(NonNull::dangling());
        // SAFETY: (Pointer) without a block the length is zero, and a dangling address will
        // do. (Ready) so many values are initialised. (Aliasing) borrowed as the owner is,
        // facts 17 and 18.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), self.length) }
    }
}

impl<T> DerefMut for PoolVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let start = self.block.unwrap_or(NonNull::dangling());
        // SAFETY: as in `deref`, facts 17 and 18.
        unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), self.length) }
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolVec<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        <[T]>::fmt(self, formatter)
    }
}

impl<T> Drop for PoolVec<T> {
    fn drop(&mut self) {
        let Some(block) = self.block else { return };
        refuse_too_high(block);
        self.clear();
        // SAFETY: (IRQL) looked at just now. (Caller) the owner's one free, fact 17.
        unsafe { free(block, self.tag) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{PoolVec, Tag};
    use crate::{irql::Passive, status::NtError};

    const TAG: Tag = Tag::new(*b"Test");

    #[test]
    fn grows_and_keeps_its_values() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        let mut irql = unsafe { Passive::assume() };
        let mut array = PoolVec::new(TAG);
        for value in 0..100 {
            array.push(&mut irql, value).expect("memory");
        }
        assert!(array.iter().copied().eq(0..100));
        assert!(array.capacity() >= 100);
        assert_eq!(array.pop(), Some(99));
        array.truncate(2);
        assert_eq!(*array, [0, 1]);
    }

    #[test]
    fn drops_each_value_once() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let value = Arc::new(());
        let mut array = PoolVec::with_capacity(&mut irql, TAG, 1).expect("memory");
        for _ in 0..10 {
            array.push(&mut irql, Arc::clone(&value)).expect("memory");
        }
        drop(array.pop());
        assert_eq!(Arc::strong_count(&value), 10);
        drop(array);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn hands_back_what_has_no_room() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let mut array = PoolVec::with_capacity(&mut irql, TAG, 1).expect("memory");
        assert_eq!(array.push_within_capacity('a'), Ok(()));
        assert_eq!(array.push_within_capacity('b'), Err('b'));
        assert_eq!(PoolVec::new(TAG).push_within_capacity('c'), Err('c'));
    }

    #[test]
    fn refuses_more_than_there_can_be() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let array = PoolVec::<u64>::with_capacity(&mut irql, TAG, usize::MAX / 2);
        assert_eq!(array.err(), Some(NtError::STATUS_INSUFFICIENT_RESOURCES));
    }

    #[test]
    fn copies_and_fills() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let copy = PoolVec::copy_of(&mut irql, TAG, b"abc").expect("memory");
        assert_eq!(*copy, *b"abc");
        assert_eq!(std::format!("{copy:?}"), "[97, 98, 99]");
        let filled = PoolVec::filled(&mut irql, TAG, 3, 7).expect("memory");
        assert_eq!(*filled, [7; 3]);
        let empty = PoolVec::copy_of(&mut irql, TAG, b"").expect("nothing to allocate");
        assert!(empty.is_empty());
    }
}
