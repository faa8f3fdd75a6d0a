//! A rig in a thread, for the tests of this crate: the command channel's other
//! end with a driver behind it that keeps edu.sys's promises, or breaks one.
//!
//! It answers each request from a thread of its own, so replies overtake one
//! another as those of the real rig do.

mod device;
mod driver;
mod pending;

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};

use rig_protocol::{
    Deframer, Frame, IrqKind, Open, PROTOCOL_VERSION, Reply, Report, Request, encode,
};

use crate::status::NtStatus;
use device::FakeDevice;
use pending::Outstanding;

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
    /// One more event is announced than follows.
    MiscountsEvents,
    /// An interrupt is told of twice.
    DoublesAnEvent,
    /// The recorder cannot be switched off.
    RecordsAlways,
    /// What does not fit is taken, and a part of it is done.
    TakesAnyOffset,
    /// One bit of what was written is another when it is read.
    FlipsABit,
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
    device: Mutex<FakeDevice>,
    handles: Mutex<Handles>,
    outstanding: Outstanding,
    output: Mutex<UnixStream>,
}

#[derive(Default)]
struct Handles {
    open: HashMap<u32, Open>,
    last: u32,
}

fn serve(mut stream: UnixStream, fault: Fault) {
    let rig = Arc::new(FakeRig {
        fault,
        device: Mutex::new(FakeDevice::new(fault)),
        handles: Mutex::default(),
        outstanding: Outstanding::default(),
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
    rig.outstanding.cancel_all();
}

impl FakeRig {
    fn answer(&self, Frame { number, body }: Frame<Request>) {
        let body = self.reply(number, body);
        let bytes = encode(&Frame { number, body }).expect("replies fit");
        // Fails only when the test has ended.
        drop(self.output.lock().unwrap().write_all(&bytes));
    }

    fn reply(&self, number: u32, request: Request) -> Reply {
        match request {
            Request::Hello => Reply::Hello {
                version: PROTOCOL_VERSION - u32::from(self.fault == Fault::OldVersion),
                processors: 4,
                irq: IrqKind::Msi,
                devices: 1,
            },
            Request::Open(open) => self.open(open),
            Request::Close { handle } => {
                let known = self.handles.lock().unwrap().open.remove(&handle);
                assert!(known.is_some(), "a handle is closed once");
                self.outstanding.cancel_of(handle);
                completed(Ok(vec![]))
            }
            Request::DeviceControl {
                handle,
                code,
                input,
                output_length,
            } => {
                let open = self.handle(handle);
                let request = self.outstanding.begin(number, handle);
                completed(self.control(&open, &request, code, &input, output_length as usize))
            }
            Request::Read {
                handle,
                offset,
                length,
            } => completed(self.read(&self.handle(handle), offset, length as usize)),
            Request::Write {
                handle,
                offset,
                data,
            } => match self.write(&self.handle(handle), offset, &data) {
                Ok(()) => Reply::Completed {
                    status: 0,
                    information: data.len() as u64,
                    output: vec![],
                },
                Err(status) => completed(Err(status)),
            },
            Request::Cancel { number } => completed(if self.outstanding.cancel(number) {
                Ok(vec![])
            } else {
                Err(NtStatus::NOT_FOUND)
            }),
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
        let mut handles = self.handles.lock().unwrap();
        handles.last += 1;
        let handle = handles.last;
        handles.open.insert(handle, open);
        Reply::Opened { handle }
    }

    fn handle(&self, handle: u32) -> Open {
        self.handles.lock().unwrap().open[&handle].clone()
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
