//! Memory that somebody else writes too: user mode, or a device.
//!
//! No reference to it is ever formed, for what a `&` or a `&mut` promises does not hold
//! there. Bytes are copied one at a time with relaxed atomic accesses, and aligned words
//! in one access each, so a device sees a whole word or none of it.
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 25. **Atomic.** Every access of this driver's is atomic, and whatever bytes come are a
//!     value of the integer types here. So another writer makes the contents surprising and
//!     nothing worse.

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
};

use crate::status::{NtError, Result};

/// Bytes that are shared; they outlive this value, its maker says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedBytes {
    base: NonNull<u8>,
    length: usize,
}

macro_rules! words {
    ($($load:ident $store:ident $word:ty, $atomic:ty;)*) => {
        $(
            #[doc = concat!("The `", stringify!($word), "` at `offset`, in one access.")]
            pub(crate) fn $load(self, offset: usize) -> Result<$word> {
                let place = self.word::<$word>(offset)?.as_ptr();
                // SAFETY: (Pointer) inside the bytes and aligned, says `word`. (Aliasing)
                // fact 25.
                Ok(unsafe { <$atomic>::from_ptr(place) }.load(Ordering::Acquire))
            }

            #[doc = concat!("Writes the `", stringify!($word), "` at `offset`, in one access.")]
            pub(crate) fn $store(self, offset: usize, value: $word) -> Result<()> {
                let place = self.word::<$word>(offset)?.as_ptr();
                // SAFETY: (Pointer) inside the bytes and aligned, says `word`. (Aliasing)
                // fact 25.
                unsafe { <$atomic>::from_ptr(place) }.store(value, Ordering::Release);
                Ok(())
            }
        )*
    };
}

impl SharedBytes {
    /// # Safety
    /// `base` is the first of `length` bytes that may be read and written for as long as
    /// the result, or a copy of it, is used, and that nobody has a reference to.
    pub(crate) const unsafe fn new(base: NonNull<u8>, length: usize) -> Self {
        Self { base, length }
    }

    /// Copies out.
    ///
    /// # Errors
    /// STATUS_BUFFER_TOO_SMALL if there are not so many bytes from `offset` on.
    pub(crate) fn copy_to(self, offset: usize, destination: &mut [u8]) -> Result<()> {
        let first = self.part(offset, destination.len())?;
        for (index, byte) in destination.iter_mut().enumerate() {
            // SAFETY: (Pointer) inside the bytes, says `part`, fact 25.
            let place = unsafe { first.add(index) };
            // SAFETY: (Pointer) as above. (Aliasing) fact 25.
            *byte = unsafe { AtomicU8::from_ptr(place.as_ptr()) }.load(Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies in.
    ///
    /// # Errors
    /// As [`copy_to`](Self::copy_to).
    pub(crate) fn copy_from(self, offset: usize, source: &[u8]) -> Result<()> {
        let first = self.part(offset, source.len())?;
        for (index, byte) in source.iter().enumerate() {
            // SAFETY: (Pointer) inside the bytes, says `part`, fact 25.
            let place = unsafe { first.add(index) };
            // SAFETY: (Pointer) as above. (Aliasing) fact 25.
            unsafe { AtomicU8::from_ptr(place.as_ptr()) }.store(*byte, Ordering::Relaxed);
        }
        Ok(())
    }

    words! {
        load32 store32 u32, AtomicU32;
        load64 store64 u64, AtomicU64;
    }

    fn word<W>(self, offset: usize) -> Result<NonNull<W>> {
        let place = self.part(offset, size_of::<W>())?.cast::<W>();
        if place.is_aligned() {
            Ok(place)
        } else {
            Err(NtError::STATUS_DATATYPE_MISALIGNMENT)
        }
    }

    fn part(self, offset: usize, length: usize) -> Result<NonNull<u8>> {
        let fits = offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length);
        if !fits {
            return Err(NtError::STATUS_BUFFER_TOO_SMALL);
        }
        // SAFETY: (Pointer) the offset is inside the bytes, or right behind them, fact 25.
        Ok(unsafe { self.base.add(offset) })
    }
}

#[cfg(test)]
mod tests {
    use super::SharedBytes;
    use crate::status::NtError;

    #[test]
    fn copies_what_fits_and_refuses_the_rest() {
        let mut memory = [0_u64; 2];
        let base = core::ptr::NonNull::from(&mut memory).cast();
        // SAFETY: the array is used through this alone while it lives, fact 11.
        let bytes = unsafe { SharedBytes::new(base, 16) };
        bytes.copy_from(3, &[1, 2, 3]).expect("it fits");
        let mut found = [0; 5];
        bytes.copy_to(2, &mut found).expect("it fits");
        assert_eq!(found, [0, 1, 2, 3, 0]);
        assert_eq!(
            bytes.copy_from(14, &[0; 3]),
            Err(NtError::STATUS_BUFFER_TOO_SMALL)
        );
        assert_eq!(
            bytes.copy_to(usize::MAX, &mut found),
            Err(NtError::STATUS_BUFFER_TOO_SMALL)
        );
        bytes.store32(12, 0x1234_5678).expect("it fits");
        assert_eq!(bytes.load64(8), Ok(0x1234_5678_0000_0000));
        assert_eq!(bytes.load32(2), Err(NtError::STATUS_DATATYPE_MISALIGNMENT));
        assert_eq!(bytes.load64(16), Err(NtError::STATUS_BUFFER_TOO_SMALL));
    }
}
