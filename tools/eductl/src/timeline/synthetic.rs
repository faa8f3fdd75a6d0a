//! Made-up records for the tests: a clock of one stamp a nanosecond, and the
//! documentation's example of three processors that want the interrupt spin lock.

use edu_interface::{Clock, FACTORIAL, Moment, RAISE_INTERRUPT, Record, RecordKind, Section};

use super::Timeline;

pub(super) const CLOCK: Clock = Clock {
    first: Moment {
        stamp: 1_000,
        counter: 0,
    },
    now: Moment {
        stamp: 1_000_001_000,
        counter: 1_000_000_000,
    },
    frequency: 1_000_000_000,
};

pub(super) fn record(
    sequence: u64,
    processor: u16,
    kind: RecordKind,
    (start, duration): (u64, u32),
    detail: u32,
) -> Record {
    Record {
        sequence,
        start,
        waited: 0,
        duration,
        detail,
        processor,
        kind: kind as u8,
        section: 0,
    }
}

pub(super) fn section(
    sequence: u64,
    processor: u16,
    who: Section,
    (start, waited, duration): (u64, u32, u32),
) -> Record {
    Record {
        waited,
        section: who as u8,
        ..record(
            sequence,
            processor,
            RecordKind::CriticalSection,
            (start, duration),
            0,
        )
    }
}

/// An interrupt on processor 0 whose DPC spins for the lock on processor 3, while
/// StartIo on processor 1 holds it; a completion follows. Before that, a lone liveness
/// check on processor 2.
pub(super) fn three_processors() -> Vec<Record> {
    vec![
        section(0, 2, Section::Dispatch, (2_000, 100, 1_500)),
        record(1, 0, RecordKind::Isr, (100_000, 4_000), 0x2),
        section(2, 1, Section::StartIo, (103_000, 1_100, 3_000)),
        record(
            3,
            1,
            RecordKind::StartIo,
            (102_500, 5_000),
            RAISE_INTERRUPT.value(),
        ),
        section(4, 3, Section::DpcForIsr, (105_000, 2_200, 1_800)),
        record(5, 3, RecordKind::Completion, (109_500, 500), 0),
        record(
            6,
            3,
            RecordKind::StartIo,
            (110_500, 1_000),
            FACTORIAL.value(),
        ),
        record(7, 3, RecordKind::DpcForIsr, (104_800, 7_000), 1),
    ]
}

pub(super) fn timeline() -> Timeline {
    Timeline::new(&three_processors(), &CLOCK, 3)
}
