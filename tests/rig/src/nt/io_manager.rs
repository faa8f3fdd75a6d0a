//! The I/O manager's part in requests of the command channel: handles, IRPs for
//! create, cleanup, close and buffered device control, their results.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rig_protocol::{MAX_OUTSTANDING, MAX_TRANSFER, Open, Reply};
use wdk_sys::{
    IO_SECURITY_CONTEXT, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, NTSTATUS,
    PFILE_OBJECT, ULONG,
};

use crate::machine::sync::IrqLock;
use crate::nt::device::Device;
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::file::File;
use crate::nt::irp::call::send;
use crate::nt::irp::location::Location;
use crate::nt::irp::{Irp, Originator, Outcome, Recipient, Request};
use crate::nt::poison::Form;
use crate::nt::status::{
    STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_NO_SUCH_DEVICE, STATUS_NOT_FOUND,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS, is_error, is_success,
};
use crate::nt::system_buffer::SystemBuffer;
use crate::nt::violation::check;
use crate::nt::work::{self, PnpWork, Work};
use crate::nt::{
    cancel, cleanup, counters, direct_io, interface, legacy, node, pnp, power, server, user_memory,
};

/// The low two bits of a control code.
const METHOD: u32 = 3;
/// `METHOD_BUFFERED`, `METHOD_NEITHER`.
const METHOD_BUFFERED: u32 = 0;
const METHOD_NEITHER: u32 = 3;
/// `UserMode`.
pub(super) const USER_MODE: i8 = 1;
/// `FILE_SHARE_READ | FILE_SHARE_WRITE`.
const SHARE_ALL: u16 = 3;

/// Open handles.
struct Handles {
    next: u32,
    files: BTreeMap<u32, Arc<File>>,
}

static HANDLES: IrqLock<Handles> = IrqLock::new(Handles {
    next: 1,
    files: BTreeMap::new(),
});

/// Control requests that have not been answered, by the request's number.
static OUTSTANDING: IrqLock<BTreeMap<u32, Irp>> = IrqLock::new(BTreeMap::new());

/// A major function code as a stack location has it.
pub(super) const fn code(major: u32) -> u8 {
    major.to_le_bytes()[0]
}

/// The answer that carries a status and nothing else.
pub(crate) fn completed(status: NTSTATUS) -> Reply {
    Reply::Completed {
        status: status.cast_unsigned(),
        information: 0,
        output: Vec::new(),
    }
}

/// The answer to what cannot be tried.
pub(crate) fn refused(reason: impl Into<alloc::string::String>) -> Reply {
    Reply::Refused {
        reason: reason.into(),
    }
}

