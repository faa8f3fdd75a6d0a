//! A rig in a thread, for the tests of this crate: the command channel's other
//! end with a driver behind it that keeps edu.sys's promises, or breaks one.
//!
//! It answers each request from a thread of its own, so replies overtake one
//! another as those of the real rig do.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};

use edu_interface::{
    FACTORIAL, FactorialRequest, IDENTIFY, INTERFACE_VERSION, Identity, InterruptKind, LIVENESS,
    LivenessRequest, MAX_TIMEOUT_MS, RAISE_INTERRUPT, RESET_STATISTICS, RaiseRequest, Raised,
    STATISTICS, Statistics,
};
use rig_protocol::{
    Deframer, Frame, IrqKind, Open, PROTOCOL_VERSION, Reply, Report, Request, encode,
};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::{commands::factorial::wrapping_factorial, status::NtStatus};

/// The promise that a fake driver breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    WrongIdentification,
    DeadDevice,
    WrongFactorial,
    LostCause,
    ClaimsTwice,
    TakesUnknownCodes,
    TakesShortInput,
    TakesShortOutput,
    TakesMaskZero,
    TakesAnyTimeOut,
    TakesAnyAccess,
    TakesAnyName,
    RefusesLongInput,
    ResetsNothing,
    CountsBadRequests,
    /// The reply is one byte too long.
    LongReply,
    /// The channel ends in the middle of a factorial.
    Dies,
    /// The channel carries garbage instead of a factorial's reply.
    Garbles,
    OldVersion,
}

/// Starts a rig with a driver that breaks one promise, and returns this end of
/// its command channel.
pub(crate) fn start(fault: Fault) -> UnixStream {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    thread::spawn(move || serve(far, fault));
    near
}

/// As [`start`], for whoever connects to `listener` first.
pub(crate) fn listen(listener: UnixListener, fault: Fault) {
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        serve(stream, fault);
    });
}

struct FakeRig {
    fault: Fault,
    state: Mutex<State>,
    output: Mutex<UnixStream>,
}

#[derive(Default)]
struct State {
    statistics: Statistics,
    handles: HashMap<u32, Open>,
    last_handle: u32,
}

fn serve(mut stream: UnixStream, fault: Fault) {
    let rig = Arc::new(FakeRig {
        fault,
        state: Mutex::default(),
        output: Mutex::new(stream.try_clone().expect("a second descriptor")),
    });
    let mut deframer = Deframer::new();
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        let frame = match deframer.push::<Request>(byte[0]) {
            Some(frame) => frame.expect("requests decode"),
            None => continue,
        };
        let rig = Arc::clone(&rig);
        thread::spawn(move || rig.answer(frame));
    }
}

impl FakeRig {
    fn answer(&self, Frame { number, body }: Frame<Request>) {
        let body = self.reply(body);
        let bytes = encode(&Frame { number, body }).expect("replies fit");
        // Fails only when the test has ended.
        drop(self.output.lock().unwrap().write_all(&bytes));
    }

    fn reply(&self, request: Request) -> Reply {
        match request {
            Request::Hello => Reply::Hello {
                version: PROTOCOL_VERSION - u32::from(self.fault == Fault::OldVersion),
                processors: 4,
                irq: IrqKind::Msi,
                devices: 1,
            },
            Request::Open(open) => self.open(open),
            Request::Close { handle } => {
                let known = self.state.lock().unwrap().handles.remove(&handle);
                assert!(known.is_some(), "a handle is closed once");
                completed(Ok(vec![]))
            }
            Request::DeviceControl {
                handle,
                code,
                input,
                output_length,
            } => {
                let open = self.state.lock().unwrap().handles[&handle].clone();
                completed(self.control(&open, code, &input, output_length as usize))
            }
            Request::Report | Request::Shutdown => Reply::Report(Report::default()),
            // The commands ask for none of these.
            other => Reply::Refused {
                reason: format!("the fake rig does not do {other:?}"),
            },
        }
    }

