//! The recorder on real processors: writers that lap one another, and a reader.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use edu_interface::Record;
use edu_recorder::{Recorder, Slot};

const WRITERS: u16 = 4;

/// What writer `writer` writes as its record `count`: each word follows from the two.
fn record(writer: u16, count: u32) -> Record {
    Record {
        start: u64::from(count) << 16 | u64::from(writer),
        waited: count.rotate_left(7),
        duration: !count,
        detail: count,
        processor: writer,
        kind: 3,
        ..Record::default()
    }
}

fn recorder(slots: usize) -> Recorder<Vec<Slot>> {
    Recorder::new((0..slots).map(|_| Slot::new()).collect()).expect("a power of two")
}

/// What a reader has seen in all.
#[derive(Default)]
struct Seen {
    next: u64,
    count: u64,
    lost: u64,
    /// The next record of each writer at the earliest.
    expected: [u32; WRITERS as usize],
}

impl Seen {
    fn read(&mut self, recorder: &Recorder<Vec<Slot>>) {
        let after = self.next;
        let mut before = None;
        let reading = recorder.read(after, 50, |read| {
            let expected = Record {
                sequence: read.sequence,
                ..record(read.processor, read.detail)
            };
            assert_eq!(read, expected, "words of several records");
            assert!(read.sequence >= after && before < Some(read.sequence));
            before = Some(read.sequence);
            let own = &mut self.expected[usize::from(read.processor)];
            assert!(read.detail >= *own, "{read:?} comes after {own}");
            *own = read.detail + 1;
        });
        self.next = reading.next;
        self.count += u64::from(reading.count);
        self.lost += reading.lost;
    }
}

fn run(slots: usize, each: u32) -> Seen {
    let recorder = recorder(slots);
    let done = AtomicBool::new(false);
    let written = u64::from(each) * u64::from(WRITERS);
    let mut seen = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Seen::default();
            while !done.load(Ordering::Acquire) {
                seen.read(&recorder);
            }
            seen
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let recorder = &recorder;
                scope.spawn(move || {
                    for count in 0..each {
                        recorder.write(record(writer, count));
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("it writes");
        }
        done.store(true, Ordering::Release);
        reader.join().expect("it reads")
    });
    while seen.next < written {
        let before = seen.next;
        seen.read(&recorder);
        assert!(
            seen.next > before,
            "nobody writes, and {before} is not read"
        );
    }
    assert_eq!(seen.count + seen.lost, written);
    seen
}

#[test]
fn a_small_ring_is_overrun_and_accounts_for_all() {
    let seen = run(8, 50_000);
    assert!(seen.count > 0);
}

#[test]
fn a_ring_that_is_large_enough_loses_nothing() {
    let seen = run(4_096, 1_000);
    assert_eq!((seen.count, seen.lost), (4_000, 0));
}

#[test]
fn what_is_overrun_is_the_oldest() {
    let recorder = recorder(16);
    for count in 0..40 {
        recorder.write(record(0, count));
    }
    let mut read = vec![];
    let reading = recorder.read(0, 100, |record| read.push(record.detail));
    assert!(read.into_iter().eq(24..40));
    assert_eq!((reading.next, reading.lost, reading.count), (40, 24, 16));
}
