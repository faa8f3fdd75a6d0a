//! Control requests: codes, lengths, and what the fields may say.

use dirql::{
    irp::Buffers,
    status::{NtError, Result},
};
use edu_controller::{Deadline, Operation};
use edu_interface::{
    ControlCode, DEFAULT_TIMEOUT_MS, Event, EventsHeader, EventsRequest, FACTORIAL, Factorial,
    FactorialRequest, IDENTIFY, Identity, LIVENESS, Liveness, LivenessRequest, MAX_TIMEOUT_MS,
    RAISE_INTERRUPT, READ_RECORDS, RESET_STATISTICS, RaiseRequest, Raised, Record, RecorderRequest,
    RecordsHeader, RecordsRequest, STATISTICS, SWITCH_RECORDER, Statistics, WAIT_EVENTS,
};
use zerocopy::FromBytes;

/// Milliseconds from one tick of the watchdog timer to the next: how exactly deadlines are
/// kept.
pub const TICK_MS: u32 = 20;

/// A control request that is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Who is there? The output has room for an [`Identity`].
    Identify,
    /// The counters. The output has room for [`Statistics`].
    Statistics,
    /// The counters are set to zero.
    ResetStatistics {
        /// What they were is wanted, and the output has room for [`Statistics`].
        wanted: bool,
    },
    /// The flight recorder is switched.
    SwitchRecorder {
        /// On, or off.
        on: bool,
    },
    /// The flight recorder is read. The output has room for a head and a record.
    ReadRecords {
        /// The first number of interest.
        after: u64,
    },
    /// Events are waited for. The output has room for a head and an event.
    WaitEvents {
        /// The first number of interest.
        after: u64,
    },
    /// Something that needs the device.
    Packeted(Packeted),
}

/// A request that needs the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packeted {
    /// Write and read the liveness register.
    Liveness {
        /// What to write.
        value: u32,
    },
    /// Ends with an interrupt.
    Operation {
        /// What the device is to do.
        operation: Operation,
        /// How long it may take.
        deadline: Deadline,
    },
}

/// The shortest reply to [`WAIT_EVENTS`] with an event in it.
#[derive(Debug)]
struct ShortestEvents {
    _header: EventsHeader,
    _event: Event,
}

/// The shortest reply to [`READ_RECORDS`] with a record in it.
#[derive(Debug)]
struct ShortestRecords {
    _header: RecordsHeader,
    _record: Record,
}

const fn is(code: u32, known: ControlCode) -> bool {
    code == known.value()
}

impl Asked {
    /// Reads the request with this control code, and checks it.
    ///
    /// # Errors
    /// As the crate's page has them.
    pub fn parse(code: u32, request: &impl Buffers) -> Result<Self> {
        match code {
            _ if is(code, IDENTIFY) => request.expect_output::<Identity>().map(|()| Self::Identify),
            _ if is(code, STATISTICS) => {
                let fits = request.expect_output::<Statistics>();
                fits.map(|()| Self::Statistics)
            }
            _ if is(code, RESET_STATISTICS) => {
                let wanted = request.output_length() > 0;
                if wanted {
                    request.expect_output::<Statistics>()?;
                }
                Ok(Self::ResetStatistics { wanted })
            }
            _ if is(code, SWITCH_RECORDER) => match request.input::<RecorderRequest>()?.on {
                0 => Ok(Self::SwitchRecorder { on: false }),
                1 => Ok(Self::SwitchRecorder { on: true }),
                _ => Err(NtError::STATUS_INVALID_PARAMETER),
            },
            _ if is(code, READ_RECORDS) => {
                let after = request.input::<RecordsRequest>()?.after;
                request.expect_output::<ShortestRecords>()?;
                Ok(Self::ReadRecords { after })
            }
            _ if is(code, WAIT_EVENTS) => {
                let after = request.input::<EventsRequest>()?.after;
                request.expect_output::<ShortestEvents>()?;
                Ok(Self::WaitEvents { after })
            }
            _ => Packeted::parse(code, request).map(Self::Packeted),
        }
    }
}

impl Packeted {
    /// Reads the request of a packet, and checks it. StartIo calls this again for one that
    /// the dispatch routine has checked; the system buffer cannot have changed.
    ///
    /// # Errors
    /// As the crate's page has them; STATUS_INVALID_DEVICE_REQUEST for every control code
    /// that needs no device.
    pub fn parse(code: u32, request: &impl Buffers) -> Result<Self> {
        match code {
            _ if is(code, LIVENESS) => read::<LivenessRequest>(request),
            _ if is(code, FACTORIAL) => read::<FactorialRequest>(request),
            _ if is(code, RAISE_INTERRUPT) => read::<RaiseRequest>(request),
            _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST),
        }
    }
}

/// A request that goes to the device, and its reply.
trait Request: FromBytes {
    type Reply;

    fn validate(self) -> Result<Packeted>;
}

fn read<T: Request>(buffers: &impl Buffers) -> Result<Packeted> {
    let request = buffers.input::<T>()?;
    buffers.expect_output::<T::Reply>()?;
    request.validate()
}

impl Request for LivenessRequest {
    type Reply = Liveness;

    fn validate(self) -> Result<Packeted> {
        Ok(Packeted::Liveness { value: self.value })
    }
}

impl Request for FactorialRequest {
    type Reply = Factorial;

    fn validate(self) -> Result<Packeted> {
        Ok(Packeted::Operation {
            operation: Operation::Factorial { n: self.n },
            deadline: deadline(self.timeout_ms)?,
        })
    }
}

impl Request for RaiseRequest {
    type Reply = Raised;

    fn validate(self) -> Result<Packeted> {
        if self.mask == 0 {
            return Err(NtError::STATUS_INVALID_PARAMETER);
        }
        Ok(Packeted::Operation {
            operation: Operation::Raise { mask: self.mask },
            deadline: deadline(self.timeout_ms)?,
        })
    }
}

/// The deadline of a request's time-out, in watchdog ticks.
fn deadline(timeout_ms: u32) -> Result<Deadline> {
    let timeout_ms = match timeout_ms {
        0 => DEFAULT_TIMEOUT_MS,
        1..=MAX_TIMEOUT_MS => timeout_ms,
        _ => return Err(NtError::STATUS_INVALID_PARAMETER),
    };
    Ok(Deadline::after_ticks(timeout_ms.div_ceil(TICK_MS)))
}
