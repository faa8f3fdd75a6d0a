//! The command channel's server: bytes into requests, requests into what they ask
//! for, answers into bytes.

use core::sync::atomic::{AtomicBool, Ordering};

use rig_protocol::{Action, Deframer, Frame, PROTOCOL_VERSION, Reply, Request, encode};

use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::machine::{command_port, cpu};
use crate::nt::io_manager::{self, completed, refused};
use crate::nt::measure::{Mark, mark};
use crate::nt::register_access::absence;
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::work::{self, PnpWork, Work};
use crate::nt::{
    at_call, counters, direct_io, etw, fault, interrupt, node, options, pnp, probe, script,
    shutdown, throughput,
};

/// Bytes that are taken from the port at once.
const CHUNK: usize = 256;

/// Bytes have arrived that nobody has looked at.
static HAS_INPUT: AtomicBool = AtomicBool::new(false);
/// No request is taken any more.
static IS_CLOSING: AtomicBool = AtomicBool::new(false);

/// The frame that is coming in; made when the first byte comes.
static RECEIVER: IrqLock<Option<Deframer>> = IrqLock::new(None);

/// The command port's interrupt handler: somebody is to look at what came.
pub(crate) fn input_arrived() {
    HAS_INPUT.store(true, Ordering::Release);
    work::input_arrived();
}

/// Takes in what has arrived. PASSIVE_LEVEL.
pub(crate) fn receive() {
    if !HAS_INPUT.swap(false, Ordering::AcqRel) {
        return;
    }
    while RECEIVER.with(take_chunk) > 0 {}
}

/// Takes a chunk of bytes from the port and hands on the requests that end in it;
/// returns how many bytes. Holding the receiver's lock keeps the order. What is no
/// request is answered before the next one is handed on: the first answer that a
/// program gets to a request of its own tells it that all before it has been said.
fn take_chunk(receiver: &mut Option<Deframer>) -> usize {
    let mut bytes = [0; CHUNK];
    let taken = command_port::read(&mut bytes).min(CHUNK);
    let deframer = receiver.get_or_insert_with(Deframer::new);
    for frame in bytes
        .iter()
        .take(taken)
        .filter_map(|byte| deframer.push::<Request>(*byte))
    {
        match frame {
            Ok(frame) => take(frame),
            Err(error) => {
                log!("{error}");
                reply(0, Reply::Malformed);
            }
        }
    }
    taken
}

/// Hands a request on.
pub(crate) fn take(frame: Frame<Request>) {
    work::push(sort(frame));
}

/// Who does what a request asks for: the PnP manager, in order, or anybody.
fn sort(frame: Frame<Request>) -> Work {
    let number = frame.number;
    match frame.body {
        Request::Close { handle } => Work::Pnp(PnpWork::Close { number, handle }),
        Request::Pnp { device, action } => Work::Pnp(PnpWork::Act {
            number,
            device,
            action,
        }),
        Request::Shutdown => Work::Pnp(PnpWork::Shutdown { number }),
        body => Work::Request(Frame { number, body }),
    }
}

/// Sends an answer. Any IRQL.
pub(crate) fn reply(number: u32, body: Reply) {
    if script::take_answer(number, &body) {
        return;
    }
    match encode(&Frame { number, body }) {
        Ok(bytes) => command_port::write(&bytes),
        Err(error) => log!("The answer to request {number} cannot be sent: {error}."),
    }
}

/// Does what a request asks for. PASSIVE_LEVEL.
pub(crate) fn handle(frame: Frame<Request>) {
    let number = frame.number;
    let answer = if IS_CLOSING.load(Ordering::Acquire) {
        Some(refused("the rig is shutting down"))
    } else {
        answer(number, frame.body)
    };
    if let Some(answer) = answer {
        reply(number, answer);
    }
}

