//! Run-time library routines: strings, resource descriptors, exports by name.

use wdk_sys::{
    BOOLEAN, CM_PARTIAL_RESOURCE_DESCRIPTOR, PULONGLONG, PUNICODE_STRING, PVOID, ULONGLONG,
    UNICODE_STRING,
};

use crate::nt::resources;
use crate::nt::routine::{self, Routine};
use crate::nt::{address, pool, unicode};

/// RtlFreeUnicodeString, for strings that the executive gave to the driver.
pub(crate) unsafe extern "C" fn rtl_free_unicode_string(string: PUNICODE_STRING) {
    let routine = Routine::RtlFreeUnicodeString;
    routine.enter();
    // SAFETY: The driver passes a string that the executive allocated, or an
    // empty one.
    let buffer = unsafe { (*string).Buffer };
    if buffer.is_null() {
        return;
    }
    pool::free(routine, buffer.cast(), None, 0);
    // SAFETY: As above; the string itself is the driver's.
    unsafe {
        string.write(UNICODE_STRING {
            Length: 0,
            MaximumLength: 0,
            Buffer: core::ptr::null_mut(),
        });
    };
}

/// RtlInitUnicodeString.
pub(crate) unsafe extern "C" fn rtl_init_unicode_string(
    string: PUNICODE_STRING,
    source: *const u16,
) {
    /// Most bytes that the string can have with its zero behind it.
    const LONGEST: u16 = 0xfffc;

    Routine::RtlInitUnicodeString.enter();
    let bytes = if source.is_null() {
        None
    } else {
        // SAFETY: (Caller) the driver passes null or a string that ends with a zero.
        Some(unsafe { unicode::zero_terminated_length(source) } * 2)
    };
    let length = bytes.map_or(0, |bytes| {
        u16::try_from(bytes).map_or(LONGEST, |bytes| bytes.min(LONGEST))
    });
    // SAFETY: (Caller) the driver passes a string of its own to be set.
    unsafe {
        string.write(UNICODE_STRING {
            Length: length,
            MaximumLength: if bytes.is_some() { length + 2 } else { 0 },
            Buffer: source.cast_mut(),
        });
    };
}

/// RtlEqualUnicodeString.
pub(crate) unsafe extern "C" fn rtl_equal_unicode_string(
    this: *const UNICODE_STRING,
    other: *const UNICODE_STRING,
    ignore_case: BOOLEAN,
) -> BOOLEAN {
    Routine::RtlEqualUnicodeString.enter();
    // SAFETY: The driver passes counted strings.
    let this = unsafe { unicode::to_string(this) };
    // SAFETY: As above.
    let other = unsafe { unicode::to_string(other) };
    let equal = if ignore_case == 0 {
        this == other
    } else {
        this.chars()
            .map(upper_case)
            .eq(other.chars().map(upper_case))
    };
    BOOLEAN::from(equal)
}

/// The upper-case letter, for letters that have a single one.
fn upper_case(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => letter,
    }
}

/// RtlCopyUnicodeString: as much as fits.
pub(crate) unsafe extern "C" fn rtl_copy_unicode_string(
    destination: PUNICODE_STRING,
    source: *const UNICODE_STRING,
) {
    Routine::RtlCopyUnicodeString.enter();
    // SAFETY: The driver passes null or a counted string.
    let source = unsafe { source.as_ref() };
    // SAFETY: The driver passes a counted string with a buffer for the copy,
    // which nobody else uses during the call.
    let destination = unsafe { &mut *destination };
    let length = source.map_or(0, |source| source.Length.min(destination.MaximumLength));
    destination.Length = length;
    if let Some(source) = source {
        // SAFETY: Both buffers have at least `length` bytes; they may overlap.
        unsafe {
            core::ptr::copy(
                source.Buffer.cast::<u8>(),
                destination.Buffer.cast::<u8>(),
                usize::from(length),
            );
        };
    }
    if length + 2 <= destination.MaximumLength {
        // SAFETY: The buffer has room for one more unit.
        let end = unsafe { destination.Buffer.byte_add(usize::from(length)) };
        // SAFETY: As above.
        unsafe { end.write(0) };
    }
}

/// RtlCmDecodeMemIoResource.
pub(crate) unsafe extern "C" fn rtl_cm_decode_mem_io_resource(
    descriptor: *const CM_PARTIAL_RESOURCE_DESCRIPTOR,
    start: PULONGLONG,
) -> ULONGLONG {
    Routine::RtlCmDecodeMemIoResource.enter();
    // SAFETY: The driver passes a descriptor out of its resource list; by value,
    // because descriptors are packed.
    let descriptor = unsafe { descriptor.read_unaligned() };
    let (base, length) = resources::decode_memory(&descriptor);
    if !start.is_null() {
        // SAFETY: (Pointer) not null, so it is a variable of the driver's.
        unsafe { start.write(base) };
    }
    length
}

/// MmGetSystemRoutineAddress.
pub(crate) unsafe extern "C" fn mm_get_system_routine_address(name: PUNICODE_STRING) -> PVOID {
    Routine::MmGetSystemRoutineAddress.enter();
    // SAFETY: The driver passes a counted string.
    let name = unsafe { unicode::to_string(name) };
    routine::resolve(&name).map_or(core::ptr::null_mut(), address::to_pointer)
}
