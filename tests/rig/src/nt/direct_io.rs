//! The I/O manager's part in reads, writes and control requests with a direct method:
//! which buffers the driver gets, and what the caller finds in them.
//!
//! A read or a write goes by the flags of the device object on top of the stack:
//! DO_DIRECT_IO has the caller's buffer locked, DO_BUFFERED_IO has it copied, and
//! without either the driver would get an address of user mode, which the rig has
//! none of. A direct control request has both: a system buffer with the input, and
//! the second buffer locked, for reading with METHOD_IN_DIRECT and for writing with
//! METHOD_OUT_DIRECT. An empty buffer is not there at all.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rig_protocol::{MAX_TRANSFER, Reply};
use wdk_sys::{
    DO_BUFFERED_IO, DO_DIRECT_IO, IRP_MJ_DEVICE_CONTROL, IRP_MJ_READ, IRP_MJ_WRITE, LARGE_INTEGER,
    ULONG,
};

use crate::nt::counters;
use crate::nt::file::File;
use crate::nt::io_manager::{USER_MODE, code, completed, file_of, refused, send_noted, stack_size};
use crate::nt::irp::{Irp, Originator, Outcome, Recipient, Request};
use crate::nt::mdl::{Access, LockedBuffer};
use crate::nt::poison::Form;
use crate::nt::status::{STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_SUCCESS, is_error};
use crate::nt::system_buffer::SystemBuffer;
use crate::nt::violation::check;

/// `METHOD_IN_DIRECT`, in the low two bits of a control code.
const METHOD_IN_DIRECT: u32 = 1;
/// `METHOD_OUT_DIRECT`.
const METHOD_OUT_DIRECT: u32 = 2;
/// Whose name checks report that look at a request's end.
const COMPLETION: &str = "IofCompleteRequest";

/// Sends a read; its answer comes when it ends, unless it is given here.
pub(super) fn read(number: u32, handle: u32, offset: u64, length: u32) -> Option<Reply> {
    let wanted = length as usize;
    transfer(number, handle, IRP_MJ_READ, offset, wanted, &[])
}

/// Sends a write; its answer comes when it ends, unless it is given here.
pub(super) fn write(number: u32, handle: u32, offset: u64, data: &[u8]) -> Option<Reply> {
    transfer(number, handle, IRP_MJ_WRITE, offset, data.len(), data)
}

/// Sends a read or a write of `length` bytes.
fn transfer(
    number: u32,
    handle: u32,
    major: u32,
    offset: u64,
    length: usize,
    contents: &[u8],
) -> Option<Reply> {
    let Some(file) = file_of(handle) else {
        return Some(completed(STATUS_INVALID_HANDLE));
    };
    let recipient = Recipient::Request(number);
    match prepare(recipient, &file, major, offset, length, contents) {
        Ok(irp) => send_noted(number, &file, &irp),
        Err(reply) => Some(*reply),
    }
}

/// Makes the IRP of a read or a write of `length` bytes, if it may be sent; else its answer.
pub(super) fn prepare(
    recipient: Recipient,
    file: &Arc<File>,
    major: u32,
    offset: u64,
    length: usize,
    contents: &[u8],
) -> Result<Irp, Box<Reply>> {
    admit(length)?;
    let is_read = major == IRP_MJ_READ;
    if !file.is_opened_for(is_read) {
        return Err(Box::new(completed(STATUS_ACCESS_DENIED)));
    }
    let flags = file.node().pdo().top_of_stack().flags();
    let is_direct = flags & DO_DIRECT_IO != 0;
    if !is_direct && flags & DO_BUFFERED_IO == 0 {
        return Err(Box::new(refused(
            "the device takes reads and writes at addresses of user mode, of which the rig has none",
        )));
    }
    if !file.begin_request() {
        return Err(Box::new(completed(STATUS_INVALID_HANDLE)));
    }
    let buffer = match (is_direct, is_read) {
        (true, _) => None,
        (false, true) => SystemBuffer::new(&[], length),
        (false, false) => SystemBuffer::new(contents, 0),
    };
    let irp = create(recipient, file, major, buffer);
    if is_direct {
        let access = if is_read { Access::Write } else { Access::Read };
        irp.attach(LockedBuffer::lock(contents, length, access));
    }
    let location = irp.first_location();
    location.set_transfer_length(ULONG::try_from(length).unwrap_or(ULONG::MAX));
    location.set_transfer_offset(LARGE_INTEGER {
        QuadPart: offset.cast_signed(),
    });
    Ok(irp)
}

