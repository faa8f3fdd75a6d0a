//! What the host asks the drivers under `tests/drivers`, and what they answer.
//!
//! Each driver has numbered checks; a control request runs one of them inside the
//! kernel and brings back what it found. Pure data, shared by both sides.

#![no_std]
#![forbid(unsafe_code)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Device type of the control codes; not that of edu.sys.
const DEVICE_TYPE: u32 = 0x8ed1;
/// The first function number that is left to vendors.
const FIRST_FUNCTION: u32 = 0x800;
/// The last one.
const LAST_FUNCTION: u32 = 0xfff;

/// The control code that runs check `number`:
/// `CTL_CODE(0x8ed1, 0x800 + number, METHOD_BUFFERED, FILE_ANY_ACCESS)`.
///
/// # Panics
/// If there is no function number for it.
#[must_use]
pub const fn control_code(number: u32) -> u32 {
    assert!(
        number <= LAST_FUNCTION - FIRST_FUNCTION,
        "function numbers end at 0xfff"
    );
    DEVICE_TYPE << 16 | (FIRST_FUNCTION + number) << 2
}

/// `METHOD_IN_DIRECT`.
const IN_DIRECT: u32 = 1;
/// `METHOD_OUT_DIRECT`.
const OUT_DIRECT: u32 = 2;

/// The control code `number` with a direct method; the numbers are none of
/// [`control_code`]'s, whose method is another.
const fn direct_code(number: u32, method: u32) -> u32 {
    control_code(number) | method
}

/// Writes the second buffer to the device by scatter/gather lists; the first says where.
pub const LIST_WRITE: u32 = direct_code(0x100, IN_DIRECT);
/// Reads from the device into the second buffer, likewise.
pub const LIST_READ: u32 = direct_code(0x100, OUT_DIRECT);
/// Adds the second buffer up; the first says what it must come to.
pub const COPY_IN: u32 = direct_code(0x101, IN_DIRECT);
/// Fills the second buffer with bytes in a row; the first says where it begins.
pub const COPY_OUT: u32 = direct_code(0x101, OUT_DIRECT);

/// The check that a control code runs; `None` if it is none of [`control_code`]'s.
#[must_use]
pub const fn check_number(code: u32) -> Option<u32> {
    let function = code >> 2 & LAST_FUNCTION;
    if function < FIRST_FUNCTION {
        return None;
    }
    let number = function - FIRST_FUNCTION;
    if control_code(number) == code {
        Some(number)
    } else {
        None
    }
}

/// What a check is given; each check says what it makes of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Arguments {
    /// Unused ones are zero.
    pub values: [u64; 4],
}

/// What a check found.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Findings {
    /// Line of the driver's source whose condition did not hold; zero if all did.
    pub failed_line: u32,
    /// The `NTSTATUS` of a call that failed there; zero if it was no call.
    pub status: u32,
    /// What the check measured; each check says what.
    pub values: [u64; 8],
}

#[cfg(test)]
mod tests {
    use super::{check_number, control_code};

    #[test]
    fn codes_are_those_of_the_documented_macro() {
        assert_eq!(control_code(0), 0x8ed1_2000);
        assert_eq!(control_code(5), 0x8ed1_2014);
    }

    #[test]
    fn a_number_comes_back_and_nothing_else_does() {
        for number in [0, 1, 77, 0x7ff] {
            assert_eq!(check_number(control_code(number)), Some(number));
        }
        for bit in 0..32 {
            let code = control_code(3) ^ 1 << bit;
            assert_ne!(check_number(code), Some(3), "bit {bit} was ignored");
        }
        assert_eq!(check_number(0), None);
    }
}
