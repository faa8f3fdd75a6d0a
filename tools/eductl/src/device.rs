//! The driver's requests with their types, over any transport.

mod batch;

use std::time::Duration;

use edu_interface::{
    ControlCode, EventsRequest, FACTORIAL, Factorial, FactorialRequest, IDENTIFY, Identity,
    LIVENESS, Liveness, LivenessRequest, RAISE_INTERRUPT, READ_RECORDS, RESET_STATISTICS,
    RaiseRequest, Raised, RecorderRequest, RecordsRequest, STATISTICS, SWITCH_RECORDER, Statistics,
    WAIT_EVENTS,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::transport::{IoRequest, Operation, Pending, Transport, TransportError};
pub use batch::{Events, Records};

/// Room for the reply of a request that brings as many items as fit, in bytes: as much
/// as the command channel of the rig carries.
pub const BATCH_BYTES: usize = 4096;

/// Why a typed request did not give a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The request failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It succeeded, but the reply has the wrong length.
    #[error(
        "{operation}: the driver replied with {got} bytes instead of {wanted}; \
         use an eductl of the driver's interface version"
    )]
    ReplyLength {
        /// The request.
        operation: Operation,
        /// Bytes that came.
        got: usize,
        /// Bytes that the reply has.
        wanted: usize,
    },
    /// It succeeded, but what the reply says of itself is not so.
    #[error("{operation}: the driver's reply makes no sense: {reason}")]
    Malformed {
        /// The request.
        operation: Operation,
        /// What is wrong.
        reason: String,
    },
}

/// The edu device behind an open handle.
#[derive(Clone, Copy)]
pub struct Device<'a> {
    transport: &'a dyn Transport,
}

impl<'a> Device<'a> {
    /// The device that `transport` is a handle to.
    #[must_use]
    pub const fn new(transport: &'a dyn Transport) -> Self {
        Self { transport }
    }

    /// The handle.
    #[must_use]
    pub const fn transport(&self) -> &'a dyn Transport {
        self.transport
    }

    /// Who is there.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn identify(&self) -> Result<Identity, DeviceError> {
        self.request(IDENTIFY, &[])
    }

    /// Writes `value` to the liveness register and returns what it reads then.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn liveness(&self, value: u32) -> Result<u32, DeviceError> {
        let request = LivenessRequest { value };
        self.request(LIVENESS, request.as_bytes())
            .map(|reply: Liveness| reply.answer)
    }

    /// Has the device compute `n!` modulo 2^32.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn factorial(&self, n: u32, timeout_ms: u32) -> Result<Factorial, DeviceError> {
        let request = FactorialRequest { n, timeout_ms };
        self.request(FACTORIAL, request.as_bytes())
    }

    /// Has the device interrupt with the status bits of `mask`, and returns
    /// those that the ISR read.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn raise(&self, mask: u32, timeout_ms: u32) -> Result<u32, DeviceError> {
        let request = RaiseRequest { mask, timeout_ms };
        self.request(RAISE_INTERRUPT, request.as_bytes())
            .map(|reply: Raised| reply.causes)
    }

    /// The driver's counters.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn statistics(&self) -> Result<Statistics, DeviceError> {
        self.request(STATISTICS, &[])
    }

    /// Sets the driver's counters to zero and returns what they were.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn reset_statistics(&self) -> Result<Statistics, DeviceError> {
        self.request(RESET_STATISTICS, &[])
    }

    /// The device for what must be done even when the user wants to stop.
    #[must_use]
    pub fn for_cleanup(&self) -> Self {
        Self::new(self.transport.for_cleanup())
    }

    /// Reads `length` bytes at `offset` of the device's buffer.
    ///
    /// # Errors
    /// [`DeviceError`]; a short read is one.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, DeviceError> {
        let output = self.transport.read_at(offset, length)?;
        as_long_as(Operation::Read(offset, length), output.len(), length)?;
        Ok(output)
    }

    /// Writes `data` at `offset` of the device's buffer.
    ///
    /// # Errors
    /// [`DeviceError`]; a short write is one.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), DeviceError> {
        let written = self.transport.write_at(offset, data)?;
        as_long_as(Operation::Write(offset, data.len()), written, data.len())
    }

    /// Asks for the events from number `after` on ([`edu_interface::EventsRequest`]),
    /// which may be there already or come with the next interrupt.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn start_wait_events(&self, after: u64) -> Result<PendingEvents<'a>, DeviceError> {
        let request = EventsRequest { after };
        let pending = self.transport.start(&IoRequest::Control {
            code: WAIT_EVENTS.value(),
            input: request.as_bytes(),
            output_length: BATCH_BYTES,
        })?;
        Ok(PendingEvents { pending, after })
    }

    /// As [`start_wait_events`](Self::start_wait_events), and waits for them.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn wait_events(&self, after: u64) -> Result<Events, DeviceError> {
        self.start_wait_events(after)?.wait()
    }

    /// Switches the flight recorder on or off.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn switch_recorder(&self, on: bool) -> Result<(), DeviceError> {
        let request = RecorderRequest { on: u32::from(on) };
        let code = SWITCH_RECORDER;
        let output = self
            .transport
            .device_io_control(code.value(), request.as_bytes(), 0)?;
        as_long_as(code.into(), output.len(), 0)
    }

    /// Reads the flight recorder from number `after` on, as much as fits in one reply.
    ///
    /// # Errors
    /// [`DeviceError`], as for all requests here.
    pub fn read_records(&self, after: u64) -> Result<Records, DeviceError> {
        let request = RecordsRequest { after };
        let code = READ_RECORDS;
        let output =
            self.transport
                .device_io_control(code.value(), request.as_bytes(), BATCH_BYTES)?;
        Records::parse(after, &output)
    }

    fn request<R: FromBytes + IntoBytes + Immutable>(
        &self,
        code: ControlCode,
        input: &[u8],
    ) -> Result<R, DeviceError> {
        let wanted = size_of::<R>();
        let output = self
            .transport
            .device_io_control(code.value(), input, wanted)?;
        R::read_from_bytes(&output).map_err(|_| reply_length(code.into(), output.len(), wanted))
    }
}

fn as_long_as(operation: Operation, got: usize, wanted: usize) -> Result<(), DeviceError> {
    if got == wanted {
        return Ok(());
    }
    Err(reply_length(operation, got, wanted))
}

const fn reply_length(operation: Operation, got: usize, wanted: usize) -> DeviceError {
    DeviceError::ReplyLength {
        operation,
        got,
        wanted,
    }
}

/// A request for events that is under way. One that is dropped is cancelled.
pub struct PendingEvents<'a> {
    pending: Box<dyn Pending + 'a>,
    after: u64,
}

impl PendingEvents<'_> {
    /// Whether it ends within `limit`; how it ended is kept.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        self.pending.ends_within(limit)
    }

    /// Asks for its end.
    ///
    /// # Errors
    /// As [`Pending::cancel`].
    pub fn cancel(&mut self) -> Result<(), DeviceError> {
        Ok(self.pending.cancel()?)
    }

    /// Waits for the events.
    ///
    /// # Errors
    /// [`DeviceError`]; of a request that was cancelled it is the answer for
    /// `STATUS_CANCELLED`.
    pub fn wait(self) -> Result<Events, DeviceError> {
        let answer = self.pending.wait()?;
        Events::parse(self.after, &answer.output)
    }
}
