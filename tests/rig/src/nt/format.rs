//! The format language of DbgPrint, as far as it makes sense in a kernel.

use alloc::format;
use alloc::string::String;
use core::ffi::CStr;

use wdk_sys::{PCSTR, UNICODE_STRING};

use crate::nt::{address, unicode};

/// How a text shorter than its width is filled.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Fill {
    /// Blanks in front.
    #[default]
    Right,
    /// Blanks behind: `-`.
    Left,
    /// Zeroes in front: `0`.
    Zero,
}

/// The size that a conversion's prefix says.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Size {
    /// 32 bits, or bytes of a string.
    #[default]
    Usual,
    /// `l` or `w`: a string is UTF-16.
    Long,
    /// `ll` or `I64`: all 64 bits count.
    Wide,
}

/// How an argument is to be written.
#[derive(Clone, Copy, Default)]
struct Spec {
    width: usize,
    fill: Fill,
    size: Size,
    /// `#`: hexadecimal numbers begin with `0x`.
    is_alternate: bool,
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
                Some('0') if spec.width == 0 => spec.fill = Fill::Zero,
                Some('-') => spec.fill = Fill::Left,
                Some('#') => spec.is_alternate = true,
                Some(digit @ '0'..='9') => {
                    spec.width = spec.width * 10 + usize::from(digit as u8 - b'0');
                }
                Some('l') if spec.size == Size::Long => spec.size = Size::Wide,
                Some('l' | 'w') => spec.size = Size::Long,
                Some('I') => {
                    let is_64 = characters.next_if_eq(&'6').is_some()
                        && characters.next_if_eq(&'4').is_some();
                    if is_64 {
                        spec.size = Size::Wide;
                    }
                }
                other => break other.filter(|conversion| *conversion != '%'),
            }
        };
        match conversion {
            Some(conversion) => {
                let argument = arguments.next().unwrap_or_default();
                // SAFETY: By the contract: the argument is of the named type.
                text.push_str(&unsafe { convert(spec, conversion, argument) });
            }
            // `%%`, or a `%` at the very end.
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
    let number = if spec.size == Size::Wide {
        argument
    } else {
        argument & u64::from(u32::MAX)
    };
    let text = match conversion {
        'd' | 'i' if spec.size == Size::Wide => format!("{}", argument.cast_signed()),
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
    pad(spec, &text)
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
    match (conversion, spec.size == Size::Long) {
        // SAFETY: By the contract.
        ('Z', true) => unsafe { unicode::to_string(address::to_pointer::<UNICODE_STRING>(start)) },
        ('s', true) | ('S', false) => {
            // SAFETY: By the contract: a zero ends the string.
            unsafe { unicode::zero_terminated(address::to_pointer::<u16>(start)) }
        }
        // SAFETY: By the contract: a zero ends the string.
        _ => unsafe { CStr::from_ptr(address::to_pointer(start)) }
            .to_string_lossy()
            .into_owned(),
    }
}

/// Fills a text up to its width.
fn pad(spec: Spec, text: &str) -> String {
    let width = spec.width;
    match spec.fill {
        Fill::Left => format!("{text:<width$}"),
        Fill::Zero => format!("{text:0>width$}"),
        Fill::Right => format!("{text:>width$}"),
    }
}
