//! One command, one module: an argument in, a result out that can be read by
//! people (`Display`) and programs (`Serialize`).
//!
//! Whatever the device computes is compared with what this program computes;
//! a difference is an error, never a result.

pub mod factorial;
pub mod histograms;
pub mod info;
pub mod liveness;
pub mod raise;
pub mod recording;
pub mod stats;
pub mod trace;

use std::path::PathBuf;

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
    /// A file of the user's cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// All went well, and there is nothing that could be shown; the text says what to do.
    #[error("{0}")]
    NothingToShow(String),
}
