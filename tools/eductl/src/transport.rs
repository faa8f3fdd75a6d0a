//! What a command needs of the system it runs on: finding devices, opening
//! them, and requests on an open handle, which can be waited for and cancelled.

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
    /// Reading this many bytes at this offset of the device's buffer.
    Read(u64, usize),
    /// Writing this many bytes at this offset of the device's buffer.
    Write(u64, usize),
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
            Self::Read(offset, length) => {
                write!(formatter, "reading {length} bytes at offset {offset}")
            }
            Self::Write(offset, length) => {
                write!(formatter, "writing {length} bytes at offset {offset}")
            }
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
    /// The user does not want any more; see [`Stop`](crate::Stop).
    #[error("{0}: interrupted")]
    Interrupted(Operation),
}

impl TransportError {
    /// The answer of the driver, if this is one.
    #[must_use]
    pub const fn failure(&self) -> Option<Failure> {
        match self {
            Self::Failed { failure, .. } => Some(*failure),
            Self::NoDevice(_) | Self::Lost { .. } | Self::Interrupted(_) => None,
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

/// What is asked of an open device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoRequest<'a> {
    /// `DeviceIoControl`.
    Control {
        /// The I/O control code.
        code: u32,
        /// The input buffer.
        input: &'a [u8],
        /// Length of the output buffer, in bytes.
        output_length: usize,
    },
    /// `ReadFile`.
    Read {
        /// Where in the device's buffer, in bytes.
        offset: u64,
        /// Length of the buffer, in bytes.
        length: usize,
    },
    /// `WriteFile`.
    Write {
        /// Where in the device's buffer, in bytes.
        offset: u64,
        /// What to write.
        data: &'a [u8],
    },
}

impl IoRequest<'_> {
    /// What the request does.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match *self {
            Self::Control { code, .. } => Operation::Control(code),
            Self::Read { offset, length } => Operation::Read(offset, length),
            Self::Write { offset, data } => Operation::Write(offset, data.len()),
        }
    }
}

/// How a request that succeeded has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `IoStatus.Information`: bytes that were transferred.
    pub transferred: usize,
    /// What came: the output of a control request, or what was read.
    pub output: Vec<u8>,
}

/// A request that is under way.
///
/// One that is dropped is cancelled, and nobody learns how it ended.
pub trait Pending: Send {
    /// What was asked for.
    fn operation(&self) -> Operation;

    /// Whether the request ends within `limit`; how it ended is kept.
    fn ends_within(&mut self, limit: Duration) -> bool;

    /// Asks for the end of the request (`CancelIoEx`). It may end otherwise
    /// nevertheless, because it had ended already or could not be stopped any more.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when the system cannot be asked.
    fn cancel(&mut self) -> Result<(), TransportError>;

    /// Waits for the end of the request.
    ///
    /// # Errors
    /// [`TransportError::Failed`] with the driver's answer, which is that of
    /// `STATUS_CANCELLED` for a request that was cancelled;
    /// [`TransportError::Lost`] when there is none within [`CONTROL_LIMIT`].
    fn wait(self: Box<Self>) -> Result<Answer, TransportError>;
}

/// An open handle. Any number of threads may use it at the same time, and each
/// waits for its own request only.
pub trait Transport: Send + Sync {
    /// Starts a request and returns at once.
    ///
    /// # Errors
    /// [`TransportError::Failed`] when it is refused at once,
    /// [`TransportError::Lost`] when it cannot be sent.
    fn start(&self, request: &IoRequest<'_>) -> Result<Box<dyn Pending + '_>, TransportError>;

    /// This handle for what must be done even when the user does not want any more:
    /// requests through it are not interrupted.
    fn for_cleanup(&self) -> &dyn Transport;

    /// Closes the handle and waits until that is done. A handle that is merely
    /// dropped is closed too, but nobody learns of a failure.
    ///
    /// # Errors
    /// As [`Pending::wait`].
    fn close(self: Box<Self>) -> Result<(), TransportError>;

    /// `DeviceIoControl`: returns what the driver wrote to the output buffer.
    ///
    /// # Errors
    /// As [`Transport::start`] and [`Pending::wait`].
    fn device_io_control(
        &self,
        code: u32,
        input: &[u8],
        output_length: usize,
    ) -> Result<Vec<u8>, TransportError> {
        let request = IoRequest::Control {
            code,
            input,
            output_length,
        };
        Ok(self.start(&request)?.wait()?.output)
    }

    /// `ReadFile`: returns what was read, which may be shorter than `length`.
    ///
    /// # Errors
    /// As [`Transport::start`] and [`Pending::wait`].
    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, TransportError> {
        let request = IoRequest::Read { offset, length };
        Ok(self.start(&request)?.wait()?.output)
    }

    /// `WriteFile`: returns how many bytes were written.
    ///
    /// # Errors
    /// As [`Transport::start`] and [`Pending::wait`].
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<usize, TransportError> {
        let request = IoRequest::Write { offset, data };
        Ok(self.start(&request)?.wait()?.transferred)
    }
}
