//! Counted UTF-16 strings as the kernel passes them.

use alloc::string::String;
use alloc::vec::Vec;

use wdk_sys::UNICODE_STRING;

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

/// The text in UTF-16 with a zero behind it.
pub(crate) fn to_utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A counted string over units that end with a zero, which it does not count.
///
/// The string must not outlive the units.
pub(crate) fn counted(units: &mut [u16]) -> UNICODE_STRING {
    let bytes = |units: usize| u16::try_from(units * 2).unwrap_or(u16::MAX & !1);
    UNICODE_STRING {
        Length: bytes(units.len().saturating_sub(1)),
        MaximumLength: bytes(units.len()),
        Buffer: units.as_mut_ptr(),
    }
}
