//! A handle that the rig has opened.

use std::{sync::Arc, time::Duration};

use rig_protocol::{Ask, Load, Loaded, MAX_TRANSFER, Reply, Request};

use super::{
    ANSWER_LIMIT,
    connection::Connection,
    failed,
    request::{PendingControl, RigPending},
    succeeded, unexpected,
};
use crate::transport::{CONTROL_LIMIT, IoRequest, Operation, Pending, Transport, TransportError};

/// An open handle in the rig.
pub struct RigHandle {
    connection: Arc<Connection>,
    /// None once it was closed.
    handle: Option<u32>,
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
        let longest = input.len().max(output_length);
        let request = |handle, output_length| Request::DeviceControl {
            handle,
            code,
            input: input.to_vec(),
            output_length,
        };
        self.send(operation, longest, output_length, request)
    }

    /// Sends a read of `length` bytes at `offset` and returns at once.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it cannot be sent.
    pub fn start_read(&self, offset: u64, length: usize) -> Result<PendingControl, TransportError> {
        let operation = Operation::Read(offset, length);
        let request = |handle, length| Request::Read {
            handle,
            offset,
            length,
        };
        self.send(operation, length, length, request)
    }

    /// Sends a write of `data` at `offset` and returns at once.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it cannot be sent.
    pub fn start_write(&self, offset: u64, data: &[u8]) -> Result<PendingControl, TransportError> {
        let operation = Operation::Write(offset, data.len());
        let request = |handle, _| Request::Write {
            handle,
            offset,
            data: data.to_vec(),
        };
        self.send(operation, data.len(), data.len(), request)
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
        let longest = input.len().max(buffer.len());
        let request = |handle, _| Request::DirectControl {
            handle,
            code,
            input: input.to_vec(),
            buffer: buffer.to_vec(),
        };
        self.send(operation, longest, buffer.len(), request)
    }

    /// Has the rig send what the driver must refuse: control codes that differ from one of
    /// `codes` in one field, those that are nobody's, and `majors`; says how many were
    /// refused.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it does not answer: one was not refused, and the
    /// rig's log says which.
    pub fn probe(&self, codes: &[u32], majors: &[u8]) -> Result<u64, TransportError> {
        let operation = Operation::Rig("sending what must be refused");
        let request = Request::Probe {
            handle: self.handle.ok_or_else(|| closed(operation))?,
            codes: codes.to_vec(),
            majors: majors.to_vec(),
        };
        match self.connection.request(operation, request, CONTROL_LIMIT)? {
            Reply::Completed {
                status,
                information,
                ..
            } => succeeded(operation, status).map(|()| information),
            other => Err(unexpected(operation, &other)),
        }
    }

    /// Has the rig keep `outstanding` requests on this handle until `requests` of them have
    /// ended: what `asks` says, in turn.
    ///
    /// # Errors
    /// [`TransportError::Failed`] with the status of the first that failed,
    /// [`TransportError::Lost`] when the rig refuses the load, or has not answered within
    /// `limit`.
    pub fn load(
        &self,
        asks: &[Ask],
        outstanding: u32,
        requests: u32,
        limit: Duration,
    ) -> Result<Loaded, TransportError> {
        let operation = Operation::Rig("a load");
        let request = Request::Load(Load {
            handle: self.handle.ok_or_else(|| closed(operation))?,
            asks: asks.to_vec(),
            outstanding,
            requests,
        });
        match self.connection.request(operation, request, limit)? {
            Reply::Loaded(loaded) => Ok(*loaded),
            Reply::Completed { status, .. } if status >= 0x8000_0000 => {
                Err(failed(operation, status))
            }
            other => Err(unexpected(operation, &other)),
        }
    }

    /// Sends the request that `request` makes of the handle and the output's length,
    /// unless its longest buffer does not fit.
    fn send(
        &self,
        operation: Operation,
        longest: usize,
        output_length: usize,
        request: impl FnOnce(u32, u32) -> Request,
    ) -> Result<PendingControl, TransportError> {
        let handle = self.handle.ok_or_else(|| closed(operation))?;
        let length = u32::try_from(output_length)
            .ok()
            .filter(|_| longest <= MAX_TRANSFER)
            .ok_or_else(|| TransportError::Lost {
                operation,
                reason: format!("the command channel carries at most {MAX_TRANSFER} bytes"),
            })?;
        let request = request(handle, length);
        let pending = self.connection.send(operation, request, CONTROL_LIMIT)?;
        Ok(PendingControl::new(operation, pending, output_length))
    }
}

impl Transport for RigHandle {
    fn start(&self, request: &IoRequest<'_>) -> Result<Box<dyn Pending + '_>, TransportError> {
        let control = match *request {
            IoRequest::Control {
                code,
                input,
                output_length,
            } => self.start_control(code, input, output_length),
            IoRequest::Read { offset, length } => self.start_read(offset, length),
            IoRequest::Write { offset, data } => self.start_write(offset, data),
        }?;
        Ok(Box::new(RigPending::new(
            Arc::clone(&self.connection),
            control,
        )))
    }

    fn for_cleanup(&self) -> &dyn Transport {
        self
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