/// Sends a new IRP to the stack that `device` is in, and waits for its end.
/// PASSIVE_LEVEL.
pub(crate) fn send_and_wait(
    device: Device,
    request: Request,
    prepare: impl FnOnce(Location<'_>),
) -> Outcome {
    let top = device.top_of_stack();
    let irp = Irp::create(stack_size(top), request);
    prepare(irp.first_location());
    let _returned = send(top, &irp);
    wait_until("an IRP of the executive's", None, || {
        irp.outcome().is_some()
    });
    irp.outcome().unwrap_or(Outcome {
        status: STATUS_SUCCESS,
        information: 0,
    })
}

/// How many stack locations an IRP for this device needs.
pub(super) fn stack_size(device: Device) -> usize {
    usize::try_from(device.stack_size()).unwrap_or(1)
}

/// A request without buffer, parameters or anybody else who waits.
pub(crate) fn simple_request(major: u32, file: PFILE_OBJECT) -> Request {
    Request {
        major: code(major),
        minor: 0,
        status: STATUS_SUCCESS,
        mode: USER_MODE,
        file,
        buffer: None,
        originator: Originator::Waiter,
    }
}

/// Opens a handle.
pub(crate) fn open(request: &Open) -> Reply {
    let Some(node) = node::by_index(request.device) else {
        return refused(alloc::format!(
            "there is no device {}; the first is 0",
            request.device
        ));
    };
    if node.state().is_gone() {
        return completed(STATUS_NO_SUCH_DEVICE);
    }
    if !interface::is_enabled(&node) && !legacy::is_linked(node.pdo()) {
        return completed(STATUS_OBJECT_NAME_NOT_FOUND);
    }
    if !node.begin_open() {
        return completed(STATUS_NO_SUCH_DEVICE);
    }
    let file = File::create(
        node.clone(),
        request.read,
        request.write,
        &request.trailing_name,
    );
    let mut security = Box::new(IO_SECURITY_CONTEXT {
        SecurityQos: core::ptr::null_mut(),
        AccessState: core::ptr::null_mut(),
        DesiredAccess: file.desired_access(),
        FullCreateOptions: 0,
    });
    let before = node.rest();
    let status = send_and_wait(
        node.pdo(),
        simple_request(IRP_MJ_CREATE, file.pointer()),
        |location| {
            location.set_security_context(&raw mut *security);
            location.set_share_access(SHARE_ALL);
        },
    )
    .status;
    pnp::requests::assert_opened(before, node.rest(), status);
    if !is_success(status) {
        if node.end_open() == 0 {
            work::push(Work::Pnp(PnpWork::LastClose(node)));
        }
        return completed(status);
    }
    let handle = HANDLES.with(|handles| {
        let handle = handles.next;
        handles.next += 1;
        handles.files.insert(handle, Arc::new(file));
        handle
    });
    Reply::Opened { handle }
}

/// The file of a handle.
pub(super) fn file_of(handle: u32) -> Option<Arc<File>> {
    HANDLES.with(|handles| handles.files.get(&handle).cloned())
}

/// Closes a handle. One of the PnP manager's actions.
pub(crate) fn close(handle: u32) -> Reply {
    let file = HANDLES.with(|handles| handles.files.remove(&handle));
    match file {
        Some(file) if file.begin_cleanup() => {
            clean_up(&file);
            completed(STATUS_SUCCESS)
        }
        _ => completed(STATUS_INVALID_HANDLE),
    }
}

/// IRP_MJ_CLEANUP, and IRP_MJ_CLOSE when no request is outstanding.
fn clean_up(file: &File) {
    cleanup::send(file);
    if file.end_cleanup() {
        send_close(file);
    }
}

/// IRP_MJ_CLOSE; a device that was removed by surprise may go with its last file.
/// One of the PnP manager's actions.
pub(crate) fn send_close(file: &File) {
    let mut request = simple_request(IRP_MJ_CLOSE, file.pointer());
    request.mode = 0;
    let outcome = send_and_wait(file.node().pdo(), request, |_| {});
    pnp::requests::assert_closed("IRP_MJ_CLOSE", outcome.status);
    file.node().end_open();
    pnp::remove_after_last_close(file.node());
}

/// Handles that are open.
pub(crate) fn open_handles() -> Vec<u32> {
    HANDLES.with(|handles| handles.files.keys().copied().collect())
}

/// Requests that have not been answered.
pub(crate) fn outstanding() -> Vec<Irp> {
    OUTSTANDING.with(|outstanding| outstanding.values().cloned().collect())
}

/// Sends a control request; its answer comes when it ends, unless it is given here.
pub(crate) fn device_control(
    number: u32,
    handle: u32,
    control_code: u32,
    input: &[u8],
    output_length: u32,
) -> Option<Reply> {
    let Some(file) = file_of(handle) else {
        return Some(completed(STATUS_INVALID_HANDLE));
    };
    let recipient = Recipient::Request(number);
    match prepare_control(recipient, &file, control_code, input, output_length) {
        Ok(irp) => send_noted(number, &file, &irp),
        Err(reply) => Some(*reply),
    }
}

/// Makes the IRP of a control request, if it may be sent; else its answer.
pub(super) fn prepare_control(
    recipient: Recipient,
    file: &Arc<File>,
    control_code: u32,
    input: &[u8],
    output_length: ULONG,
) -> Result<Irp, Box<Reply>> {
    let length = output_length as usize;
    if input.len() > MAX_TRANSFER || length > MAX_TRANSFER {
        return Err(Box::new(refused(alloc::format!(
            "a buffer of a control request may be {MAX_TRANSFER} bytes long"
        ))));
    }
    let is_direct = !matches!(control_code & METHOD, METHOD_BUFFERED | METHOD_NEITHER);
    if is_direct && (length != 0 || !input.is_empty()) {
        return Err(Box::new(refused(
            "the buffers of a direct method are sent by a request of their own",
        )));
    }
    if !file.allows(control_code) {
        return Err(Box::new(completed(STATUS_ACCESS_DENIED)));
    }
    if !file.begin_request() {
        return Err(Box::new(completed(STATUS_INVALID_HANDLE)));
    }
    Ok(control_irp(
        recipient,
        file,
        control_code,
        input,
        output_length,
    ))
}

/// The IRP of a control request.
fn control_irp(
    recipient: Recipient,
    file: &Arc<File>,
    control_code: u32,
    input: &[u8],
    output_length: ULONG,
) -> Irp {
    let top = file.node().pdo().top_of_stack();
    let length = output_length as usize;
    let is_neither = control_code & METHOD == METHOD_NEITHER;
    let irp = Irp::create(
        stack_size(top),
        Request {
            major: code(IRP_MJ_DEVICE_CONTROL),
            minor: 0,
            status: STATUS_SUCCESS,
            mode: USER_MODE,
            file: file.pointer(),
            buffer: if is_neither {
                None
            } else {
                SystemBuffer::new(input, length)
            },
            originator: Originator::Channel {
                recipient,
                file: file.clone(),
            },
        },
    );
    let location = irp.first_location();
    location.set_control_code(control_code);
    location.set_input_length(ULONG::try_from(input.len()).unwrap_or(ULONG::MAX));
    location.set_output_length(output_length);
    if is_neither {
        location.set_type3_input(user_memory::input(input.len()));
        irp.set_user_buffer(user_memory::output(length));
    }
    counters::DEVICE_CONTROLS.add();
    irp
}

/// Sends the IRP of a request whose answer comes when it ends, unless it is given here.
pub(super) fn send_noted(number: u32, file: &Arc<File>, irp: &Irp) -> Option<Reply> {
    let is_noted = OUTSTANDING.with(|outstanding| {
        let may_send = outstanding.len() < MAX_OUTSTANDING && !outstanding.contains_key(&number);
        if may_send {
            outstanding.insert(number, irp.clone());
        }
        may_send
    });
    if !is_noted {
        irp.abandon();
        end_request(file);
        return Some(refused(alloc::format!(
            "request {number} is outstanding already, or {MAX_OUTSTANDING} others are"
        )));
    }
    send_prepared(file, irp);
    None
}

/// Sends the IRP of a program's request.
pub(super) fn send_prepared(file: &File, irp: &Irp) {
    irp.admission().note_sent();
    let returned = send(file.node().pdo().top_of_stack(), irp);
    irp.admission().note_returned(returned);
}

/// Answers a request whose IRP has ended. PASSIVE_LEVEL.
pub(crate) fn finish(irp: &Irp) {
    let Originator::Channel {
        recipient: Recipient::Request(number),
        file,
    } = irp.originator()
    else {
        return;
    };
    let Some((_, reply)) = answer(file, irp) else {
        return;
    };
    OUTSTANDING.with(|outstanding| outstanding.remove(number));
    server::reply(*number, reply);
    end_request(file);
    // Whoever ends the run waits until none is outstanding.
    wake_waiters();
}

/// As [`finish`], for a request whose answer goes nowhere: how it ended, if it has.
/// PASSIVE_LEVEL.
pub(super) fn settle(file: &Arc<File>, irp: &Irp) -> Option<(NTSTATUS, Reply)> {
    let answer = answer(file, irp);
    end_request(file);
    answer
}

/// The answer to a request whose IRP has ended, with its status.
fn answer(file: &File, irp: &Irp) -> Option<(NTSTATUS, Reply)> {
    let outcome = irp.outcome()?;
    power::rules::assert_held(file.node(), irp, outcome.status);
    let reply = Reply::Completed {
        status: outcome.status.cast_unsigned(),
        information: outcome.information,
        output: take_output(irp, outcome),
    };
    Some((outcome.status, reply))
}

/// A request on a file has ended; the last one on a closed file lets it go.
fn end_request(file: &Arc<File>) {
    if file.end_request() {
        work::push(Work::Pnp(PnpWork::CloseFile(file.clone())));
    }
}

/// What the driver wrote, as the I/O manager copies it to the caller: nothing for
/// an error, else as much as Information says.
pub(super) fn take_output(irp: &Irp, outcome: Outcome) -> Vec<u8> {
    if direct_io::is_transfer(irp) {
        return direct_io::take_output(irp, outcome);
    }
    let Some(buffer) = irp.buffer() else {
        return Vec::new();
    };
    check!(
        Pool03,
        "IofCompleteRequest",
        buffer.is_guard_intact(),
        "Something was written beside the system buffer of a control request."
    );
    if is_error(outcome.status) {
        return Vec::new();
    }
    let length = usize::try_from(outcome.information).unwrap_or(usize::MAX);
    check!(
        Irp14,
        "IofCompleteRequest",
        length <= buffer.output_length(),
        "A control request was completed with Information {length}; its output buffer has {} bytes.",
        buffer.output_length()
    );
    buffer.output("IofCompleteRequest", Form::Structure, length)
}

/// Cancels an outstanding control request.
pub(crate) fn cancel_request(number: u32) -> Reply {
    let irp = OUTSTANDING.with(|outstanding| outstanding.get(&number).cloned());
    let Some(irp) = irp else {
        return completed(STATUS_NOT_FOUND);
    };
    let called = cancel::cancel(&irp);
    Reply::Completed {
        status: STATUS_SUCCESS.cast_unsigned(),
        information: u64::from(called),
        output: Vec::new(),
    }
}
