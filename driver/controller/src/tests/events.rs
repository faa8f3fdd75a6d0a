//! What is told of the interrupts, and when a DPC is asked for.

use super::std::{vec, vec::Vec};

use super::{Device, Tested, started};
use crate::{Dpcs, EVENTS, Event, EventSink, Noted, Outcome, Refused, Service};

/// Claimed, and no DPC has anything to take.
const NOTHING: Service = Service::Claimed(Dpcs::NONE);
/// Claimed, and DpcForIsr has something to take.
const RESULT: Service = Service::Claimed(Dpcs::FOR_ISR);

/// What a drain has found.
#[derive(Default)]
struct Log {
    events: Vec<(u64, u32)>,
    noted: Vec<Noted>,
    lost: u64,
}

impl EventSink for Log {
    fn event(&mut self, event: Event, noted: Option<Noted>) {
        self.noted.extend(noted);
        self.events.push((event.stamp, event.causes));
    }

    fn lost(&mut self, count: u64, _noted: u64) {
        self.lost += count;
    }
}

fn log_of(controller: &mut Tested<'_>) -> Log {
    let mut log = Log::default();
    controller.drain_events(&mut log);
    log
}

/// An interrupt that nobody asked for.
fn unasked(controller: &mut Tested<'_>, stamp: u64) -> Service {
    controller.device().causes = 0x10;
    controller.service(stamp)
}

#[test]
fn every_claimed_interrupt_is_an_event_and_no_other() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.service(1), Service::NotOurs);
    assert_eq!(controller.arm_raise(1, 0x30, 10), Ok(()));
    assert_eq!(controller.service(2), RESULT);
    assert_eq!(unasked(&mut controller, 3), NOTHING);
    controller.device().gone = true;
    assert_eq!(controller.service(4), Service::NotOurs);
    let log = log_of(&mut controller);
    assert_eq!(log.events, vec![(2, 0x30), (3, 0x10)]);
    assert_eq!(log.lost, 0);
    assert_eq!(log_of(&mut controller).events, vec![]);
}

/// The event has what the ISR read, the result what the operation is about.
#[test]
fn several_causes_in_one_interrupt_are_one_event() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 10), Ok(()));
    controller.device().end_factorial();
    controller.device().causes |= 0x8000_0040;
    assert_eq!(controller.service(7), RESULT);
    assert_eq!(log_of(&mut controller).events, vec![(7, 0x8000_0041)]);
    let outcome = controller.drain().map(|ended| ended.outcome);
    assert_eq!(outcome, Some(Outcome::Factorial { n: 5, value: 120 }));
    assert_eq!(controller.counters().interrupts_claimed, 1);
    assert_eq!(controller.counters().interrupts_unasked, 0);
    assert_eq!(controller.device().causes, 0);
}

/// Interrupts that come before the DPC of the first one leave its result alone, and each is
/// told of.
#[test]
fn several_interrupts_before_one_dpc_overwrite_nothing() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, 0x2, 10), Ok(()));
    assert_eq!(controller.service(0), RESULT);
    for stamp in 1..4 {
        assert_eq!(unasked(&mut controller, stamp), NOTHING);
    }
    assert_eq!(
        controller.arm_factorial(99, 3, 10),
        Err((Refused::Busy, Some(99)))
    );
    let ended = controller.drain().map(|ended| (ended.owner, ended.outcome));
    assert_eq!(ended, Some((1, Outcome::Raised { causes: 0x2 })));
    assert_eq!(
        log_of(&mut controller).events,
        vec![(0, 0x2), (1, 0x10), (2, 0x10), (3, 0x10)]
    );
    assert_eq!(controller.arm_raise(0, 1, 10), Ok(()));
}

#[test]
fn who_waits_gets_a_dpc_for_an_interrupt_that_ends_nothing() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(unasked(&mut controller, 1), NOTHING);
    controller.expect_event();
    assert_eq!(unasked(&mut controller, 2), RESULT);
    assert_eq!(log_of(&mut controller).events, vec![(1, 0x10), (2, 0x10)]);
    assert_eq!(unasked(&mut controller, 3), NOTHING);
}

#[test]
fn nobody_waits_and_nothing_is_lost_before_a_dpc_was_asked_for() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    let (mut quiet, mut asked) = (0, 0);
    for stamp in 0..EVENTS as u64 {
        if unasked(&mut controller, stamp) == NOTHING {
            quiet += 1;
        } else {
            asked += 1;
        }
    }
    assert!(quiet > 0 && asked > 0, "{quiet} without and {asked} with");
    assert_eq!(controller.counters().events_lost, 0);
    assert_eq!(unasked(&mut controller, 0), RESULT);
    assert_eq!(unasked(&mut controller, 0), RESULT);
    assert_eq!(controller.counters().events_lost, 2);
    let log = log_of(&mut controller);
    assert_eq!((log.events.len(), log.lost), (EVENTS, 2));
    assert!(
        log.events
            .iter()
            .map(|(stamp, _)| *stamp)
            .eq(0..EVENTS as u64)
    );
}

/// What an ISR notes of itself comes out beside its event, and only there.
#[test]
fn what_an_isr_has_noted_comes_with_its_event() {
    let noted = Noted {
        end: 9,
        processor: 3,
    };
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(unasked(&mut controller, 1), NOTHING);
    assert_eq!(unasked(&mut controller, 8), NOTHING);
    controller.note(noted);
    let log = log_of(&mut controller);
    assert_eq!(log.events, vec![(1, 0x10), (8, 0x10)]);
    assert_eq!(log.noted, vec![noted]);
    assert_eq!(unasked(&mut controller, 10), NOTHING);
    assert_eq!(log_of(&mut controller).noted, vec![]);
}

/// What the device did before it slept is told afterwards.
#[test]
fn events_outlive_a_sleep() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(unasked(&mut controller, 1), NOTHING);
    assert_eq!(controller.silence(), None);
    let saved = controller.save();
    controller.restore(saved);
    assert_eq!(unasked(&mut controller, 2), NOTHING);
    assert_eq!(log_of(&mut controller).events, vec![(1, 0x10), (2, 0x10)]);
}
