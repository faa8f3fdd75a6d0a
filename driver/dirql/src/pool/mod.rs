//! Pool memory: tagged, zeroed, never executable, and a failure to be handled. Wraps
//! `ExAllocatePoolWithTag`, `ExFreePoolWithTag`.
//!
//! # Model
//!
//! [`PoolBox`] holds one value, [`PoolVec`] several; a [`PoolArc`] is one of several owners of
//! one value. Allocating is fallible and takes a
//! token of at most DISPATCH_LEVEL, so an ISR or a critical section cannot allocate:
//! it does not compile. What they hold is freed when they are dropped, which is a bug
//! check above DISPATCH_LEVEL, where pool cannot be freed.
//!
//! The memory comes from `NonPagedPoolNx`, so it may be used at any IRQL.
//! ExAllocatePool2 exists since Windows 10, version 2004, only; for earlier targets
//! "Updating deprecated ExAllocatePool calls" says to go on with ExAllocatePoolWithTag
//! and to zero what it returns, which is done here.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `new`, `with_capacity`, `push`, ... | everybody but ISRs and critical sections | any up to `Dispatch` | no |
//! | `push_within_capacity`, reading, writing | everybody | none | no |
//! | `PoolArc::clone` | everybody | none | no |
//! | drop | everybody but ISRs and critical sections | looked at | no |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 17. **One owner.** A block is owned by the one `PoolBox` or `PoolVec` that allocated
//!     it and freed by its drop alone. Forgetting the owner leaks the block, and nothing
//!     else: nobody has its address.
//! 66. **Owners.** The block of a `PoolArc` has a count of its owners, who are made by `new`
//!     and `clone` alone and end when they are dropped. It is freed by the one who counts
//!     down to zero; forgetting one leaks the block, and nothing else. Until then nobody
//!     makes more than shared references to what is in it.
//! 18. **Room.** A block has the size of the layout that it was asked for, and the
//!     alignment of pool, 16 bytes, which is checked at compile time to be enough.
//!
//! # Not here
//!
//! Paged pool: nothing in a driver of this crate runs only below DISPATCH_LEVEL but
//! what `Passive` proves, and such memory may not be touched where a lock is held.

mod boxed;
mod shared;
mod vec;

use core::ptr::NonNull;

pub use boxed::PoolBox;
pub use shared::PoolArc;
pub use vec::PoolVec;

use crate::{
    irql::{self, AtMostDispatch},
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sys,
};

/// What pool is aligned to on 64-bit systems: `MEMORY_ALLOCATION_ALIGNMENT`.
const ALIGNMENT: usize = 16;

/// By whom pool was allocated: four characters that debuggers and Driver Verifier show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    /// The tag with these characters, in the order in which they are shown. Pool takes
    /// printable ASCII only; anything else becomes a question mark.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new(name: [u8; 4]) -> Self {
        const fn printable(byte: u8) -> u8 {
            if byte >= b' ' && byte <= b'~' {
                byte
            } else {
                b'?'
            }
        }
        let [first, second, third, fourth] = name;
        Self(u32::from_le_bytes([
            printable(first),
            printable(second),
            printable(third),
            printable(fourth),
        ]))
    }
}

/// Allocates zeroed memory for `count` values of type `T`.
///
/// # Errors
/// STATUS_INSUFFICIENT_RESOURCES if there is no memory, or no address space has so much.
fn allocate<I: AtMostDispatch, T>(_irql: &mut I, count: usize, tag: Tag) -> Result<NonNull<T>> {
    const {
        assert!(
            align_of::<T>() <= ALIGNMENT,
            "pool is not aligned for this type"
        );
    }
    // Pool of no bytes cannot be asked for.
    let size = size_of::<T>()
        .checked_mul(count)
        .filter(|size| isize::try_from(*size).is_ok())
        .ok_or(NtError::STATUS_INSUFFICIENT_RESOURCES)?
        .max(1);
    // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Caller) the size is not zero
    // and a `Tag` never is; without POOL_RAISE_IF_ALLOCATION_FAILURE the routine does not
    // raise, facts 5, 10 and 18.
    let block = unsafe { sys::ExAllocatePoolWithTag(sys::NON_PAGED_POOL_NX, size as u64, tag.0) };
    let block = NonNull::new(block).ok_or(NtError::STATUS_INSUFFICIENT_RESOURCES)?;
    // SAFETY: (Pointer) the block has this size. (Aliasing) it is new, fact 17.
    unsafe { block.cast::<u8>().write_bytes(0, size) };
    Ok(block.cast())
}

/// Stops the machine where pool cannot be freed.
fn refuse_too_high<T>(block: NonNull<T>) {
    if irql::current() > irql::DISPATCH_LEVEL {
        stop(Reason::DroppedTooHigh, block.addr().get());
    }
}

/// Frees a block.
///
/// # Safety
/// `allocate` returned the block for this tag, nobody else frees it, and it is not used
/// afterwards. `refuse_too_high` has looked.
unsafe fn free<T>(block: NonNull<T>, tag: Tag) {
    // SAFETY: (IRQL) at most DISPATCH_LEVEL and (Pointer) an own block, says the contract,
    // facts 5, 10 and 18.
    unsafe { sys::ExFreePoolWithTag(block.as_ptr().cast(), tag.0) };
}

#[cfg(test)]
mod tests {
    use super::{PoolBox, Tag};
    use crate::{irql::Passive, sys};

    const DIRQL: u8 = 5;

    /// The kernel's pool is out of reach at DIRQL, and a block that is lost is never found again.
    #[test]
    #[should_panic(expected = "bug check")]
    fn pool_that_is_dropped_at_dirql_stops_the_machine() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let block = PoolBox::new(&mut irql, Tag::new(*b"Test"), 1).expect("memory");
        // SAFETY: not below where the thread is. It ends at this level, fact 10.
        unsafe { sys::KfRaiseIrql(DIRQL) };
        drop(block);
    }

    #[test]
    fn a_tag_is_printable() {
        assert_eq!(Tag::new(*b"Edu "), Tag(u32::from_le_bytes(*b"Edu ")));
        assert_eq!(Tag::new([0, 0x7f, 0xff, b'~']), Tag::new(*b"???~"));
    }
}
