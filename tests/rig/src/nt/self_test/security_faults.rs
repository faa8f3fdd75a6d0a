//! Faults in what is done for whoever asks: names, control codes, buffers.

use wdk_sys::{NTSTATUS, PIRP};

use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{complete, handle};
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::self_test::packets::{START_PACKET, refuse};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::system_buffer::SystemBuffer;

/// The low two bits of a control code, and their METHOD_NEITHER.
const METHOD: u32 = 3;
/// The function number in a control code.
const FUNCTION: u32 = 0xfff << 2;
/// A function that is far from those that the driver has.
const FAR: u32 = 0x123 << 2;
/// Bytes that the driver takes every request to have, which are too many.
const TOO_MANY: usize = 64;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Sec01,
        hook: Hook::Create,
        act: leave_out,
    },
    Fault {
        rule: Rule::Sec02,
        hook: Hook::OtherCode,
        act: ignore_the_method,
    },
    Fault {
        rule: Rule::Sec03,
        hook: Hook::Control,
        act: read_behind,
    },
    Fault {
        rule: Rule::Sec04,
        hook: Hook::OtherCode,
        act: read_user_memory,
    },
    Fault {
        rule: Rule::Sec05,
        hook: Hook::OtherCode,
        act: succeed_far,
    },
];

fn leave_out(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

fn code_of(irp: PIRP) -> u32 {
    let packet = handle(irp);
    packet.location(packet.current()).control_code()
}

fn ignore_the_method(place: Place) -> NTSTATUS {
    if code_of(place.irp) & !METHOD == START_PACKET {
        complete(place.irp, STATUS_SUCCESS)
    } else {
        refuse(place.irp)
    }
}

fn succeed_far(place: Place) -> NTSTATUS {
    if code_of(place.irp) & FUNCTION == FAR {
        complete(place.irp, STATUS_SUCCESS)
    } else {
        refuse(place.irp)
    }
}

fn read_behind(place: Place) -> NTSTATUS {
    let packet = handle(place.irp);
    let Some(buffer) = packet.buffer().map(SystemBuffer::pointer) else {
        return complete(place.irp, STATUS_SUCCESS);
    };
    // SAFETY: The address is for reading only; that it is too far is the fault.
    let last = unsafe { buffer.cast::<u8>().byte_add(TOO_MANY) };
    // SAFETY: As above.
    let _byte = unsafe { last.read_volatile() };
    complete(place.irp, STATUS_SUCCESS)
}

fn read_user_memory(place: Place) -> NTSTATUS {
    let packet = handle(place.irp);
    if code_of(place.irp) & METHOD != METHOD {
        return refuse(place.irp);
    }
    let location = packet.location(packet.current()).read();
    // SAFETY: A control request's parameters are these.
    let input = unsafe { location.Parameters.DeviceIoControl.Type3InputBuffer };
    // SAFETY: That the address was not probed is the fault.
    let _byte = unsafe { input.cast::<u8>().read_volatile() };
    complete(place.irp, STATUS_SUCCESS)
}
