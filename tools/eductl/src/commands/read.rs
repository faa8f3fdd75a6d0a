//! `read`: bytes out of the device's buffer, by DMA.

use std::fmt;

use edu_interface::DEVICE_BUFFER_BYTES;
use serde::Serialize;

use super::{CommandError, bytes};
use crate::device::Device;

/// What `read` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadResult {
    /// Where the first byte is in the device's buffer.
    pub offset: u64,
    /// Bytes that were read.
    pub length: usize,
    /// What was read.
    #[serde(serialize_with = "bytes::serialize")]
    pub data: Vec<u8>,
}

/// Reads `length` bytes at `offset`, or all up to the end of what can be reached.
///
/// # Errors
/// [`CommandError`].
pub fn run(
    device: &Device<'_>,
    offset: u64,
    length: Option<u32>,
) -> Result<ReadResult, CommandError> {
    let length = length.map_or_else(
        // Nothing is left behind the end, and the driver is to say so.
        || u64::from(DEVICE_BUFFER_BYTES).saturating_sub(offset).max(1),
        u64::from,
    );
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let data = device.read(offset, length)?;
    Ok(ReadResult {
        offset,
        length,
        data,
    })
}

impl fmt::Display for ReadResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytes::dump(self.offset, &self.data, formatter)
    }
}
