//! Requests that wait end when the wish to stop comes, and leave nothing behind.

use std::{
    thread,
    time::{Duration, Instant},
};

use edu_interface::FROM_NOW;

use super::{Interruptible, Stop};
use crate::{
    device::{Device, DeviceError},
    fake_rig::{self, Fault},
    rig::Rig,
    transport::{Open, System, TransportError},
};

const LONG: Duration = Duration::from_secs(20);

fn system(stop: &Stop) -> Interruptible<Box<dyn System>> {
    let rig = Rig::over(fake_rig::start(Fault::None)).unwrap();
    Interruptible::new(Box::new(rig), stop.clone())
}

fn is_interrupted<T>(outcome: &Result<T, DeviceError>) -> bool {
    matches!(
        outcome,
        Err(DeviceError::Transport(TransportError::Interrupted(_)))
    )
}

#[test]
fn a_request_that_waits_is_interrupted_and_later_ones_are_not_sent() {
    let stop = Stop::default();
    let handle = system(&stop).open(&Open::read_write(0)).unwrap();
    let device = Device::new(handle.as_ref());
    device.raise(1, 0).unwrap();
    assert_eq!(device.wait_events(0).unwrap().events.len(), 1);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| device.wait_events(FROM_NOW));
        thread::sleep(Duration::from_millis(30));
        assert!(!waiter.is_finished());
        stop.request();
        assert!(is_interrupted(&waiter.join().unwrap()));
    });
    assert!(is_interrupted(&device.liveness(1)));
    assert_eq!(device.for_cleanup().liveness(1), Ok(!1));
    handle.close().unwrap();
}

#[test]
fn one_that_is_cancelled_by_its_owner_is_not_interrupted() {
    let handle = system(&Stop::default()).open(&Open::read_write(0)).unwrap();
    let device = Device::new(handle.as_ref());
    let mut pending = device.start_wait_events(FROM_NOW).unwrap();
    assert!(!pending.ends_within(Duration::from_millis(30)));
    pending.cancel().unwrap();
    assert!(pending.ends_within(LONG));
    match pending.wait() {
        Err(DeviceError::Transport(error @ TransportError::Failed { .. })) => {
            assert!(error.to_string().contains("STATUS_CANCELLED"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sleep_ends_early() {
    let stop = Stop::default();
    assert!(!stop.comes_within(Duration::from_millis(1)));
    let began = Instant::now();
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| stop.comes_within(LONG));
        stop.request();
        assert!(sleeper.join().unwrap());
    });
    assert!(began.elapsed() < LONG);
}
