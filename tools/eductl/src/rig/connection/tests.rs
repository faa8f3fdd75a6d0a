//! The channel against a rig that behaves, and against ones that do not.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use rig_protocol::{Frame, Reply, Request, encode};

use super::Connection;
use crate::{
    device::Device,
    fake_rig::{self, Fault},
    rig::Rig,
    transport::{Open, Operation, System as _, Transport as _, TransportError},
};

const OPERATION: Operation = Operation::Rig("a test");

fn reason<T>(outcome: Result<T, TransportError>) -> String {
    match outcome {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn many_threads_each_get_their_own_answer() {
    let rig = Rig::over(fake_rig::start(Fault::None)).unwrap();
    let handle = rig.open(&Open::read_write(0)).unwrap();
    let device = Device::new(handle.as_ref());
    thread::scope(|scope| {
        for worker in 0..32 {
            scope.spawn(move || {
                for round in 0..50 {
                    let value = worker << 16 | round;
                    assert_eq!(device.liveness(value), Ok(!value));
                }
            });
        }
    });
    assert_eq!(device.statistics().unwrap().liveness_checks, 32 * 50);
    handle.close().unwrap();
}

#[test]
fn a_device_that_is_not_there_is_no_device() {
    let rig = Rig::over(fake_rig::start(Fault::None)).unwrap();
    match rig.open(&Open::read_write(1)).map(drop) {
        Err(TransportError::NoDevice(reason)) => assert!(reason.contains("device 1"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn silence_has_a_limit() {
    let (near, _far) = UnixStream::pair().unwrap();
    let connection = Connection::over(near).unwrap();
    let start = Instant::now();
    let limit = Duration::from_millis(50);
    let text = reason(connection.request(OPERATION, Request::Hello, limit));
    assert!(text.contains("has not answered"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_rig_of_another_version_is_refused() {
    let text = reason(Rig::over(fake_rig::start(Fault::OldVersion)));
    assert!(text.contains("speaks version"), "{text}");
}

#[test]
fn garbage_before_the_first_reply_belongs_to_an_earlier_program() {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"\x09tail of a reply\0").unwrap();
    let late = Frame {
        number: 3,
        body: Reply::Malformed,
    };
    far.write_all(&encode(&late).unwrap()).unwrap();
    let connection = Connection::over(near).unwrap();
    let limit = Duration::from_secs(20);
    let pending = connection.send(OPERATION, Request::Hello, limit).unwrap();
    let answer = Frame {
        number: pending.number(),
        body: Reply::Opened { handle: 1 },
    };
    far.write_all(&encode(&answer).unwrap()).unwrap();
    assert_eq!(pending.wait(limit), Ok(Reply::Opened { handle: 1 }));
}

#[test]
fn garbage_later_ends_the_channel_for_all() {
    let rig = Rig::over(fake_rig::start(Fault::Garbles)).unwrap();
    let handle = rig.open(&Open::read_write(0)).unwrap();
    let device = Device::new(handle.as_ref());
    let text = device.factorial(20, 0).unwrap_err().to_string();
    assert!(text.contains("does not decode"), "{text}");
    let text = device.liveness(1).unwrap_err().to_string();
    assert!(text.contains("does not decode"), "{text}");
}

#[test]
fn a_closed_channel_fails_requests_that_wait_and_later_ones() {
    let (near, far) = UnixStream::pair().unwrap();
    let connection = Connection::over(near).unwrap();
    let limit = Duration::from_secs(20);
    let pending = connection.send(OPERATION, Request::Report, limit).unwrap();
    drop(far);
    assert!(reason(pending.wait(limit)).contains("ended the command channel"));
    let later = connection.request(OPERATION, Request::Report, limit);
    assert!(reason(later).contains("ended the command channel"));
}

#[test]
fn requests_beyond_the_protocol_s_limit_wait_and_then_fail() {
    let (near, mut far) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let mut sink = [0; 4096];
        while far.read(&mut sink).is_ok_and(|length| length > 0) {}
    });
    let connection = Connection::over(near).unwrap();
    let limit = Duration::from_millis(50);
    let outstanding: Vec<_> = (0..rig_protocol::MAX_OUTSTANDING)
        .map(|_| connection.send(OPERATION, Request::Report, limit).unwrap())
        .collect();
    let text = reason(connection.send(OPERATION, Request::Report, limit));
    assert!(text.contains("256 requests are outstanding"), "{text}");
    drop(outstanding);
    assert!(connection.send(OPERATION, Request::Report, limit).is_ok());
}

#[test]
fn too_long_a_buffer_is_refused_here() {
    let rig = Rig::over(fake_rig::start(Fault::None)).unwrap();
    let handle = rig.open_handle(&Open::read_write(0)).unwrap();
    let text = reason(handle.device_io_control(1, &[0; 4097], 0));
    assert!(text.contains("at most 4096 bytes"), "{text}");
}
