//! The recorder in `loom`: small rings, few writers, every order in which they can meet.

use std::{vec, vec::Vec};

use edu_interface::Record;
use loom::{sync::Arc, thread};

use crate::{Reading, Recorder, Slot, slot::Found};

/// A record all of whose words say `value`.
fn record(value: u32) -> Record {
    Record {
        start: value.into(),
        waited: value,
        duration: !value,
        detail: value,
        processor: 7,
        kind: 1,
        ..Record::default()
    }
}

/// The value of a record, which must be whole.
fn value(read: &Record) -> u32 {
    let expected = Record {
        sequence: read.sequence,
        ..record(read.detail)
    };
    assert_eq!(*read, expected, "words of several records");
    read.detail
}

fn recorder(slots: usize) -> Arc<Recorder<Vec<Slot>>> {
    let slots = (0..slots).map(|_| Slot::new()).collect();
    Arc::new(Recorder::new(slots).expect("a power of two"))
}

/// Reads everything from `after` on; the values, and what was gone through.
fn read(recorder: &Recorder<Vec<Slot>>, after: u64, room: u32) -> (Vec<u32>, Reading) {
    let mut values = vec![];
    let mut last = None;
    let reading = recorder.read(after, room, |record| {
        assert!(record.sequence >= after, "{record:?} from {after} on");
        assert!(last < Some(record.sequence), "{record:?} after {last:?}");
        last = Some(record.sequence);
        values.push(value(&record));
    });
    assert_eq!(usize::try_from(reading.count), Ok(values.len()));
    assert_eq!(
        after + reading.lost + u64::from(reading.count),
        reading.next
    );
    (values, reading)
}

/// Has `writers` threads write `each` records, numbered through.
fn write(
    recorder: &Arc<Recorder<Vec<Slot>>>,
    writers: u32,
    each: u32,
) -> Vec<thread::JoinHandle<()>> {
    (0..writers)
        .map(|writer| {
            let recorder = Arc::clone(recorder);
            thread::spawn(move || {
                for number in 0..each {
                    recorder.write(record(1 + writer * each + number));
                }
            })
        })
        .collect()
}

/// Runs `model` in every order with at most `preemptions` of them: where a thread is stopped
/// although it could go on. Without the bound, three threads take hours.
fn model(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn nothing_is_lost_while_there_is_room() {
    loom::model(|| {
        let recorder = recorder(2);
        for writer in write(&recorder, 2, 1) {
            writer.join().expect("it writes");
        }
        let (mut values, reading) = read(&recorder, 0, 9);
        values.sort_unstable();
        assert_eq!(values, [1, 2]);
        assert_eq!((reading.next, reading.lost), (2, 0));
    });
}

#[test]
fn a_reader_sees_whole_records_in_order_and_comes_back_for_the_others() {
    model(2, || {
        let recorder = recorder(2);
        let writers = write(&recorder, 2, 1);
        let (mut values, first) = read(&recorder, 0, 9);
        assert_eq!(first.lost, 0);
        for writer in writers {
            writer.join().expect("it writes");
        }
        let (rest, second) = read(&recorder, first.next, 9);
        assert_eq!((second.next, second.lost), (2, 0));
        values.extend(rest);
        values.sort_unstable();
        assert_eq!(values, [1, 2]);
    });
}

/// One slot, so that each writer laps the other: one of the two records is lost, and what a
/// reader finds meanwhile is whole.
#[test]
fn a_lapped_writer_tears_no_record() {
    model(2, || {
        let recorder = recorder(1);
        let writers = write(&recorder, 2, 1);
        let (_, first) = read(&recorder, 0, 9);
        for writer in writers {
            writer.join().expect("it writes");
        }
        let (_, second) = read(&recorder, first.next, 9);
        assert_eq!(second.next, 2);
        let all = read(&recorder, 0, 9).1;
        assert_eq!((all.next, all.lost + u64::from(all.count)), (2, 2));
    });
}

/// Three records of two writers in two slots, with a reader.
#[test]
fn a_ring_that_goes_round_accounts_for_every_number() {
    model(1, || {
        let recorder = recorder(2);
        let writers = write(&recorder, 2, 2);
        let (_, first) = read(&recorder, 0, 9);
        for writer in writers {
            writer.join().expect("it writes");
        }
        let (_, second) = read(&recorder, first.next, 9);
        assert_eq!(second.next, 4);
        assert!(second.count <= 2);
    });
}

#[test]
fn room_is_respected_and_numbers_ahead_are_nothing() {
    loom::model(|| {
        let recorder = recorder(4);
        for value in 1..=6 {
            recorder.write(record(value));
        }
        let (values, reading) = read(&recorder, 0, 3);
        assert_eq!(values, [3, 4, 5]);
        assert_eq!((reading.next, reading.lost), (5, 2));
        assert_eq!(read(&recorder, 5, 3).0, [6]);
        let ahead = Reading {
            next: 9,
            lost: 0,
            count: 0,
        };
        assert_eq!(recorder.read(9, 3, |_| unreachable!()), ahead);
    });
}

/// Records that are not there are counted, and those around them are read; with more of them
/// than there are slots, too.
#[test]
fn what_is_said_to_be_lost_is_counted() {
    loom::model(|| {
        let recorder = recorder(4);
        recorder.lose(0);
        recorder.write(record(1));
        recorder.lose(2);
        recorder.write(record(2));
        let (values, reading) = read(&recorder, 0, 9);
        assert_eq!(values, [1, 2]);
        assert_eq!((reading.next, reading.lost), (4, 2));
        recorder.lose(7);
        recorder.write(record(3));
        let (values, reading) = read(&recorder, 4, 9);
        assert_eq!(values, [3]);
        assert_eq!((reading.next, reading.lost), (12, 7));
    });
}

/// Two on their way to the same slots.
#[test]
fn what_is_said_to_be_lost_leaves_other_writers_alone() {
    model(2, || {
        let recorder = recorder(2);
        let writers = write(&recorder, 1, 1);
        recorder.lose(1);
        for writer in writers {
            writer.join().expect("it writes");
        }
        let (values, reading) = read(&recorder, 0, 9);
        assert_eq!(values, [1]);
        assert_eq!((reading.next, reading.lost), (2, 1));
    });
}

#[test]
fn it_is_off_until_it_is_switched_on() {
    loom::model(|| {
        let recorder = recorder(1);
        assert!(!recorder.is_on());
        recorder.switch(true);
        assert!(recorder.is_on());
        recorder.switch(false);
        assert!(!recorder.is_on());
        assert!(Recorder::new(Vec::<Slot>::new()).is_none());
        assert!(Recorder::new(vec![Slot::new(), Slot::new(), Slot::new()]).is_none());
    });
}

/// The turns of one slot are a round apart, and a round of one slot is one.
#[test]
fn a_turn_that_was_given_up_says_nothing_of_the_next() {
    loom::model(|| {
        let slot = Slot::new();
        slot.give_up(3);
        assert!(matches!(slot.read(3), Found::Lost));
        assert!(matches!(slot.read(4), Found::Unwritten));
    });
}
