//! What a command needs of the system it runs on: finding devices, opening
//! them, and control requests on an open handle.

use std::{fmt, time::Duration};

use edu_interface::{CONTROL_CODES, ControlCode, MAX_TIMEOUT_MS};

use crate::status::Failure;

/// How long a control request may take. The driver's own watchdog ends every
/// operation within [`MAX_TIMEOUT_MS`], so a longer silence means that the
/// driver, or the machine, has stopped.
pub const CONTROL_LIMIT: Duration = Duration::from_millis(MAX_TIMEOUT_MS as u64 + 30_000);

/// What was being done when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Looking for devices.
    Find,
    /// Opening a device.
    Open,
    /// Closing a handle.
    Close,
    /// A control request with this code.
    Control(u32),
    /// Anything that only the rig can be asked for.
    Rig(&'static str),
}

impl From<ControlCode> for Operation {
    fn from(code: ControlCode) -> Self {
        Self::Control(code.value())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Find => formatter.write_str("looking for the device"),
            Self::Open => formatter.write_str("opening the device"),
            Self::Close => formatter.write_str("closing the device"),
            Self::Rig(what) => formatter.write_str(what),
            Self::Control(value) => match name_of(value) {
                Some(name) => formatter.write_str(name),
                None => write!(formatter, "control code 0x{value:08X}"),
            },
        }
    }
}

fn name_of(value: u32) -> Option<&'static str> {
    CONTROL_CODES
        .iter()
        .find(|(code, _)| code.value() == value)
        .map(|(_, name)| *name)
}

/// Why an operation did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The driver, or the system on its behalf, refused or failed it.
    #[error("{operation}: {failure}")]
    Failed {
        /// What was tried.
        operation: Operation,
        /// The answer.
        failure: Failure,
    },
    /// No device can be reached; the text says what to check.
    #[error("{0}")]
    NoDevice(String),
    /// The other side does not answer, or says what it may not say.
    #[error("{operation}: {reason}")]
    Lost {
        /// What was tried.
        operation: Operation,
        /// What went wrong.
        reason: String,
    },
}

impl TransportError {
    /// The answer of the driver, if this is one.
    #[must_use]
    pub const fn failure(&self) -> Option<Failure> {
        match self {
            Self::Failed { failure, .. } => Some(*failure),
            Self::NoDevice(_) | Self::Lost { .. } => None,
        }
    }
}

/// How a device is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// Which of the devices, from zero.
    pub device: usize,
    /// For requests that read.
    pub read: bool,
    /// For requests that write.
    pub write: bool,
    /// What follows the device's name; the driver knows no such names.
    pub trailing_name: &'a str,
}

impl Open<'static> {
    /// For reading and writing, as all commands do it.
    #[must_use]
    pub const fn read_write(device: usize) -> Self {
        Self {
            device,
            read: true,
            write: true,
            trailing_name: "",
        }
    }
}

/// An operating system, or the rig: whatever has devices.
pub trait System: Sync {
    /// How many devices there are.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when the system does not answer.
    fn device_count(&self) -> Result<usize, TransportError>;

    /// Opens a device.
    ///
    /// # Errors
    /// [`TransportError::NoDevice`] when there is none with that number,
    /// [`TransportError::Failed`] when the open is refused,
    /// [`TransportError::Lost`] when the system does not answer.
    fn open(&self, open: &Open<'_>) -> Result<Box<dyn Transport>, TransportError>;
}

/// An open handle. Any number of threads may use it at the same time, and each
/// waits for its own request only.
pub trait Transport: Send + Sync {
    /// `DeviceIoControl`: returns what the driver wrote to the output buffer.
    ///
    /// # Errors
    /// [`TransportError::Failed`] with the driver's answer,
    /// [`TransportError::Lost`] when there is none within [`CONTROL_LIMIT`].
    fn device_io_control(
        &self,
        code: u32,
        input: &[u8],
        output_length: usize,
    ) -> Result<Vec<u8>, TransportError>;

    /// Closes the handle and waits until that is done. A handle that is merely
    /// dropped is closed too, but nobody learns of a failure.
    ///
    /// # Errors
    /// As [`Transport::device_io_control`].
    fn close(self: Box<Self>) -> Result<(), TransportError>;
}