/// The answer to a request, or none when it comes later.
fn answer(number: u32, request: Request) -> Option<Reply> {
    match request {
        Request::Hello => Some(hello()),
        Request::Open(open) => Some(io_manager::open(&open)),
        Request::DeviceControl {
            handle,
            code,
            input,
            output_length,
        } => io_manager::device_control(number, handle, code, &input, output_length),
        Request::Read {
            handle,
            offset,
            length,
        } => direct_io::read(number, handle, offset, length),
        Request::Write {
            handle,
            offset,
            data,
        } => direct_io::write(number, handle, offset, &data),
        Request::DirectControl {
            handle,
            code,
            input,
            buffer,
        } => direct_io::control(number, handle, code, &input, &buffer),
        Request::Cancel { number } => Some(io_manager::cancel_request(number)),
        Request::Message { device, message } => Some(send_message(device, message)),
        Request::FailCall { call, calls } => Some(Reply::Completed {
            status: STATUS_SUCCESS.cast_unsigned(),
            information: 0,
            output: fault::set(call, calls).as_bytes().to_vec(),
        }),
        Request::AtCall { call, event } => Some(Reply::Completed {
            status: STATUS_SUCCESS.cast_unsigned(),
            information: 0,
            output: at_call::set(call, event).as_bytes().to_vec(),
        }),
        Request::Absence { after } => {
            absence::begin_after(after.map(u64::from));
            Some(completed(STATUS_SUCCESS))
        }
        Request::Probe {
            handle,
            codes,
            majors,
        } => Some(probe::run(handle, &codes, &majors)),
        Request::TakeTraced => Some(take_traced()),
        Request::Mark { number } => {
            mark(Mark::Number(number));
            Some(completed(STATUS_SUCCESS))
        }
        Request::Together { .. } => Some(refused("only a script has requests that go together")),
        Request::Load(load) => Some(throughput::run(load)),
        Request::Report => Some(Reply::Report(counters::report())),
        // `sort` gave these to the PnP manager.
        Request::Close { .. } | Request::Pnp { .. } | Request::Shutdown => None,
    }
}

/// The oldest event that a driver traced.
fn take_traced() -> Reply {
    let (event, lost) = etw::session::take();
    Reply::Traced { event, lost }
}

/// Sends a message of a device.
fn send_message(device: u32, message: u32) -> Reply {
    let sent = node::by_index(device).is_some_and(|node| interrupt::send_message(&node, message));
    if sent {
        completed(STATUS_SUCCESS)
    } else {
        refused("the device has no such message")
    }
}

/// Who is here.
fn hello() -> Reply {
    Reply::Hello {
        version: PROTOCOL_VERSION,
        processors: u32::try_from(cpu::processor_count()).unwrap_or(u32::MAX),
        irq: options::get().irq,
        devices: u32::try_from(node::all().len()).unwrap_or(u32::MAX),
    }
}

/// Does what the PnP manager was asked to do. PASSIVE_LEVEL, one at a time.
pub(crate) fn handle_pnp(work: &PnpWork) {
    match work {
        PnpWork::Act {
            number,
            device,
            action,
        } => {
            let answer = match node::by_index(*device) {
                None => refused(alloc::format!(
                    "there is no device {device}; the first is 0"
                )),
                Some(node) => pnp::act(&node, *action).map_or_else(
                    || {
                        refused(alloc::format!(
                            "{action:?} is not possible while the device is {:?}",
                            node.state()
                        ))
                    },
                    completed,
                ),
            };
            reply(*number, answer);
        }
        PnpWork::Close { number, handle } => reply(*number, io_manager::close(*handle)),
        PnpWork::CloseFile(file) => io_manager::send_close(file),
        PnpWork::SurpriseRemoval(node) => {
            // One that is gone already cannot go again.
            let _status = pnp::act(node, Action::SurpriseRemoval);
        }
        PnpWork::LastClose(node) => pnp::remove_after_last_close(node),
        PnpWork::Shutdown { number } => {
            IS_CLOSING.store(true, Ordering::Release);
            shutdown::run(*number)
        }
    }
}
