//! One command, one module: an argument in, a result out that can be read by
//! people (`Display`) and programs (`Serialize`).
//!
//! Whatever the device computes is compared with what this program computes;
//! a difference is an error, never a result.

pub mod bugcheck;
pub mod bytes;
pub mod factorial;
pub mod histograms;
pub mod info;
#[cfg(windows)]
pub mod install;
pub mod liveness;
pub mod raise;
pub mod read;
pub mod recording;
pub mod stats;
pub mod trace;
pub mod watch;
pub mod write;

use std::{io, path::PathBuf};

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
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// There is a result, and it cannot be printed.
    #[error("the result cannot be printed: {0}")]
    Output(String),
}

impl CommandError {
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn output(error: io::Error) -> Self {
        Self::Output(error.to_string())
    }
}
