//! Requests on a handle that are under way in the rig.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rig_protocol::{Reply, Request};

use super::{
    ANSWER_LIMIT,
    connection::{Connection, Pending as PendingReply, unanswered},
    succeeded, unexpected,
};
use crate::{
    status::NtStatus,
    transport::{Answer, CONTROL_LIMIT, Operation, Pending, TransportError},
};

/// How long a request may be neither outstanding in the rig nor answered: its
/// processors take requests in any order, so a cancellation may be there first.
const CANCEL_LIMIT: Duration = Duration::from_secs(30);
/// What passes before the rig is asked again.
const AGAIN: Duration = Duration::from_millis(5);

/// A control request, a read or a write that is under way.
pub struct PendingControl {
    operation: Operation,
    pending: PendingReply,
    output_length: usize,
}

impl PendingControl {
    pub(super) const fn new(
        operation: Operation,
        pending: PendingReply,
        output_length: usize,
    ) -> Self {
        Self {
            operation,
            pending,
            output_length,
        }
    }

    /// Waits for the end of a read, a write or a direct control request: how many bytes
    /// were transferred, and what came for the caller.
    ///
    /// # Errors
    /// As [`Pending::wait`].
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

    /// Waits for the driver's answer to a request that brings as many bytes as it
    /// says.
    ///
    /// # Errors
    /// As [`Pending::wait`].
    pub fn wait(self) -> Result<Vec<u8>, TransportError> {
        let (operation, room) = (self.operation, self.output_length);
        let (information, output) = self.wait_transfer()?;
        let written = u64::try_from(output.len()).unwrap_or(u64::MAX);
        if information != written || output.len() > room {
            return Err(TransportError::Lost {
                operation,
                reason: format!(
                    "the driver says that it wrote {information} bytes into an output buffer of \
                     {room}, and {written} came"
                ),
            });
        }
        Ok(output)
    }

    /// Waits for the end of a write of as many bytes as the request's output length
    /// says.
    fn wait_written(self) -> Result<Answer, TransportError> {
        let (operation, length) = (self.operation, self.output_length);
        let (information, output) = self.wait_transfer()?;
        match usize::try_from(information) {
            Ok(transferred) if transferred <= length && output.is_empty() => Ok(Answer {
                transferred,
                output,
            }),
            _ => Err(TransportError::Lost {
                operation,
                reason: format!(
                    "the driver says that it took {information} bytes of {length}, and {} came \
                     back",
                    output.len()
                ),
            }),
        }
    }
}

/// The same as a [`Pending`], which cancels it when it is dropped.
pub(super) struct RigPending {
    connection: Arc<Connection>,
    /// None once it is waited for.
    control: Option<PendingControl>,
    operation: Operation,
    number: u32,
}

impl RigPending {
    pub(super) const fn new(connection: Arc<Connection>, control: PendingControl) -> Self {
        Self {
            connection,
            operation: control.operation,
            number: control.number(),
            control: Some(control),
        }
    }

    /// Whether the rig knew the request, and has had it cancelled.
    fn try_cancel(&self) -> Result<bool, TransportError> {
        let request = Request::Cancel {
            number: self.number,
        };
        match self
            .connection
            .request(self.operation, request, ANSWER_LIMIT)?
        {
            Reply::Completed { status, .. } if status == NtStatus::NOT_FOUND.0 => Ok(false),
            Reply::Completed { status, .. } => succeeded(self.operation, status).map(|()| true),
            other => Err(unexpected(self.operation, &other)),
        }
    }
}

impl Pending for RigPending {
    fn operation(&self) -> Operation {
        self.operation
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        self.control
            .as_mut()
            .is_none_or(|control| control.pending.ends_within(limit))
    }

    fn cancel(&mut self) -> Result<(), TransportError> {
        let began = Instant::now();
        while !self.ends_within(Duration::ZERO) && !self.try_cancel()? {
            if began.elapsed() > CANCEL_LIMIT {
                return Err(TransportError::Lost {
                    operation: self.operation,
                    reason: "the rig neither answers the request nor knows it".to_owned(),
                });
            }
            thread::sleep(AGAIN);
        }
        Ok(())
    }

    fn wait(mut self: Box<Self>) -> Result<Answer, TransportError> {
        // Given up, the request is cancelled when this value is dropped.
        if !self.ends_within(CONTROL_LIMIT) {
            return Err(unanswered(self.operation, CONTROL_LIMIT));
        }
        let Some(control) = self.control.take() else {
            return Err(unanswered(self.operation, Duration::ZERO));
        };
        if matches!(self.operation, Operation::Write(..)) {
            return control.wait_written();
        }
        control.wait().map(|output| Answer {
            transferred: output.len(),
            output,
        })
    }
}

impl Drop for RigPending {
    fn drop(&mut self) {
        if self.control.is_some() && !self.ends_within(Duration::ZERO) {
            self.connection.send_without_reply(Request::Cancel {
                number: self.number,
            });
        }
    }
}
