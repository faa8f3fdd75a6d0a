//! `CTL_CODE` in types.
//!
//! See "Defining I/O Control Codes" in the Windows driver documentation:
//! device type in bits 31..16, access in 15..14, function in 13..2, transfer
//! method in 1..0; vendors use device types from 0x8000 and functions from 0x800.

/// The device type of all control codes here, from the range left to vendors.
const DEVICE_TYPE: u32 = 0x8ed0;

/// What a handle must have been opened for; the I/O manager checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Access {
    /// `FILE_READ_ACCESS`.
    Read = 1,
    /// `FILE_WRITE_ACCESS`.
    Write = 2,
    /// `FILE_READ_ACCESS | FILE_WRITE_ACCESS`.
    ReadWrite = 3,
}

/// How the I/O manager passes the buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Method {
    /// `METHOD_BUFFERED`: one kernel buffer for input and output.
    Buffered = 0,
}

/// A 32-bit I/O control code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlCode(u32);

impl ControlCode {
    /// The code of a buffered request with this function number (0x800..=0xfff).
    ///
    /// # Panics
    /// At compile time, when `function` is not in the vendor range.
    #[must_use]
    pub const fn vendor(function: u32, access: Access) -> Self {
        assert!(
            function >= 0x800 && function <= 0xfff,
            "not a vendor function"
        );
        Self(DEVICE_TYPE << 16 | (access as u32) << 14 | function << 2 | Method::Buffered as u32)
    }

    /// The value that `DeviceIoControl` takes and the IRP carries.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, ControlCode};
    use crate::CONTROL_CODES;

    #[test]
    fn matches_the_documented_macro() {
        // CTL_CODE(0x8ed0, 0x802, METHOD_BUFFERED, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
        let code = ControlCode::vendor(0x802, Access::ReadWrite);
        assert_eq!(code.value(), 0x8ed0_e008);
    }

    #[test]
    fn all_codes_differ() {
        for (index, (code, _)) in CONTROL_CODES.iter().enumerate() {
            assert!(
                CONTROL_CODES
                    .iter()
                    .skip(index + 1)
                    .all(|(other, _)| other != code)
            );
        }
    }

    #[test]
    fn vendors_have_the_functions_from_0x800_to_0xfff() {
        assert_eq!(
            ControlCode::vendor(0x800, Access::Read).value(),
            0x8ed0_6000
        );
        assert_eq!(
            ControlCode::vendor(0xfff, Access::Write).value(),
            0x8ed0_bffc
        );
    }

    #[test]
    #[should_panic(expected = "not a vendor function")]
    fn the_functions_below_are_microsofts() {
        let _code = ControlCode::vendor(0x7ff, Access::Read);
    }

    #[test]
    #[should_panic(expected = "not a vendor function")]
    fn no_function_takes_more_than_twelve_bits() {
        let _code = ControlCode::vendor(0x1000, Access::Read);
    }
}
