//! Numbers as WinDbg writes them: hexadecimal, with or without `0x`, with or without a
//! backtick in the middle.

use std::{fmt, str::FromStr};

/// A number of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u64);

impl Number {
    /// How far `address` lies behind this, if it is an offset in an image.
    pub(super) fn offset_of(self, address: Self) -> Option<u32> {
        u32::try_from(address.0.checked_sub(self.0)?).ok()
    }
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .unwrap_or(text)
            .replace('`', "");
        // Rust takes a sign before the digits, WinDbg writes none.
        if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
            return Err("this is no hexadecimal number".to_owned());
        }
        u64::from_str_radix(&digits, 16)
            .map(Self)
            .map_err(|error| format!("this is no hexadecimal number of 64 bits: {error}"))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}
