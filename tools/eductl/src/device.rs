//! The driver's requests with their types, over any transport.

use edu_interface::{
    ControlCode, FACTORIAL, Factorial, FactorialRequest, IDENTIFY, Identity, LIVENESS, Liveness,
    LivenessRequest, RAISE_INTERRUPT, RESET_STATISTICS, RaiseRequest, Raised, STATISTICS,
    Statistics,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::transport::{Operation, Transport, TransportError};

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

    fn request<R: FromBytes + IntoBytes + Immutable>(
        &self,
        code: ControlCode,
        input: &[u8],
    ) -> Result<R, DeviceError> {
        let wanted = size_of::<R>();
        let output = self
            .transport
            .device_io_control(code.value(), input, wanted)?;
        R::read_from_bytes(&output).map_err(|_| DeviceError::ReplyLength {
            operation: code.into(),
            got: output.len(),
            wanted,
        })
    }
}
