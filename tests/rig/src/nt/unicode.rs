//! Counted UTF-16 strings as the kernel passes them.

use alloc::string::String;
use alloc::vec::Vec;

use wdk_sys::UNICODE_STRING;

/// Most bytes that a counted string can have.
const LONGEST: u16 = 0xfffe;

/// The text of a counted string; what is no UTF-16 comes out as U+FFFD.
///
/// # Safety
/// `string` is null or points to a string whose buffer has its length.
pub(crate) unsafe fn to_string(string: *const UNICODE_STRING) -> String {
    // SAFETY: By the contract.
    let Some(string) = (unsafe { string.as_ref() }) else {
        return String::new();
    };
    if string.Buffer.is_null() {
        return String::new();
    }
    // SAFETY: By the contract: the length is in bytes.
    let units = unsafe {
        core::slice::from_raw_parts(string.Buffer.cast_const(), usize::from(string.Length) / 2)
    };
    String::from_utf16_lossy(units)
}

/// The text of a string that a zero ends.
///
/// # Safety
/// `string` points to units of which one is zero.
pub(crate) unsafe fn zero_terminated(string: *const u16) -> String {
    // SAFETY: By the contract.
    let length = unsafe { zero_terminated_length(string) };
    // SAFETY: By the contract: so many units come before the zero.
    String::from_utf16_lossy(unsafe { core::slice::from_raw_parts(string, length) })
}

/// How many units a string has before the zero that ends it.
///
/// # Safety
/// `string` points to units of which one is zero.
pub(crate) unsafe fn zero_terminated_length(string: *const u16) -> usize {
    let mut length = 0;
    loop {
        // SAFETY: By the contract: no unit before this one was zero.
        let unit = unsafe { string.add(length) };
        // SAFETY: As above.
        if unsafe { unit.read() } == 0 {
            return length;
        }
        length += 1;
    }
}

/// The text in UTF-16 with a zero behind it.
pub(crate) fn to_utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A counted string over units that end with a zero, which it does not count.
///
/// The string must not outlive the units.
pub(crate) fn counted(units: &mut [u16]) -> UNICODE_STRING {
    let bytes = |units: usize| u16::try_from(units * 2).unwrap_or(LONGEST);
    UNICODE_STRING {
        Length: bytes(units.len().saturating_sub(1)),
        MaximumLength: bytes(units.len()),
        Buffer: units.as_mut_ptr(),
    }
}
