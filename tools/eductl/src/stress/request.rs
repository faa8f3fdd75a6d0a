//! The requests that lanes send: what is asked, and whether the answer is right.

use std::{ops::Range, time::Duration};

use edu_interface::{
    ControlCode, FACTORIAL, Factorial, FactorialRequest, LIVENESS, Liveness, LivenessRequest,
    MAX_TIMEOUT_MS, RAISE_INTERRUPT, RaiseRequest, Raised,
};
use fastrand::Rng;
use zerocopy::{FromBytes, IntoBytes as _};

use super::{follower::Follower, mix::Kind, slice::Slice};
use crate::{
    commands::{factorial, liveness},
    device::{Device, DeviceError, Events, PendingEvents},
    transport::{Answer, IoRequest, Pending, Transport},
};

/// Operands up to here keep the device busy for a tenth of a millisecond.
const LARGEST_OPERAND: u32 = 100_000;

/// Most factorials are of numbers whose factorial is not 0 modulo 2^32.
const LAST_WITH_A_VALUE: u32 = 33;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Factorial { n: u32 },
    Raise { mask: u32 },
    Liveness { value: u32 },
    Read { range: Range<usize> },
    Write { offset: usize, data: Vec<u8> },
    Events,
}

impl Asked {
    /// Something of this kind, for one who owns `slice` of the device's buffer.
    pub(super) fn choose(kind: Kind, random: &mut Rng, slice: &Slice) -> Self {
        match kind {
            Kind::Factorial => Self::Factorial {
                n: if random.u8(0..8) == 0 {
                    random.u32(0..=LARGEST_OPERAND)
                } else {
                    random.u32(0..=LAST_WITH_A_VALUE)
                },
            },
            Kind::Raise => Self::Raise {
                // Few bits or many, among them those that the device uses itself.
                mask: match random.u32(..) & random.u32(..) {
                    0 => 1 << random.u32(0..u32::BITS),
                    mask => mask,
                },
            },
            Kind::Liveness => Self::Liveness {
                value: random.u32(..),
            },
            Kind::Read => Self::Read {
                range: slice.choose(random),
            },
            Kind::Write => {
                let range = slice.choose(random);
                let mut data = vec![0; range.len()];
                random.fill(&mut data);
                Self::Write {
                    offset: range.start,
                    data,
                }
            }
            Kind::Events => Self::Events,
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Factorial { .. } => Kind::Factorial,
            Self::Raise { .. } => Kind::Raise,
            Self::Liveness { .. } => Kind::Liveness,
            Self::Read { .. } => Kind::Read,
            Self::Write { .. } => Kind::Write,
            Self::Events => Kind::Events,
        }
    }

    /// Bytes that it transfers.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Read { range } => range.len(),
            Self::Write { data, .. } => data.len(),
            Self::Factorial { .. } | Self::Raise { .. } | Self::Liveness { .. } | Self::Events => 0,
        }
    }

    /// Sends it.
    pub(super) fn start<'t>(
        &self,
        transport: &'t dyn Transport,
        follower: &Follower,
    ) -> Result<Sent<'t>, DeviceError> {
        // None of these may pass its deadline, however busy the machine is.
        let timeout_ms = MAX_TIMEOUT_MS;
        let control = |code: ControlCode, input: &[u8], output_length| {
            transport.start(&IoRequest::Control {
                code: code.value(),
                input,
                output_length,
            })
        };
        let pending = match self {
            Self::Factorial { n } => {
                let request = FactorialRequest { n: *n, timeout_ms };
                control(FACTORIAL, request.as_bytes(), size_of::<Factorial>())
            }
            Self::Raise { mask } => {
                let request = RaiseRequest {
                    mask: *mask,
                    timeout_ms,
                };
                control(RAISE_INTERRUPT, request.as_bytes(), size_of::<Raised>())
            }
            Self::Liveness { value } => {
                let request = LivenessRequest { value: *value };
                control(LIVENESS, request.as_bytes(), size_of::<Liveness>())
            }
            Self::Read { range } => transport.start(&IoRequest::Read {
                offset: range.start as u64,
                length: range.len(),
            }),
            Self::Write { offset, data } => transport.start(&IoRequest::Write {
                offset: *offset as u64,
                data,
            }),
            Self::Events => {
                let events = Device::new(transport).start_wait_events(follower.after())?;
                return Ok(Sent::Events(events));
            }
        };
        Ok(Sent::Other(pending?))
    }

    /// Whether the answer is right; what it says is remembered.
    pub(super) fn judge(
        &self,
        reply: &Reply,
        slice: &mut Slice,
        follower: &mut Follower,
    ) -> Result<(), String> {
        let answer = match reply {
            Reply::Events(events) => return follower.take(events),
            Reply::Other(answer) => answer,
        };
        match self {
            Self::Factorial { n } => factorial::check(*n, output(answer)?),
            Self::Raise { mask } => contains(*mask, output::<Raised>(answer)?.causes),
            Self::Liveness { value } => liveness::check(*value, output::<Liveness>(answer)?.answer),
            Self::Read { range } => {
                whole(range.len(), answer.output.len())?;
                slice.read(range.start, &answer.output)
            }
            Self::Write { offset, data } => {
                whole(data.len(), answer.transferred)?;
                slice.written(*offset, data);
                Ok(())
            }
            Self::Events => Err("no events came where some were due".to_owned()),
        }
    }

    /// It has ended as a cancelled one.
    pub(super) fn cancelled(&self, slice: &mut Slice) {
        if let Self::Write { offset, data } = self {
            slice.may_be_written(*offset, data);
        }
    }
}

/// A request that is under way.
pub(super) enum Sent<'t> {
    Events(PendingEvents<'t>),
    Other(Box<dyn Pending + 't>),
}

/// What came of it.
pub(super) enum Reply {
    Events(Events),
    Other(Answer),
}

impl Sent<'_> {
    pub(super) fn ends_within(&mut self, limit: Duration) -> bool {
        match self {
            Self::Events(pending) => pending.ends_within(limit),
            Self::Other(pending) => pending.ends_within(limit),
        }
    }

    pub(super) fn cancel(&mut self) -> Result<(), DeviceError> {
        match self {
            Self::Events(pending) => pending.cancel(),
            Self::Other(pending) => Ok(pending.cancel()?),
        }
    }

    pub(super) fn wait(self) -> Result<Reply, DeviceError> {
        match self {
            Self::Events(pending) => pending.wait().map(Reply::Events),
            Self::Other(pending) => Ok(Reply::Other(pending.wait()?)),
        }
    }
}

/// Whether the bits of `mask` are among the causes. The other engine's may be too.
pub(crate) fn contains(mask: u32, causes: u32) -> Result<(), String> {
    if causes & mask == mask {
        return Ok(());
    }
    Err(format!(
        "the status bits 0x{mask:08x} were raised, and the ISR read 0x{causes:08x}"
    ))
}

fn output<R: FromBytes>(answer: &Answer) -> Result<R, String> {
    R::read_from_bytes(&answer.output).map_err(|_| {
        format!(
            "a reply of {} bytes came where {} were due",
            answer.output.len(),
            size_of::<R>()
        )
    })
}

fn whole(wanted: usize, got: usize) -> Result<(), String> {
    if got == wanted {
        return Ok(());
    }
    Err(format!("of {wanted} bytes {got} were transferred"))
}
