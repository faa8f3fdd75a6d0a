//! Requests that a driver must refuse, all at once: control codes that differ from the
//! known ones in one field, control codes that are nobody's, and major functions that the
//! driver does not have.
//!
//! Each is sent with buffers as its method says, so that a driver that looks at some of a
//! code's bits only finds what it takes for its request.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rig_protocol::Reply;
use wdk_sys::{
    IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_PNP, IRP_MJ_POWER,
    IRP_MJ_READ, IRP_MJ_WRITE, NTSTATUS, ULONG,
};

use crate::nt::callout::Callback;
use crate::nt::dispatcher::wait_until;
use crate::nt::file::File;
use crate::nt::io_manager::{
    USER_MODE, code, completed, file_of, refused, simple_request, stack_size, take_output,
};
use crate::nt::irp::call::send;
use crate::nt::irp::{Irp, Originator, Request};
use crate::nt::mdl::{Access, LockedBuffer};
use crate::nt::status::{STATUS_INVALID_HANDLE, STATUS_SUCCESS, is_success};
use crate::nt::system_buffer::SystemBuffer;
use crate::nt::user_memory;
use crate::nt::violation::check;

/// Bytes of each buffer: as many as a request of most drivers needs, and zeros.
const BUFFER: [u8; 64] = [0; 64];
/// `CTL_CODE`: method, function, access, device type.
const METHOD_BITS: u32 = 2;
const FUNCTION_BITS: core::ops::Range<u32> = 2..14;
const ACCESS_SHIFT: u32 = 14;
const DEVICE_TYPE_BITS: core::ops::Range<u32> = 16..32;
/// Functions that a code can name.
const FUNCTIONS: u32 = 1 << 12;
/// `FILE_READ_ACCESS | FILE_WRITE_ACCESS`.
const READ_WRITE: u32 = 3 << ACCESS_SHIFT;

/// Sends them all on an open file; says how many were refused, which is all of them.
/// PASSIVE_LEVEL.
pub(super) fn run(handle: u32, known: &[u32], majors: &[u8]) -> Reply {
    let own = [
        IRP_MJ_CREATE,
        IRP_MJ_CLOSE,
        IRP_MJ_CLEANUP,
        IRP_MJ_READ,
        IRP_MJ_WRITE,
        IRP_MJ_DEVICE_CONTROL,
        IRP_MJ_PNP,
        IRP_MJ_POWER,
    ];
    if majors.iter().any(|major| own.contains(&u32::from(*major))) {
        return refused("major functions that the rig sends of its own are not to be refused");
    }
    let Some(file) = file_of(handle) else {
        return completed(STATUS_INVALID_HANDLE);
    };
    let known: BTreeSet<u32> = known.iter().copied().collect();
    let changed = changed(&known);
    for changed in &changed {
        let status = control(&file, *changed);
        check!(
            Sec02,
            Callback::Dispatch,
            !is_success(status),
            "The control code {changed:#010x}, which differs from a known one in one field, ended with status {status:#010x}."
        );
    }
    let foreign = foreign(&known);
    for foreign in &foreign {
        let status = control(&file, *foreign);
        check!(
            Sec05,
            Callback::Dispatch,
            !is_success(status),
            "The control code {foreign:#010x}, which the driver does not have, ended with status {status:#010x}."
        );
    }
    for major in majors {
        let status = wait_for(&file, &simple(&file, u32::from(*major)));
        check!(
            Sec05,
            Callback::Dispatch,
            !is_success(status),
            "The major function {major}, which the driver does not have, ended with status {status:#010x}."
        );
    }
    Reply::Completed {
        status: STATUS_SUCCESS.cast_unsigned(),
        information: (changed.len() + foreign.len() + majors.len()) as u64,
        output: Vec::new(),
    }
}

/// The codes that differ from a known one in one field.
fn changed(known: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut changed = BTreeSet::new();
    for code in known {
        let methods = (1..1 << METHOD_BITS).map(|method| code ^ method);
        let accesses = (1..4).map(|access| code ^ access << ACCESS_SHIFT);
        let bits = FUNCTION_BITS
            .chain(DEVICE_TYPE_BITS)
            .map(|bit| code ^ 1 << bit);
        changed.extend(methods.chain(accesses).chain(bits));
    }
    changed.retain(|code| !known.contains(code));
    changed
}

/// Every other function of the known codes' device types, and of none.
fn foreign(known: &BTreeSet<u32>) -> BTreeSet<u32> {
    let types: BTreeSet<u32> = known
        .iter()
        .map(|code| code >> DEVICE_TYPE_BITS.start)
        .collect();
    let mut foreign = BTreeSet::new();
    for function in 0..FUNCTIONS {
        for device_type in &types {
            let code = device_type << DEVICE_TYPE_BITS.start | READ_WRITE | function << METHOD_BITS;
            let is_one = known
                .iter()
                .any(|known| (known ^ code) & !(READ_WRITE | 3) == 0);
            if !is_one {
                foreign.insert(code);
            }
        }
    }
    foreign.extend([0, u32::MAX]);
    foreign.retain(|code| !known.contains(code));
    foreign
}

/// Sends a control request and waits for its end.
fn control(file: &Arc<File>, control_code: u32) -> NTSTATUS {
    let method = control_code & 3;
    let (system, locked) = match method {
        0 => (SystemBuffer::new(&BUFFER, BUFFER.len()), None),
        1 => (SystemBuffer::new(&BUFFER, 0), Some(Access::Read)),
        2 => (SystemBuffer::new(&BUFFER, 0), Some(Access::Write)),
        _ => (None, None),
    };
    let request = Request {
        major: code(IRP_MJ_DEVICE_CONTROL),
        minor: 0,
        status: STATUS_SUCCESS,
        mode: USER_MODE,
        file: file.pointer(),
        buffer: system,
        originator: Originator::Waiter,
    };
    let irp = Irp::create(stack_size(file.node().pdo().top_of_stack()), request);
    if let Some(access) = locked {
        irp.attach(LockedBuffer::lock(&BUFFER, BUFFER.len(), access));
    }
    let length = ULONG::try_from(BUFFER.len()).unwrap_or(ULONG::MAX);
    let location = irp.first_location();
    location.set_control_code(control_code);
    location.set_input_length(length);
    location.set_output_length(length);
    if method == 3 {
        location.set_type3_input(user_memory::input(BUFFER.len()));
        irp.set_user_buffer(user_memory::output(BUFFER.len()));
    }
    wait_for(file, &irp)
}

/// A request of another major function, without parameters.
fn simple(file: &Arc<File>, major: u32) -> Irp {
    Irp::create(
        stack_size(file.node().pdo().top_of_stack()),
        simple_request(major, file.pointer()),
    )
}

/// Sends an IRP and waits for its end.
fn wait_for(file: &Arc<File>, irp: &Irp) -> NTSTATUS {
    let _returned = send(file.node().pdo().top_of_stack(), irp);
    // Without a deadline the wait ends in one way only.
    let _over: bool = wait_until("a request that is to be refused", None, || {
        irp.outcome().is_some()
    });
    irp.outcome().map_or(STATUS_SUCCESS, |outcome| {
        let _output = take_output(irp, outcome);
        outcome.status
    })
}
