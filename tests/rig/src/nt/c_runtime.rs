//! The C run-time routines that ntoskrnl exports and a compiler calls by itself: a driver in
//! C imports them wherever it copies, clears or compares.
//!
//! Callable at any IRQL on resident memory, as the C library's pages say of their arguments:
//! valid for the length, not overlapping for `memcpy`.

use core::ffi::{c_char, c_int, c_void};

use crate::nt::routine::Routine;
use crate::nt::unicode;

/// memcpy. Copies like `memmove`, as ntoskrnl's does on x64.
pub(crate) unsafe extern "C" fn copy(
    to: *mut c_void,
    from: *const c_void,
    length: usize,
) -> *mut c_void {
    Routine::memcpy.enter();
    // SAFETY: (Caller) the driver passes memory of this length on both sides.
    unsafe { from.cast::<u8>().copy_to(to.cast(), length) };
    to
}

/// memmove.
pub(crate) unsafe extern "C" fn move_memory(
    to: *mut c_void,
    from: *const c_void,
    length: usize,
) -> *mut c_void {
    Routine::memmove.enter();
    // SAFETY: (Caller) the driver passes memory of this length on both sides.
    unsafe { from.cast::<u8>().copy_to(to.cast(), length) };
    to
}

/// memset.
pub(crate) unsafe extern "C" fn set(
    memory: *mut c_void,
    value: c_int,
    length: usize,
) -> *mut c_void {
    Routine::memset.enter();
    let [value, ..] = value.to_le_bytes();
    // SAFETY: (Caller) the driver passes memory of this length.
    unsafe { memory.cast::<u8>().write_bytes(value, length) };
    memory
}

/// memcmp.
pub(crate) unsafe extern "C" fn compare(
    this: *const c_void,
    other: *const c_void,
    length: usize,
) -> c_int {
    Routine::memcmp.enter();
    if length == 0 {
        return 0;
    }
    // SAFETY: (Caller) the driver passes memory of this length, which it does not change
    // meanwhile.
    let this = unsafe { core::slice::from_raw_parts(this.cast::<u8>(), length) };
    // SAFETY: As above.
    let other = unsafe { core::slice::from_raw_parts(other.cast::<u8>(), length) };
    this.cmp(other) as c_int
}

/// strlen.
pub(crate) unsafe extern "C" fn string_length(string: *const c_char) -> usize {
    Routine::strlen.enter();
    // SAFETY: (Caller) the driver passes a string that ends with a zero.
    unsafe { core::ffi::CStr::from_ptr(string) }
        .to_bytes()
        .len()
}

/// wcslen.
pub(crate) unsafe extern "C" fn wide_length(string: *const u16) -> usize {
    Routine::wcslen.enter();
    // SAFETY: (Caller) the driver passes a string that ends with a zero.
    unsafe { unicode::zero_terminated_length(string) }
}
