//! What a record may say, and what becomes of those that say what cannot be.

use edu_interface::{Clock, Record, RecordKind, Section};

use super::{
    Activity, Timeline, Unusable,
    synthetic::{CLOCK, record, section, three_processors, timeline},
};

#[test]
fn records_become_spans_from_the_first_begin_on() {
    let timeline = timeline();
    assert_eq!(timeline.unusable, Unusable::default());
    assert_eq!(timeline.lost, 3);
    assert_eq!(timeline.processors(), [0, 1, 2, 3]);
    assert_eq!(timeline.spans().len(), three_processors().len());
    let spin = timeline.spans().iter().find(|span| span.sequence == 4);
    let spin = spin.expect("the fourth record");
    assert_eq!(
        (spin.start, spin.had, spin.end),
        (103_000, 105_200, 107_000)
    );
    assert_eq!(
        (spin.waited(), spin.held(), spin.length()),
        (2_200, 1_800, 4_000)
    );
    assert_eq!(spin.activity, Activity::CriticalSection(Section::DpcForIsr));
    // The DPC encloses it, so it comes first although it was recorded last.
    let order: Vec<u64> = timeline.spans().iter().map(|span| span.sequence).collect();
    assert_eq!(order, [0, 1, 3, 2, 7, 4, 5, 6]);
    assert_eq!(timeline.end(), 109_800);
}

#[test]
fn what_cannot_be_is_counted_and_left_out() {
    let good = record(9, 0, RecordKind::Isr, (5_000, 10), 1);
    let bad = [
        Record { kind: 0, ..good },
        Record {
            sequence: 10,
            kind: 77,
            ..good
        },
        Record {
            section: 99,
            ..section(11, 0, Section::Pnp, (5_000, 1, 1))
        },
        // Torn: begins before the device was added, ends in the future, never ends.
        Record {
            sequence: 12,
            start: 999,
            ..good
        },
        Record {
            sequence: 13,
            start: CLOCK.now.stamp,
            ..good
        },
        Record {
            sequence: 14,
            start: u64::MAX,
            duration: u32::MAX,
            waited: u32::MAX,
            ..good
        },
        Record {
            sequence: 14,
            ..good
        },
        Record {
            sequence: 3,
            ..good
        },
    ];
    let timeline = Timeline::new(&bad, &CLOCK, 0);
    assert_eq!(timeline.spans(), []);
    assert_eq!(
        timeline.unusable,
        Unusable {
            unknown_kind: 2,
            unknown_section: 1,
            outside_of_time: 3,
            out_of_order: 2,
        }
    );
    assert_eq!(timeline.unusable.count(), 8);
    assert_eq!(
        timeline.unusable.to_string(),
        "2 of an unknown kind, 1 of an unknown critical section, \
         3 outside of the recorded time, 2 out of order"
    );
    assert_eq!(Unusable::default().to_string(), "none");
}

#[test]
fn a_clock_that_stands_and_no_records_at_all_are_no_reason_to_stop() {
    assert_eq!(Timeline::new(&[], &CLOCK, 0), Timeline::default());
    let stopped = Clock::default();
    let timeline = Timeline::new(&three_processors(), &stopped, 0);
    assert_eq!(timeline.unusable.outside_of_time, 8);
}

#[test]
fn each_activity_says_what_it_was() {
    for (activity, text) in [
        (Activity::Isr(0), "ISR: another device's interrupt"),
        (Activity::Isr(0x101), "ISR: status 0x101"),
        (
            Activity::CriticalSection(Section::StartIo),
            "critical section of StartIo",
        ),
        (
            Activity::StartIo(edu_interface::FACTORIAL.value()),
            "StartIo: FACTORIAL",
        ),
        (Activity::StartIo(5), "StartIo: 0x00000005"),
        (Activity::DpcForIsr(1), "DpcForIsr: 1 result"),
        (Activity::CustomDpc(2), "CustomDpc: 2 transfers"),
        (Activity::AdapterControl(16), "AdapterControl: 16 bytes"),
        (Activity::Timer(0), "timer DPC: 0 past the deadline"),
        (Activity::Completion(0), "completion: STATUS_SUCCESS"),
        (
            Activity::Completion(0xc000_0120),
            "completion: STATUS_CANCELLED (0xC0000120)",
        ),
    ] {
        assert_eq!(activity.to_string(), text);
    }
}
