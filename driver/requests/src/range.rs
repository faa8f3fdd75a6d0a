//! Reads and writes: which bytes of the device's buffer.

use dirql::{
    direct_io::Direction,
    status::{NtError, Result},
};
use edu_interface::DEVICE_BUFFER_BYTES;

const _: () = assert!(
    DEVICE_BUFFER_BYTES == edu_controller::BUFFER_BYTES,
    "what user mode may ask for is what the device may be told"
);

/// Bytes of the device's buffer, all of them inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub position: u32,
    /// How many; zero for a request that asks for nothing.
    pub length: u32,
}

/// What a read or a write of `length` bytes at `offset` asks for. No bytes at all are read
/// and written anywhere.
///
/// # Errors
/// STATUS_END_OF_FILE for a read that begins at the end of the device's buffer or behind it,
/// STATUS_INVALID_PARAMETER for any other range that is not wholly inside, or for an offset
/// that the request does not have.
pub fn range(offset: Option<u64>, length: usize, direction: Direction) -> Result<Range> {
    if length == 0 {
        return Ok(Range::default());
    }
    let outside = NtError::STATUS_INVALID_PARAMETER;
    let offset = offset.ok_or(outside)?;
    if offset >= u64::from(DEVICE_BUFFER_BYTES) && direction == Direction::FromDevice {
        return Err(NtError::STATUS_END_OF_FILE);
    }
    let position = u32::try_from(offset).map_err(|_| outside)?;
    let length = u32::try_from(length).map_err(|_| outside)?;
    match position.checked_add(length) {
        Some(end) if end <= DEVICE_BUFFER_BYTES => Ok(Range { position, length }),
        _ => Err(outside),
    }
}
