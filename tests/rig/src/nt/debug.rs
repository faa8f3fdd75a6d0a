//! DbgPrint, DbgPrintEx, KeBugCheckEx.
//!
//! A C function with variable arguments gets, in the Microsoft x64 convention, one
//! eight-byte slot for each, in registers and then on the stack, floating-point
//! ones in the integer registers as well. A function with a fixed number of
//! eight-byte parameters therefore finds the first so many of them; slots that the
//! caller did not fill hold whatever lies there and are not looked at, because the
//! format does not ask for them.

use alloc::format;
use alloc::string::String;

use wdk_sys::{NTSTATUS, PCSTR, ULONG, ULONG_PTR};

use crate::machine::log::log;
use crate::nt::format::format_c;
use crate::nt::routine::Routine;
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::violation::fatal;
use crate::nt::{address, load};

/// The bug check code of a Rust panic: "RPNC", which wdk-panic uses.
const RUST_PANIC: ULONG = u32::from_be_bytes(*b"RPNC");
/// A source path that is longer than this is none.
const LONGEST_PATH: usize = 1024;

/// DbgPrint, with up to eight arguments.
pub(crate) unsafe extern "C" fn dbg_print(
    format: PCSTR,
    slot1: u64,
    slot2: u64,
    slot3: u64,
    slot4: u64,
    slot5: u64,
    slot6: u64,
    slot7: u64,
    slot8: u64,
) -> NTSTATUS {
    Routine::DbgPrint.enter();
    // SAFETY: The driver passes a C string, and arguments as it asks for them.
    let text = unsafe {
        format_c(
            format,
            &[slot1, slot2, slot3, slot4, slot5, slot6, slot7, slot8],
        )
    };
    print(&text);
    STATUS_SUCCESS
}

/// DbgPrintEx, with up to eight arguments. Every component and level is printed.
pub(crate) unsafe extern "C" fn dbg_print_ex(
    _component: ULONG,
    _level: ULONG,
    format: PCSTR,
    slot1: u64,
    slot2: u64,
    slot3: u64,
    slot4: u64,
    slot5: u64,
    slot6: u64,
    slot7: u64,
    slot8: u64,
) -> NTSTATUS {
    Routine::DbgPrintEx.enter();
    // SAFETY: The driver passes a C string, and arguments as it asks for them.
    let text = unsafe {
        format_c(
            format,
            &[slot1, slot2, slot3, slot4, slot5, slot6, slot7, slot8],
        )
    };
    print(&text);
    STATUS_SUCCESS
}

/// Writes the driver's text to the log, line by line.
fn print(text: &str) {
    for line in text.lines() {
        log!("driver: {line}");
    }
}

/// KeBugCheckEx.
pub(crate) extern "C" fn ke_bug_check_ex(
    code: ULONG,
    parameter1: ULONG_PTR,
    parameter2: ULONG_PTR,
    parameter3: ULONG_PTR,
    parameter4: ULONG_PTR,
) -> ! {
    let routine = Routine::KeBugCheckEx.name();
    if code == RUST_PANIC {
        let place = source_path(parameter1, parameter2).map_or_else(
            || String::from("at an unknown place"),
            |path| format!("at {path}:{parameter3}:{parameter4}"),
        );
        fatal(
            "BUGCHECK-RPNC",
            routine,
            format_args!(
                "The driver panicked {place}: bug check {code:#x} ({parameter1:#x}, \
                 {parameter2:#x}, {parameter3:#x}, {parameter4:#x})."
            ),
        )
    }
    fatal(
        &format!("BUGCHECK-{code:#x}"),
        routine,
        format_args!(
            "The driver stopped the system with bug check {code:#x} ({parameter1:#x}, {parameter2:#x}, {parameter3:#x}, {parameter4:#x})."
        ),
    )
}

/// The path that a panic names, if it lies in the driver's image.
fn source_path(pointer: ULONG_PTR, length: ULONG_PTR) -> Option<String> {
    let start = usize::try_from(pointer).ok()?;
    let length = usize::try_from(length)
        .ok()
        .filter(|n| *n <= LONGEST_PATH)?;
    if !load::image_contains(start, length) {
        return None;
    }
    // SAFETY: The range lies in the driver's image, which is mapped readable
    // while the driver is loaded, and it is running this very call.
    let bytes = unsafe {
        core::slice::from_raw_parts(address::to_pointer::<u8>(start).cast_const(), length)
    };
    core::str::from_utf8(bytes).ok().map(String::from)
}
