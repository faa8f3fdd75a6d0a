//! Counted UTF-16 strings, the kernel's `UNICODE_STRING`. Wraps `RtlEqualUnicodeString`.
//!
//! # Model
//!
//! A [`UnicodeStr`] borrows its characters, wherever they are: in the image, where
//! [`unicode!`](crate::unicode!) puts a literal at compile time, in pool, or in the kernel.
//! Nothing is allocated and nothing is copied. It is counted, so a zero inside is a
//! character, and no zero need follow. [`UnicodeString`] and [`UnicodeStrings`] own what
//! was read from the registry or is a device's property.
//!
//! Like the kernel's it may hold what is no UTF-16 at all (a lone surrogate); shown, that
//! becomes U+FFFD.
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 14. **Length.** A string has at most [`UnicodeStr::LONGEST`] characters, so its length in
//!     bytes fits into the kernel's 16 bits.
//! 15. **Nobody writes.** The kernel takes strings by mutable pointers, but writes to none
//!     of those that this crate passes: each is documented as input.

mod owned;

use core::fmt::{self, Write as _};

pub use owned::{UnicodeString, UnicodeStrings};

use crate::{
    irql::Passive,
    status::{NtError, Result},
    sys,
};

/// A counted UTF-16 string of somebody else's characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnicodeStr<'a> {
    units: &'a [u16],
}

/// A [`UnicodeStr`] of a literal, encoded at compile time.
///
/// ```
/// use dirql::{unicode, unicode::UnicodeStr};
///
/// const NAME: UnicodeStr<'_> = unicode!(r"\Device\Edu0");
/// assert_eq!(NAME.len(), 12);
/// assert_eq!(NAME, *r"\Device\Edu0");
/// ```
#[macro_export]
macro_rules! unicode {
    ($text:literal) => {
        const {
            $crate::unicode::UnicodeStr::of_constant(
                $crate::__private::utf16str!($text).as_slice(),
            )
        }
    };
}

impl<'a> UnicodeStr<'a> {
    /// Most characters that a string can have: its length in bytes has 16 bits.
    pub const LONGEST: usize = 0x7fff;

    /// A string of these characters.
    ///
    /// # IRQL
    /// Any.
    ///
    /// # Errors
    /// STATUS_NAME_TOO_LONG if there are more than [`LONGEST`](Self::LONGEST).
    pub const fn new(units: &'a [u16]) -> Result<Self> {
        if units.len() > Self::LONGEST {
            return Err(NtError::STATUS_NAME_TOO_LONG);
        }
        Ok(Self { units })
    }

    /// A string of these characters, as many as a string can have.
    #[doc(hidden)]
    #[must_use]
    pub const fn of_constant(units: &'a [u16]) -> Self {
        match units.split_at_checked(Self::LONGEST) {
            Some((units, _)) => Self { units },
            None => Self { units },
        }
    }

    /// Its characters.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn units(self) -> &'a [u16] {
        self.units
    }

    /// How many characters it has, in units of 16 bits.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn len(self) -> usize {
        self.units.len()
    }

    /// Whether it has no characters.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.units.is_empty()
    }

    /// Whether both are the same but for upper and lower case. Wraps
    /// `RtlEqualUnicodeString`; `==` is the comparison that tells them apart.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL: the kernel's table of upper-case letters can be paged out. See
    /// "RtlEqualUnicodeString" in the documentation.
    #[must_use]
    pub fn eq_ignore_case(self, _irql: &mut Passive, other: UnicodeStr<'_>) -> bool {
        let (this, other) = (self.as_kernel(), other.as_kernel());
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) both live across the call,
        // and their buffers are borrowed and only read, facts 5, 10, 11, 14 and 15.
        let equal =
            unsafe { sys::RtlEqualUnicodeString(&raw const this, &raw const other, true.into()) };
        equal != 0
    }

    /// As the kernel has it; good while the characters are borrowed, and not to be written,
    /// fact 15.
    pub(crate) const fn as_kernel(self) -> sys::UNICODE_STRING {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most `LONGEST` characters, so twice as many bytes fit, fact 14"
        )]
        let length = (self.units.len() as u16).wrapping_mul(2);
        sys::UNICODE_STRING {
            Length: length,
            MaximumLength: length,
            Buffer: self.units.as_ptr().cast_mut(),
        }
    }

    /// What a string of the kernel's holds. Lengths are looked at, not believed: one that is
    /// odd or over the maximum, or characters that are nowhere or misaligned, are no
    /// string.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER.
    ///
    /// # Safety
    /// If the buffer is neither NULL nor misaligned, then `Length` bytes of it can be read
    /// and nobody writes them while the result is used.
    pub(crate) unsafe fn from_kernel(string: &sys::UNICODE_STRING) -> Result<Self> {
        let length = usize::from(string.Length);
        if length == 0 {
            return Ok(Self { units: &[] });
        }
        let buffer = string.Buffer.cast_const();
        if buffer.is_null()
            || !buffer.is_aligned()
            || !length.is_multiple_of(2)
            || string.Length > string.MaximumLength
        {
            return Err(NtError::STATUS_INVALID_PARAMETER);
        }
        // SAFETY: (Pointer) not NULL and aligned, so the contract vouches for `Length`
        // bytes, fact 14.
        let units = unsafe { core::slice::from_raw_parts(buffer, length / 2) };
        Self::new(units)
    }
}

