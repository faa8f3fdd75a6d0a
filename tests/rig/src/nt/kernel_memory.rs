//! Memory for kernel objects that is never given back to the heap.
//!
//! A driver that uses a device object or its extension after its end must hit
//! memory that still is what it was, marked, not somebody else's. There are few
//! such objects in a run, so keeping them costs little, and it is what makes the
//! executive's own references to them always good.
//!
//! # Soundness
//! 1. `pointer()` of an object that [`fields!`] is used for points to such a structure, as long
//!    as the object exists: fact 1 of the module that uses it says why.

use core::ptr::NonNull;

use crate::machine::memory::{OBJECT_ALIGNMENT, allocate_object_memory};

/// What an object is filled with once it is deleted.
pub(crate) const DELETED_BYTE: u8 = 0xdd;

/// Zeroed memory, aligned for everything, for good.
///
/// # Panics
/// When the machine has no memory left.
pub(crate) fn allocate(size: usize) -> NonNull<u8> {
    allocate_object_memory(size)
        .unwrap_or_else(|| panic!("no memory for an object of {size} bytes"))
}

/// Zeroed memory for a `T`, for good. All zeroes must be a `T`, which holds for
/// the plain C structures that this is for.
pub(crate) fn allocate_object<T: Copy>() -> NonNull<T> {
    const {
        assert!(align_of::<T>() <= OBJECT_ALIGNMENT);
    }
    allocate(size_of::<T>()).cast()
}

/// Defines functions that read and write one field each of a kernel object that
/// lies behind `self.pointer()`.
///
/// `get / set` defines both functions, `get` the one and `_ / set` the other.
///
/// Every object that uses this states in its `# Soundness` why that pointer is
/// good for as long as `self` exists. Access is volatile and by value: the driver
/// may look at the object at the same time, as it may on Windows.
macro_rules! fields {
    ($object:ty { $($get:tt $(/ $set:ident)?: $kind:ty = $($path:ident).+;)+ }) => {
        impl $object {
            $($crate::nt::kernel_memory::fields!(@field $get $($set)?, $kind, $($path).+);)+
        }
    };
    (@field _ $set:ident, $kind:ty, $($path:ident).+) => {
        #[doc = concat!("Writes `", stringify!($($path).+), "`.")]
        pub(crate) fn $set(&self, value: $kind) {
            // SAFETY: (Pointer) `pointer()` is good while `self` exists, fact 1.
            let field: *mut $kind = unsafe { &raw mut (*self.pointer()).$($path).+ };
            // SAFETY: (Pointer) as above. (Aliasing) by value, no reference is formed.
            unsafe { field.write_volatile(value) };
        }
    };
    (@field $get:ident $set:ident, $kind:ty, $($path:ident).+) => {
        $crate::nt::kernel_memory::fields!(@field $get, $kind, $($path).+);
        $crate::nt::kernel_memory::fields!(@field _ $set, $kind, $($path).+);
    };
    (@field $get:ident, $kind:ty, $($path:ident).+) => {
        #[doc = concat!("Reads `", stringify!($($path).+), "`.")]
        pub(crate) fn $get(&self) -> $kind {
            // SAFETY: (Pointer) `pointer()` is good while `self` exists, fact 1.
            let field: *const $kind = unsafe { &raw const (*self.pointer()).$($path).+ };
            // SAFETY: (Pointer) as above; the object was initialised when it was
            // made. (Aliasing) by value, no reference is formed.
            unsafe { field.read_volatile() }
        }
    };
}
pub(crate) use fields;
