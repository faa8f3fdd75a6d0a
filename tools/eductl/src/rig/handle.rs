//! A handle that the rig has opened.

use std::{sync::Arc, time::Duration};

use rig_protocol::{MAX_TRANSFER, Reply, Request};

use super::{
    ANSWER_LIMIT,
    connection::{Connection, Pending},
    succeeded, unexpected,
};
use crate::transport::{CONTROL_LIMIT, Operation, Transport, TransportError};

/// An open handle in the rig.
pub struct RigHandle {
    connection: Arc<Connection>,
    /// None once it was closed.
    handle: Option<u32>,
}

/// A control request that is under way.
pub struct PendingControl {
    operation: Operation,
    pending: Pending,
    output_length: usize,
}

impl RigHandle {
    pub(super) const fn new(connection: Arc<Connection>, handle: u32) -> Self {
        Self {
            connection,
            handle: Some(handle),
        }
    }

    /// Sends a control request and returns at once.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it cannot be sent.
    pub fn start_control(
        &self,
        code: u32,
        input: &[u8],
        output_length: usize,
    ) -> Result<PendingControl, TransportError> {
        let operation = Operation::Control(code);
        if input.len() > MAX_TRANSFER || output_length > MAX_TRANSFER {
            return Err(TransportError::Lost {
                operation,
                reason: format!("the command channel carries at most {MAX_TRANSFER} bytes"),
            });
        }
        let request = Request::DeviceControl {
            handle: self.handle.ok_or_else(|| closed(operation))?,
            code,
            input: input.to_vec(),
            output_length: u32::try_from(output_length).map_err(|_| closed(operation))?,
        };
        Ok(PendingControl {
            operation,
            pending: self.connection.send(operation, request, CONTROL_LIMIT)?,
            output_length,
        })
    }
}

impl RigHandle {
    /// Sends a read of `length` bytes at `offset` and returns at once.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it cannot be sent.
    pub fn start_read(&self, offset: u64, length: usize) -> Result<PendingControl, TransportError> {
        let operation = Operation::Rig("reading from the device");
        let handle = self.handle.ok_or_else(|| closed(operation))?;
        let request = Request::Read {
            handle,
            offset,
            length: u32::try_from(length).map_err(|_| closed(operation))?,
        };
        self.start(operation, request, length)
    }

    /// Sends a write of `data` at `offset` and returns at once.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it cannot be sent.
    pub fn start_write(&self, offset: u64, data: &[u8]) -> Result<PendingControl, TransportError> {
        let operation = Operation::Rig("writing to the device");
        let handle = self.handle.ok_or_else(|| closed(operation))?;
        let request = Request::Write {
            handle,
            offset,
            data: data.to_vec(),
        };
        self.start(operation, request, data.len())
    }

    /// Sends a control request with a direct method, whose second buffer holds `buffer`,
    /// and returns at once.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it cannot be sent.
    pub fn start_direct_control(
        &self,
        code: u32,
        input: &[u8],
        buffer: &[u8],
    ) -> Result<PendingControl, TransportError> {
        let operation = Operation::Control(code);
        let handle = self.handle.ok_or_else(|| closed(operation))?;
        let request = Request::DirectControl {
            handle,
            code,
            input: input.to_vec(),
            buffer: buffer.to_vec(),
        };
        self.start(operation, request, buffer.len())
    }

    fn start(
        &self,
        operation: Operation,
        request: Request,
        output_length: usize,
    ) -> Result<PendingControl, TransportError> {
        if output_length > MAX_TRANSFER {
            return Err(TransportError::Lost {
                operation,
                reason: format!("the command channel carries at most {MAX_TRANSFER} bytes"),
            });
        }
        Ok(PendingControl {
            operation,
            pending: self.connection.send(operation, request, CONTROL_LIMIT)?,
            output_length,
        })
    }
}

impl PendingControl {
    /// Waits for the end of a read, a write or a direct control request: how many bytes
    /// were transferred, and what came for the caller.
    ///
    /// # Errors
    /// As [`Transport::device_io_control`].
    pub fn wait_transfer(self) -> Result<(u64, Vec<u8>), TransportError> {
        let operation = self.operation;
        match self.pending.wait(CONTROL_LIMIT)? {
            Reply::Completed {
                status,
                information,
                output,
            } => {
                succeeded(operation, status)?;
                Ok((information, output))
            }
            other => Err(unexpected(operation, &other)),
        }
    }

    /// The number by which the request can be cancelled.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.pending.number()
    }

    /// Whether the driver answers within `limit`; the answer is kept.
    pub fn answers_within(&mut self, limit: Duration) -> bool {
        self.pending.answers_within(limit)
    }

    /// Waits for the driver's answer.
    ///
    /// # Errors
    /// As [`Transport::device_io_control`].
    pub fn wait(self) -> Result<Vec<u8>, TransportError> {
        let operation = self.operation;
        match self.pending.wait(CONTROL_LIMIT)? {
            Reply::Completed {
                status,
                information,
                output,
            } => {
                succeeded(operation, status)?;
                let written = u64::try_from(output.len()).unwrap_or(u64::MAX);
                if information != written || output.len() > self.output_length {
                    return Err(TransportError::Lost {
                        operation,
                        reason: format!(
                            "the driver says that it wrote {information} bytes into an output \
                             buffer of {}, and {written} came",
                            self.output_length
                        ),
                    });
                }
                Ok(output)
            }
            other => Err(unexpected(operation, &other)),
        }
    }
}

impl Transport for RigHandle {
    fn device_io_control(
        &self,
        code: u32,
        input: &[u8],
        output_length: usize,
    ) -> Result<Vec<u8>, TransportError> {
        self.start_control(code, input, output_length)?.wait()
    }

    fn close(mut self: Box<Self>) -> Result<(), TransportError> {
        let operation = Operation::Close;
        let handle = self.handle.take().ok_or_else(|| closed(operation))?;
        let request = Request::Close { handle };
        match self.connection.request(operation, request, ANSWER_LIMIT)? {
            Reply::Completed { status, .. } => succeeded(operation, status),
            other => Err(unexpected(operation, &other)),
        }
    }
}

impl Drop for RigHandle {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.connection
                .send_without_reply(Request::Close { handle });
        }
    }
}

fn closed(operation: Operation) -> TransportError {
    TransportError::Lost {
        operation,
        reason: "the handle is closed".to_owned(),
    }
}