impl PartialEq<str> for UnicodeStr<'_> {
    fn eq(&self, other: &str) -> bool {
        other.encode_utf16().eq(self.units.iter().copied())
    }
}

impl fmt::Display for UnicodeStr<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        char::decode_utf16(self.units.iter().copied())
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .try_for_each(|character| formatter.write_char(character))
    }
}

impl fmt::Debug for UnicodeStr<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use std::{string::ToString as _, vec, vec::Vec};

    use super::UnicodeStr;
    use crate::{irql::Passive, status::NtError, sys};

    fn kernel(units: &[u16], length: u16, maximum: u16) -> sys::UNICODE_STRING {
        sys::UNICODE_STRING {
            Length: length,
            MaximumLength: maximum,
            Buffer: units.as_ptr().cast_mut(),
        }
    }

    #[test]
    fn a_literal_is_what_it_says() {
        let text = crate::unicode!("\\Gerät 𝄞");
        assert_eq!(text, *"\\Gerät 𝄞");
        assert_eq!(text.len(), 9);
        assert_eq!(text.to_string(), "\\Gerät 𝄞");
        assert!(crate::unicode!("").is_empty());
    }

    #[test]
    fn compares_with_and_without_case() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        let mut irql = unsafe { Passive::assume() };
        let (upper, lower) = (crate::unicode!("DebugLevel"), crate::unicode!("debuglevel"));
        assert_ne!(upper, lower);
        assert!(upper.eq_ignore_case(&mut irql, lower));
        assert!(!upper.eq_ignore_case(&mut irql, crate::unicode!("DebugLevels")));
        assert!(upper < lower);
    }

    #[test]
    fn there_and_back() {
        let text = crate::unicode!("Parameters");
        let kernel = text.as_kernel();
        assert_eq!((kernel.Length, kernel.MaximumLength), (20, 20));
        // SAFETY: the characters are a constant, fact 14.
        assert_eq!(unsafe { UnicodeStr::from_kernel(&kernel) }, Ok(text));
    }

    #[test]
    fn refuses_what_is_too_long() {
        let units = vec![0x61; UnicodeStr::LONGEST + 1];
        assert_eq!(UnicodeStr::new(&units), Err(NtError::STATUS_NAME_TOO_LONG));
        let longest = UnicodeStr::new(&units[1..]).expect("as long as can be");
        assert_eq!(longest.as_kernel().Length, 0xfffe);
        assert_eq!(UnicodeStr::of_constant(&units), longest);
    }

    #[test]
    fn refuses_hostile_strings() {
        let units = [0x61_u16; 4];
        let nowhere = sys::UNICODE_STRING {
            Length: 8,
            MaximumLength: 8,
            Buffer: core::ptr::null_mut(),
        };
        let misaligned = sys::UNICODE_STRING {
            Length: 2,
            MaximumLength: 2,
            Buffer: units.as_ptr().wrapping_byte_add(1).cast_mut(),
        };
        let hostile = [
            kernel(&units, 7, 8),
            kernel(&units, 8, 6),
            nowhere,
            misaligned,
        ];
        for string in hostile {
            // SAFETY: four characters are there wherever the buffer is one, fact 14.
            let result = unsafe { UnicodeStr::from_kernel(&string) };
            assert_eq!(result, Err(NtError::STATUS_INVALID_PARAMETER));
        }
        let nothing = sys::UNICODE_STRING {
            Length: 0,
            MaximumLength: 0,
            Buffer: core::ptr::null_mut(),
        };
        // SAFETY: nothing is read, fact 14.
        let empty = unsafe { UnicodeStr::from_kernel(&nothing) };
        assert_eq!(empty.map(UnicodeStr::len), Ok(0));
    }

    #[test]
    fn shows_what_is_no_utf16() {
        let units: Vec<u16> = vec![0x61, 0xd800, 0x62];
        let text = UnicodeStr::new(&units).expect("short");
        assert_eq!(text.to_string(), "a\u{fffd}b");
    }

    #[test]
    fn is_the_text_that_it_has_and_no_other() {
        let text = crate::unicode!("Edu0");
        assert_eq!(text, *"Edu0");
        for other in ["", "Edu", "Edu00", "edu0"] {
            assert_ne!(text, *other);
        }
        assert!(!text.is_empty());
        assert!(crate::unicode!("").is_empty());
        assert_eq!(std::format!("{text:?}"), "\"Edu0\"");
    }
}
