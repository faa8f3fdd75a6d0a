//! Numbers as the processor holds them.

/// A 64-bit number as an address or a length. The rig runs on x64 only, where
/// both have 64 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the target's pointers have 64 bits"
)]
pub(crate) const fn word(value: u64) -> usize {
    value as usize
}

/// The low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "it is what the name says")]
pub(crate) const fn low_32(value: u64) -> u32 {
    value as u32
}

/// The low 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "it is what the name says")]
pub(crate) const fn low_16(value: u32) -> u16 {
    value as u16
}

/// The low 8 bits.
#[expect(clippy::cast_possible_truncation, reason = "it is what the name says")]
pub(crate) const fn low_8(value: u32) -> u8 {
    value as u8
}
