//! `write`: bytes into the device's buffer, by DMA.

use std::fmt;

use serde::Serialize;

use super::CommandError;
use crate::device::Device;

/// What `write` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriteResult {
    /// Where the first byte is in the device's buffer.
    pub offset: u64,
    /// Bytes that were written.
    pub length: usize,
}

/// Writes `data` at `offset`.
///
/// # Errors
/// [`CommandError`].
pub fn run(device: &Device<'_>, offset: u64, data: &[u8]) -> Result<WriteResult, CommandError> {
    device.write(offset, data)?;
    Ok(WriteResult {
        offset,
        length: data.len(),
    })
}

impl fmt::Display for WriteResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "wrote {} bytes at offset {}",
            self.length, self.offset
        )
    }
}
