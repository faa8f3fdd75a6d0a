//! The last events, numbered, for those who read them.
//!
//! Filled in the order of the interrupts by whoever takes them from the ISR, one at a time.
//! The oldest are overwritten, but never silently: an event keeps its number, and a reader is
//! told how many of those that it asked for it did not get.

use core::ops::DerefMut;

use crate::events::{Event, EventSink, Noted};

/// An event and how many came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Numbered {
    /// How many came before it, those included that were lost.
    pub sequence: u64,
    /// What happened.
    pub event: Event,
}

/// The last events, in a ring of as many slots as `S` has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventLog<S> {
    slots: S,
    /// Slot of the next event.
    place: usize,
    /// Slots with an event in them.
    length: usize,
    /// Number of the next event.
    next: u64,
    /// Number behind the newest event that is there.
    end: u64,
}

/// Events that answer a reader.
#[derive(Debug)]
pub struct Found<'a> {
    /// Some slots, the oldest event first, and those that follow them on the ring.
    events: [&'a [Numbered]; 2],
    /// Number of the event after these.
    pub next: u64,
    /// Events from the one that was asked for to `next` that are not there any more.
    pub lost: u64,
    /// How many there are, at least one.
    pub count: usize,
}

impl Found<'_> {
    /// The events in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Numbered> {
        let [first, second] = self.events;
        first.iter().chain(second)
    }
}

impl<S: DerefMut<Target = [Numbered]>> EventLog<S> {
    /// A log without events, which keeps as many as there are slots.
    pub const fn new(slots: S) -> Self {
        Self {
            slots,
            place: 0,
            length: 0,
            next: 0,
            end: 0,
        }
    }

    /// Number of the next event.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The number from which on there is no event yet. Smaller than [`next`](Self::next) if
    /// the last ones were lost.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// The oldest events from number `after` on, at most `room`; `None` if there are none.
    pub fn read(&self, after: u64, room: usize) -> Option<Found<'_>> {
        let wanted = |numbered: &&Numbered| numbered.sequence >= after;
        let available = self.newest_first().take_while(wanted).count();
        let count = available.min(room);
        let [older, newer] = self.in_order();
        let skipped = self.length.saturating_sub(available);
        let older = older.get(skipped..).unwrap_or(&[]);
        let skipped = skipped.saturating_sub(self.length.saturating_sub(newer.len()));
        let newer = newer.get(skipped..).unwrap_or(&[]);
        let older = older.get(..count).unwrap_or(older);
        let newer = newer.get(..count.saturating_sub(older.len()))?;
        let last = newer.last().or(older.last())?;
        let next = if count < available {
            last.sequence.saturating_add(1)
        } else {
            self.next
        };
        Some(Found {
            events: [older, newer],
            next,
            lost: next.saturating_sub(after).saturating_sub(count as u64),
            count,
        })
    }

    fn newest_first(&self) -> impl Iterator<Item = &Numbered> {
        let [older, newer] = self.in_order();
        newer.iter().rev().chain(older.iter().rev())
    }

    /// All events, the oldest first.
    #[inline(never)]
    fn in_order(&self) -> [&[Numbered]; 2] {
        let (before, behind) = self
            .slots
            .split_at_checked(self.place)
            .unwrap_or((&self.slots, &[]));
        if self.length < self.slots.len() {
            [&[], before]
        } else {
            [behind, before]
        }
    }
}

impl<S: DerefMut<Target = [Numbered]>> EventSink for EventLog<S> {
    fn event(&mut self, event: Event, _noted: Option<Noted>) {
        let slots = self.slots.len();
        if let Some(slot) = self.slots.get_mut(self.place) {
            *slot = Numbered {
                sequence: self.next,
                event,
            };
            self.place = self.place.wrapping_add(1);
            self.length = self.length.saturating_add(1).min(slots);
            self.end = self.next.saturating_add(1);
        }
        if self.place >= slots {
            self.place = 0;
        }
        self.next = self.next.saturating_add(1);
    }