/// Sends a control request with a direct method: `input` goes into the system buffer,
/// `buffer` is what the second buffer holds.
pub(super) fn control(
    number: u32,
    handle: u32,
    control_code: u32,
    input: &[u8],
    buffer: &[u8],
) -> Option<Reply> {
    let access = match control_code & 3 {
        METHOD_IN_DIRECT => Access::Read,
        METHOD_OUT_DIRECT => Access::Write,
        _ => return Some(refused("the control code's method is not a direct one")),
    };
    if let Err(reply) = admit(input.len().max(buffer.len())) {
        return Some(*reply);
    }
    let Some(file) = file_of(handle) else {
        return Some(completed(STATUS_INVALID_HANDLE));
    };
    if !file.allows(control_code) {
        return Some(completed(STATUS_ACCESS_DENIED));
    }
    if !file.begin_request() {
        return Some(completed(STATUS_INVALID_HANDLE));
    }
    let irp = create(
        Recipient::Request(number),
        &file,
        IRP_MJ_DEVICE_CONTROL,
        SystemBuffer::new(input, 0),
    );
    irp.attach(LockedBuffer::lock(buffer, buffer.len(), access));
    let location = irp.first_location();
    location.set_control_code(control_code);
    location.set_input_length(ULONG::try_from(input.len()).unwrap_or(ULONG::MAX));
    location.set_output_length(ULONG::try_from(buffer.len()).unwrap_or(ULONG::MAX));
    counters::DEVICE_CONTROLS.add();
    send_noted(number, &file, &irp)
}

/// Refuses a request with so long a buffer, if it is too long.
fn admit(length: usize) -> Result<(), Box<Reply>> {
    if length > MAX_TRANSFER {
        return Err(Box::new(refused(alloc::format!(
            "a buffer of a request may be {MAX_TRANSFER} bytes long"
        ))));
    }
    Ok(())
}

/// An IRP for a program's request.
fn create(recipient: Recipient, file: &Arc<File>, major: u32, buffer: Option<SystemBuffer>) -> Irp {
    Irp::create(
        stack_size(file.node().pdo().top_of_stack()),
        Request {
            major: code(major),
            minor: 0,
            status: STATUS_SUCCESS,
            mode: USER_MODE,
            file: file.pointer(),
            buffer,
            originator: Originator::Channel {
                recipient,
                file: file.clone(),
            },
        },
    )
}

/// Whether this module sent the IRP, and so judges its end.
pub(super) fn is_transfer(irp: &Irp) -> bool {
    let major = u32::from(irp.major());
    major == IRP_MJ_READ || major == IRP_MJ_WRITE || irp.locked().is_some()
}

/// What the caller finds in his buffer, which is given up.
pub(super) fn take_output(irp: &Irp, outcome: Outcome) -> Vec<u8> {
    let has_failed = is_error(outcome.status);
    let transferred = if has_failed {
        0
    } else {
        usize::try_from(outcome.information).unwrap_or(usize::MAX)
    };
    if let Some(locked) = irp.locked() {
        assert_system_buffer(irp);
        let contents = locked.release(COMPLETION, transferred);
        return if locked.access() == Access::Write {
            contents
        } else {
            Vec::new()
        };
    }
    let Some(buffer) = irp.buffer() else {
        check!(
            Irp15,
            COMPLETION,
            transferred == 0,
            "A request with an empty buffer was completed with Information {transferred}."
        );
        return Vec::new();
    };
    assert_system_buffer(irp);
    let is_read = u32::from(irp.major()) == IRP_MJ_READ;
    let length = if is_read {
        buffer.output_length()
    } else {
        buffer.input_length()
    };
    check!(
        Irp14,
        COMPLETION,
        transferred <= length,
        "A request was completed with Information {transferred}; its buffer has {length} bytes."
    );
    if is_read {
        buffer.output(COMPLETION, Form::Data, transferred)
    } else {
        Vec::new()
    }
}

/// Checks the guard behind the system buffer, if there is one.
fn assert_system_buffer(irp: &Irp) {
    check!(
        Pool03,
        COMPLETION,
        irp.buffer().is_none_or(SystemBuffer::is_guard_intact),
        "Something was written beside the system buffer of a request."
    );
}
