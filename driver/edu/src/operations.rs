//! StartIo and DpcForIsr: the two ends of an operation.

use dirql::{
    device::Device,
    driver::DpcForIsr,
    irp::Buffers,
    irql::{AtMostDispatch, Dispatch, UpToDispatch},
    start_io::{Packet, PacketId, Start, StartIo, TakeBack},
    status::{NtError, Result},
};
use edu_controller::{Controller, Ended, Outcome, Refused};
use edu_interface::{Factorial, Liveness, Raised, RecordKind, Section};

use edu_requests::Packeted;

use crate::{Edu, events, recorder::section};

impl StartIo for Edu {
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start {
        let begun = device.recorder.begin();
        let code = packet.control_code();
        let start = start_packet(device, irql, packet, code);
        device
            .recorder
            .end(irql, RecordKind::StartIo, begun, code.unwrap_or(0));
        start
    }
}

/// Has the device do what a packet asks for, or completes it.
fn start_packet(
    device: &Device<Edu>,
    irql: &mut Dispatch,
    packet: Packet,
    code: Option<u32>,
) -> Start {
    match code.map(|code| Packeted::parse(code, &packet)) {
        Some(Ok(Packeted::Liveness { value })) => {
            match check_liveness(device, irql, Section::StartIo, value) {
                Some(answer) => {
                    packet.complete(irql, Ok(answer));
                    Start::Accepted
                }
                None => Start::Refused(packet),
            }
        }
        Some(Ok(Packeted::Operation {
            operation,
            deadline,
        })) => {
            let mut packet = Some(packet);
            let armed = section(device, irql, Section::StartIo, |_, shared| {
                shared.0.arm(&mut packet, operation, deadline)
            });
            started(irql, packet, armed)
        }
        Some(Err(error)) => {
            packet.fail(irql, error);
            Start::Accepted
        }
        None => {
            packet.fail(irql, NtError::STATUS_INVALID_DEVICE_REQUEST);
            Start::Accepted
        }
    }
}

/// The packet is `left` if the controller has not taken it, or no critical section ran.
fn started(
    irql: &mut Dispatch,
    left: Option<Packet>,
    armed: Option<core::result::Result<(), Refused>>,
) -> Start {
    match (left, armed) {
        (None, _) => Start::Accepted,
        (Some(packet), Some(Err(Refused::Busy))) => {
            packet.fail(irql, NtError::STATUS_DEVICE_BUSY);
            Start::Accepted
        }
        (Some(packet), _) => Start::Refused(packet),
    }
}

/// Writes the liveness register and reads the answer; `None` while the device is
/// stopped.
pub(crate) fn check_liveness<I: AtMostDispatch>(
    device: &Device<Edu>,
    irql: &mut I,
    who: Section,
    value: u32,
) -> Option<Liveness> {
    let answer = section(device, irql, who, |_, shared| {
        shared.0.check_liveness(value)
    });
    answer.flatten().map(|answer| Liveness { answer })
}

/// A request that is cancelled, or whose handle is closed, while the device works on it.
impl TakeBack for Edu {
    fn take_back(
        device: &Device<Self>,
        irql: &mut UpToDispatch,
        packet: PacketId,
    ) -> Option<Packet> {
        let taken = section(device, irql, Section::Cancel, |_, shared| {
            shared.0.take_back(|owner| owner.id() == packet)
        });
        let taken = taken.flatten();
        if taken.is_some() {
            device.recorder.mark(irql, RecordKind::Cancel, 0);
        }
        taken
    }
}

impl DpcForIsr for Edu {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let begun = device.recorder.begin();
        let ended = events::drain(device, irql, Section::DpcForIsr, Controller::drain);
        let ended = ended.flatten();
        let found = u32::from(ended.is_some());
        if let Some(ended) = ended {
            complete(irql, ended);
        }
        device
            .recorder
            .end(irql, RecordKind::DpcForIsr, begun, found);
    }
}

/// Completes the IRP of an operation that has ended. The next one is started by that: it was
/// not before, and so this one's end was the only one.
pub(crate) fn complete(irql: &mut Dispatch, ended: Ended<Packet>) {
    match ended.outcome {
        Outcome::Factorial { n, value } => {
            let reply: Result<_> = Ok(Factorial { n, value });
            ended.owner.complete(irql, reply);
        }
        Outcome::Raised { causes } => {
            let reply: Result<_> = Ok(Raised {
                causes,
                reserved: 0,
            });
            ended.owner.complete(irql, reply);
        }
    }
}
