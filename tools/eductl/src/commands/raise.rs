//! `raise`: the device interrupts because it is told to.

use std::fmt;

use serde::Serialize;

use super::CommandError;
use crate::device::Device;

/// What `raise` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RaiseResult {
    /// The status bits that were raised.
    pub mask: u32,
    /// The status bits that the ISR read and acknowledged.
    pub causes: u32,
}

/// Raises the bits of `mask` and expects the ISR to have seen just those.
///
/// # Errors
/// [`CommandError`].
pub fn run(device: &Device<'_>, mask: u32, timeout_ms: u32) -> Result<RaiseResult, CommandError> {
    let causes = device.raise(mask, timeout_ms)?;
    check(mask, causes).map_err(CommandError::WrongAnswer)?;
    Ok(RaiseResult { mask, causes })
}

pub(crate) fn check(mask: u32, causes: u32) -> Result<(), String> {
    if causes == mask {
        return Ok(());
    }
    Err(format!(
        "the status bits 0x{mask:08x} were raised, and the ISR read 0x{causes:08x}"
    ))
}

impl fmt::Display for RaiseResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "raised 0x{:08x}; the ISR read and acknowledged 0x{:08x}",
            self.mask, self.causes
        )
    }
}
