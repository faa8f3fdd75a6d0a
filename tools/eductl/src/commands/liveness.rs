//! `liveness`: does the device answer at all?

use std::fmt;

use serde::Serialize;

use super::CommandError;
use crate::device::Device;

/// What `liveness` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LivenessResult {
    /// What was written.
    pub value: u32,
    /// What was read back: its bitwise inverse.
    pub answer: u32,
}

/// Writes `value` and expects its inverse.
///
/// # Errors
/// [`CommandError`].
pub fn run(device: &Device<'_>, value: u32) -> Result<LivenessResult, CommandError> {
    let answer = device.liveness(value)?;
    check(value, answer).map_err(CommandError::WrongAnswer)?;
    Ok(LivenessResult { value, answer })
}

pub(crate) fn check(value: u32, answer: u32) -> Result<(), String> {
    if answer == !value {
        return Ok(());
    }
    Err(format!(
        "the liveness register was written 0x{value:08x} and reads 0x{answer:08x} instead of \
         0x{:08x}",
        !value
    ))
}

impl fmt::Display for LivenessResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "alive: wrote 0x{:08x}, read its inverse 0x{:08x}",
            self.value, self.answer
        )
    }
}