    fn open(&self, open: Open) -> Reply {
        if !open.trailing_name.is_empty() && self.fault != Fault::TakesAnyName {
            return completed(Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        }
        let mut state = self.state.lock().unwrap();
        state.last_handle += 1;
        let handle = state.last_handle;
        state.handles.insert(handle, open);
        Reply::Opened { handle }
    }

    fn control(
        &self,
        open: &Open,
        code: u32,
        input: &[u8],
        output_length: usize,
    ) -> Result<Vec<u8>, NtStatus> {
        let access = code >> 14 & 3;
        let missing = access & 1 != 0 && !open.read || access & 2 != 0 && !open.write;
        if missing && self.fault != Fault::TakesAnyAccess {
            return Err(NtStatus::ACCESS_DENIED);
        }
        let answer = self.driver(code, input, output_length);
        if answer.is_err() && self.fault == Fault::CountsBadRequests {
            self.state.lock().unwrap().statistics.operations_started += 1;
        }
        let mut output = answer?;
        if self.fault == Fault::LongReply && code == IDENTIFY.value() {
            output.push(0);
        }
        Ok(output)
    }

    fn driver(&self, code: u32, input: &[u8], room: usize) -> Result<Vec<u8>, NtStatus> {
        let lengths = |wanted_input: usize, wanted_output: usize| {
            if input.len() < wanted_input && self.fault != Fault::TakesShortInput {
                return Err(NtStatus::INFO_LENGTH_MISMATCH);
            }
            if input.len() > wanted_input && self.fault == Fault::RefusesLongInput {
                return Err(NtStatus::INFO_LENGTH_MISMATCH);
            }
            if room < wanted_output && self.fault != Fault::TakesShortOutput {
                return Err(NtStatus::BUFFER_TOO_SMALL);
            }
            Ok(())
        };
        let mut padded = input.to_vec();
        padded.resize(input.len().max(8), 0);
        let mut reply = if code == IDENTIFY.value() {
            lengths(0, size_of::<Identity>())?;
            self.identity().as_bytes().to_vec()
        } else if code == LIVENESS.value() {
            lengths(4, 4)?;
            self.liveness(&padded).to_le_bytes().to_vec()
        } else if code == FACTORIAL.value() {
            lengths(8, 8)?;
            self.factorial(&padded)?
        } else if code == RAISE_INTERRUPT.value() {
            lengths(8, 8)?;
            self.raise(&padded)?
        } else if code == STATISTICS.value() {
            lengths(0, size_of::<Statistics>())?;
            self.state.lock().unwrap().statistics.as_bytes().to_vec()
        } else if code == RESET_STATISTICS.value() {
            if room > 0 {
                lengths(0, size_of::<Statistics>())?;
            }
            self.reset().as_bytes().to_vec()
        } else if self.fault == Fault::TakesUnknownCodes {
            vec![]
        } else {
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        };
        reply.truncate(room);
        Ok(reply)
    }

    fn identity(&self) -> Identity {
        let wrong = self.fault == Fault::WrongIdentification;
        Identity {
            version: INTERFACE_VERSION,
            identification: if wrong { u32::MAX } else { 0x0100_00ed },
            interrupt_kind: InterruptKind::Message as u32,
            vector: 0x51,
            synchronize_irql: 5,
            processors: 4,
        }
    }

    fn liveness(&self, input: &[u8]) -> u32 {
        let request = LivenessRequest::read_from_prefix(input).unwrap().0;
        self.state.lock().unwrap().statistics.liveness_checks += 1;
        if self.fault == Fault::DeadDevice {
            return u32::MAX;
        }
        !request.value
    }

    fn factorial(&self, input: &[u8]) -> Result<Vec<u8>, NtStatus> {
        let request = FactorialRequest::read_from_prefix(input).unwrap().0;
        self.time_out(request.timeout_ms)?;
        self.interrupt(request.n);
        let wrong = u32::from(self.fault == Fault::WrongFactorial && request.n == 13);
        let value = wrapping_factorial(request.n) + wrong;
        Ok([request.n.to_le_bytes(), value.to_le_bytes()].concat())
    }

    fn raise(&self, input: &[u8]) -> Result<Vec<u8>, NtStatus> {
        let request = RaiseRequest::read_from_prefix(input).unwrap().0;
        self.time_out(request.timeout_ms)?;
        if request.mask == 0 && self.fault != Fault::TakesMaskZero {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        self.interrupt(0);
        let lost = if self.fault == Fault::LostCause {
            0x100
        } else {
            0
        };
        let causes = request.mask & !lost;
        let reserved = 0;
        Ok(Raised { causes, reserved }.as_bytes().to_vec())
    }

    fn time_out(&self, timeout_ms: u32) -> Result<(), NtStatus> {
        if timeout_ms > MAX_TIMEOUT_MS && self.fault != Fault::TakesAnyTimeOut {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    }

    fn interrupt(&self, n: u32) {
        let channel = self.output.lock().unwrap();
        match self.fault {
            Fault::Dies if n == 20 => channel.shutdown(std::net::Shutdown::Both).unwrap(),
            Fault::Garbles if n == 20 => (&*channel).write_all(b"\x05nonsense\0").unwrap(),
            _ => {}
        }
        drop(channel);
        let mut state = self.state.lock().unwrap();
        let statistics = &mut state.statistics;
        statistics.interrupts_claimed += 1 + u64::from(self.fault == Fault::ClaimsTwice);
        statistics.operations_started += 1;
        statistics.operations_completed += 1;
        statistics.dpc_runs += 1;
        statistics.dpc_most_results = 1;
    }

    fn reset(&self) -> Statistics {
        let mut state = self.state.lock().unwrap();
        if self.fault == Fault::ResetsNothing {
            state.statistics.liveness_checks += 1;
            return state.statistics;
        }
        std::mem::take(&mut state.statistics)
    }
}

fn completed(answer: Result<Vec<u8>, NtStatus>) -> Reply {
    let (status, output) = match answer {
        Ok(output) => (0, output),
        Err(status) => (status.0, vec![]),
    };
    Reply::Completed {
        status,
        information: output.len() as u64,
        output,
    }
}
