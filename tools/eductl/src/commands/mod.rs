//! One command, one module: an argument in, a result out that can be read by
//! people (`Display`) and programs (`Serialize`).
//!
//! Whatever the device computes is compared with what this program computes;
//! a difference is an error, never a result.

pub mod factorial;
pub mod info;
pub mod liveness;
pub mod raise;
pub mod stats;

use crate::device::DeviceError;

/// Why a command did not give a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A request failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The device or the driver gave an answer, and it is wrong.
    #[error("wrong answer: {0}")]
    WrongAnswer(String),
}
