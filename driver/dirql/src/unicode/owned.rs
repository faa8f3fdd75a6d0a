//! Strings in pool, made of bytes that somebody else has written.

use super::UnicodeStr;
use crate::{
    irql::AtMostDispatch,
    pool::{PoolVec, Tag},
    status::{NtError, Result},
};

/// A string in pool.
#[derive(Debug)]
pub struct UnicodeString(PoolVec<u16>);

impl UnicodeString {
    /// A copy of a string.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub fn copy_of<I: AtMostDispatch>(
        irql: &mut I,
        tag: Tag,
        text: UnicodeStr<'_>,
    ) -> Result<Self> {
        PoolVec::copy_of(irql, tag, text.units()).map(Self)
    }

    /// The string in the bytes of a REG_SZ, up to the first zero if there is one: in the
    /// registry a zero need not be there.
    ///
    /// # Errors
    /// STATUS_OBJECT_TYPE_MISMATCH if the bytes are no whole characters,
    /// STATUS_INSUFFICIENT_RESOURCES, STATUS_NAME_TOO_LONG.
    pub(crate) fn from_bytes<I: AtMostDispatch>(
        irql: &mut I,
        tag: Tag,
        bytes: &[u8],
    ) -> Result<Self> {
        let mut units = units_of(irql, tag, bytes)?;
        let length = units.iter().position(|unit| *unit == 0);
        units.truncate(length.unwrap_or(units.len()));
        UnicodeStr::new(&units)?;
        Ok(Self(units))
    }

    /// The string.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn as_str(&self) -> UnicodeStr<'_> {
        UnicodeStr::of_constant(&self.0)
    }
}

/// Several strings in pool, as a REG_MULTI_SZ holds them.
#[derive(Debug)]
pub struct UnicodeStrings(PoolVec<u16>);

impl UnicodeStrings {
    /// As [`UnicodeString::from_bytes`], for a REG_MULTI_SZ: each string ends with a zero,
    /// and an empty one ends them all. Either end may be missing.
    pub(crate) fn from_bytes<I: AtMostDispatch>(
        irql: &mut I,
        tag: Tag,
        bytes: &[u8],
    ) -> Result<Self> {
        let units = units_of(irql, tag, bytes)?;
        // No string is longer than all of them together.
        UnicodeStr::new(&units)?;
        Ok(Self(units))
    }

    /// The strings, in order.
    ///
    /// # IRQL
    /// Any.
    pub fn iter(&self) -> impl Iterator<Item = UnicodeStr<'_>> {
        self.0
            .split(|unit| *unit == 0)
            .take_while(|units| !units.is_empty())
            .map(UnicodeStr::of_constant)
    }
}

/// Bytes as characters.
fn units_of<I: AtMostDispatch>(irql: &mut I, tag: Tag, bytes: &[u8]) -> Result<PoolVec<u16>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(NtError::STATUS_OBJECT_TYPE_MISMATCH);
    }
    let mut units = PoolVec::with_capacity(irql, tag, pairs.len())?;
    for pair in pairs {
        units.push(irql, u16::from_le_bytes(*pair))?;
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use std::{string::ToString as _, vec, vec::Vec};

    use super::{UnicodeString, UnicodeStrings};
    use crate::{irql::Passive, pool::Tag, status::NtError};

    const TAG: Tag = Tag::new(*b"Test");

    fn bytes(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn string(bytes: &[u8]) -> Result<std::string::String, NtError> {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        let mut irql = unsafe { Passive::assume() };
        UnicodeString::from_bytes(&mut irql, TAG, bytes).map(|text| text.as_str().to_string())
    }

    fn strings(bytes: &[u8]) -> Result<Vec<std::string::String>, NtError> {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        UnicodeStrings::from_bytes(&mut irql, TAG, bytes)
            .map(|texts| texts.iter().map(|text| text.to_string()).collect())
    }

    #[test]
    fn a_string_ends_at_its_zero_or_its_end() {
        assert_eq!(string(&bytes("edu\0")), Ok("edu".into()));
        assert_eq!(string(&bytes("edu")), Ok("edu".into()));
        assert_eq!(string(&bytes("edu\0rest\0")), Ok("edu".into()));
        assert_eq!(string(&[]), Ok(std::string::String::new()));
    }

    #[test]
    fn half_a_character_is_no_string() {
        assert_eq!(string(b"edu"), Err(NtError::STATUS_OBJECT_TYPE_MISMATCH));
        assert_eq!(strings(&[0]), Err(NtError::STATUS_OBJECT_TYPE_MISMATCH));
    }

    #[test]
    fn a_list_ends_with_an_empty_string_or_its_end() {
        let two = Ok(vec!["a".into(), "bc".into()]);
        assert_eq!(strings(&bytes("a\0bc\0\0")), two);
        assert_eq!(strings(&bytes("a\0bc\0")), two);
        assert_eq!(strings(&bytes("a\0bc")), two);
        assert_eq!(strings(&bytes("a\0bc\0\0d\0")), two);
        assert_eq!(strings(&bytes("\0")), Ok(vec![]));
        assert_eq!(strings(&[]), Ok(vec![]));
    }

    #[test]
    fn what_no_string_can_hold_is_refused() {
        let long = vec![0x61; 0x10000];
        assert_eq!(string(&long), Err(NtError::STATUS_NAME_TOO_LONG));
        assert_eq!(strings(&long), Err(NtError::STATUS_NAME_TOO_LONG));
    }
}