    fn lost(&mut self, count: u64, _noted: u64) {
        self.next = self.next.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{vec, vec::Vec};

    use super::{EventLog, Numbered};
    use crate::events::{Event, EventSink};

    const SLOTS: usize = 5;

    fn log() -> EventLog<Vec<Numbered>> {
        EventLog::new(vec![Numbered::default(); SLOTS])
    }

    fn happen(log: &mut EventLog<Vec<Numbered>>, count: u64) {
        for _ in 0..count {
            let stamp = log.next() * 10;
            log.event(Event { stamp, causes: 1 }, None);
        }
    }

    /// Numbers of the events found, the next one, how many are lost.
    type Read = Option<(Vec<u64>, u64, u64)>;

    fn read(log: &EventLog<Vec<Numbered>>, after: u64, room: usize) -> Read {
        let found = log.read(after, room)?;
        let numbers: Vec<_> = found
            .iter()
            .inspect(|numbered| assert_eq!(numbered.event.stamp, numbered.sequence * 10))
            .map(|numbered| numbered.sequence)
            .collect();
        assert_eq!(numbers.len(), found.count);
        Some((numbers, found.next, found.lost))
    }

    #[test]
    fn a_new_log_has_nothing() {
        let log = log();
        assert_eq!((log.next(), log.end()), (0, 0));
        assert_eq!(read(&log, 0, 9), None);
    }

    #[test]
    fn reads_what_fits_and_goes_on_from_there() {
        let mut log = log();
        happen(&mut log, 3);
        assert_eq!(read(&log, 0, 2), Some((vec![0, 1], 2, 0)));
        assert_eq!(read(&log, 2, 2), Some((vec![2], 3, 0)));
        assert_eq!(read(&log, 3, 2), None);
        assert_eq!(log.end(), 3);
    }

    #[test]
    fn says_how_many_were_overwritten() {
        let mut log = log();
        happen(&mut log, 12);
        assert_eq!(read(&log, 0, 9), Some((vec![7, 8, 9, 10, 11], 12, 7)));
        assert_eq!(read(&log, 5, 2), Some((vec![7, 8], 9, 2)));
        assert_eq!(read(&log, 9, 9), Some((vec![9, 10, 11], 12, 0)));
    }

    #[test]
    fn says_how_many_were_lost_before() {
        let mut log = log();
        happen(&mut log, 2);
        log.lost(4, 0);
        assert_eq!((log.next(), log.end()), (6, 2));
        assert_eq!(read(&log, 1, 1), Some((vec![1], 6, 4)));
        assert_eq!(read(&log, 3, 1), None, "none of interest is there yet");
        happen(&mut log, 1);
        assert_eq!(read(&log, 3, 1), Some((vec![6], 7, 3)));
        assert_eq!(read(&log, 0, 2), Some((vec![0, 1], 2, 0)));
        assert_eq!(read(&log, 2, 2), Some((vec![6], 7, 4)));
    }

    /// Whoever passes on `next` gets or is told of every event, however it reads.
    #[test]
    fn a_reader_misses_none_without_learning_of_it() {
        for room in 1..=SLOTS + 1 {
            for step in 1..=2 * SLOTS as u64 {
                let mut log = log();
                let (mut after, mut seen, mut lost) = (0, Vec::new(), 0);
                for round in 0..40 {
                    happen(&mut log, step);
                    if round % 3 == 1 {
                        log.lost(2, 0);
                    }
                    if let Some((numbers, next, missed)) = read(&log, after, room) {
                        seen.extend(numbers);
                        lost += missed;
                        after = next;
                    }
                    assert_eq!(seen.len() as u64 + lost, after);
                }
                assert!(seen.is_sorted_by(|one, other| one < other));
            }
        }
    }

    #[test]
    fn without_slots_everything_is_lost() {
        let mut log = EventLog::new(Vec::new());
        happen(&mut log, 3);
        assert_eq!((log.next(), log.end()), (3, 0));
        assert!(log.read(0, 1).is_none());
    }
}
