//! The format language of DbgPrint, as far as it makes sense in a kernel.

use alloc::format;
use alloc::string::String;
use core::ffi::CStr;

use wdk_sys::{PCSTR, UNICODE_STRING};

use crate::nt::{address, unicode};

/// How a number is to be written.
#[derive(Clone, Copy, Default)]
struct Spec {
    width: usize,
    is_zero_filled: bool,
    is_left: bool,
    is_alternate: bool,
    /// `I64` or `ll`: all 64 bits count.
    is_wide: bool,
    /// `l` or `w`: a string is UTF-16.
    is_unicode: bool,
}

/// The text that a C format and its arguments make.
///
/// # Safety
/// `format` is a C string, and the arguments are of the types that it names.
pub(crate) unsafe fn format_c(format: PCSTR, arguments: &[u64]) -> String {
    // SAFETY: By the contract.
    let format = unsafe { CStr::from_ptr(format) }.to_string_lossy();
    let mut arguments = arguments.iter().copied();
    let mut characters = format.chars().peekable();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let mut spec = Spec::default();
        let conversion = loop {
            match characters.next() {
                Some('0') if spec.width == 0 => spec.is_zero_filled = true,
                Some('-') => spec.is_left = true,
                Some('#') => spec.is_alternate = true,
                Some(digit @ '0'..='9') => {
                    spec.width = spec.width * 10 + usize::from(digit as u8 - b'0');
                }
                Some('l') => {
                    spec.is_unicode = true;
                    spec.is_wide |= characters.next_if_eq(&'l').is_some();
                }
                Some('w') => spec.is_unicode = true,
                Some('I') => {
                    let is_64 = characters.next_if_eq(&'6').is_some()
                        && characters.next_if_eq(&'4').is_some();
                    spec.is_wide |= is_64;
                }
                other => break other,
            }
        };
        match conversion {
            Some('%') => text.push('%'),
            Some(conversion) => {
                let argument = arguments.next().unwrap_or_default();
                // SAFETY: By the contract: the argument is of the named type.
                text.push_str(&unsafe { convert(spec, conversion, argument) });
            }
            None => text.push('%'),
        }
    }
    text
}

/// One argument as text.
///
/// # Safety
/// For a string conversion the argument is null or the address of such a string.
unsafe fn convert(spec: Spec, conversion: char, argument: u64) -> String {
    let number = if spec.is_wide {
        argument
    } else {
        argument & u64::from(u32::MAX)
    };
    let text = match conversion {
        'd' | 'i' if spec.is_wide => format!("{}", argument.cast_signed()),
        'd' | 'i' => format!(
            "{}",
            u32::try_from(number).unwrap_or_default().cast_signed()
        ),
        'u' => format!("{number}"),
        'x' if spec.is_alternate => format!("{number:#x}"),
        'x' => format!("{number:x}"),
        'X' => format!("{number:X}"),
        'p' => format!("{argument:016x}"),
        'c' => String::from(char::from(
            u8::try_from(argument & 0xff).unwrap_or_default(),
        )),
        // SAFETY: By the contract.
        's' | 'S' | 'Z' => unsafe { string(spec, conversion, argument) },
        other => format!("%{other}"),
    };
    pad(spec, text)
}

/// A string argument as text.
///
/// # Safety
/// The argument is null or the address of such a string.
unsafe fn string(spec: Spec, conversion: char, argument: u64) -> String {
    let Ok(start) = usize::try_from(argument) else {
        return String::new();
    };
    if start == 0 {
        return String::from("(null)");
    }
    match (conversion, spec.is_unicode) {
        // SAFETY: By the contract.
        ('Z', true) => unsafe { unicode::to_string(address::to_pointer::<UNICODE_STRING>(start)) },
        ('s', true) | ('S', false) => {
            let units = address::to_pointer::<u16>(start).cast_const();
            let length = (0..)
                // SAFETY: By the contract: a zero ends the string.
                .take_while(|index| unsafe { units.add(*index).read() } != 0)
                .count();
            // SAFETY: So many units were just read.
            String::from_utf16_lossy(unsafe { core::slice::from_raw_parts(units, length) })
        }
        // SAFETY: By the contract: a zero ends the string.
        _ => unsafe { CStr::from_ptr(address::to_pointer(start)) }
            .to_string_lossy()
            .into_owned(),
    }
}

/// Fills a text up to its width.
fn pad(spec: Spec, text: String) -> String {
    let width = spec.width;
    if spec.is_left {
        format!("{text:<width$}")
    } else if spec.is_zero_filled {
        format!("{text:0>width$}")
    } else {
        format!("{text:>width$}")
    }
}
