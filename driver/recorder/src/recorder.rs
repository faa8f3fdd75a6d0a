//! The ring of slots, its counter and its switch.

use core::ops::Deref;

use edu_interface::Record;

use crate::{
    Slot,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    slot::{Found, WORDS},
};

/// The flight recorder, over slots that somebody else has allocated.
#[derive(Debug)]
pub struct Recorder<S> {
    /// As many as a power of two.
    slots: S,
    /// Records that were begun: the number of the next one.
    next: AtomicU64,
    on: AtomicBool,
}

/// What [`Recorder::read`] went through: of the numbers from the one that was asked for up
/// to `next`, `count` were read and `lost` were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The number to go on with.
    pub next: u64,
    /// Records that were overwritten or given up.
    pub lost: u64,
    /// Records that were read.
    pub count: u32,
}

impl<S: Deref<Target = [Slot]>> Recorder<S> {
    /// A recorder that is off; `None` unless there are as many slots as a power of two.
    #[must_use]
    pub fn new(slots: S) -> Option<Self> {
        if !slots.len().is_power_of_two() {
            return None;
        }
        for (turn, slot) in (0..).zip(slots.iter()) {
            slot.set_out(turn);
        }
        Some(Self {
            slots,
            next: AtomicU64::new(0),
            on: AtomicBool::new(false),
        })
    }

    /// Whether it is on. Any IRQL.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Switches it on or off. What was begun while it was on may still be written. Any IRQL.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Relaxed);
    }

    /// How many records came so far: the number of the next one. Any IRQL.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// Writes a record under the next number, whatever number it carries. Any IRQL; waits
    /// for nobody.
    #[inline]
    pub fn write(&self, record: Record) {
        let [_number, start, times, what]: [u64; WORDS + 1] = zerocopy::transmute!(record);
        self.write_words(start, times, what);
    }

    /// In registers, so that no record is put together in memory to be read again.
    #[inline(never)]
    fn write_words(&self, start: u64, times: u64, what: u64) {
        let number = self.next.fetch_add(1, Relaxed);
        if let Some(slot) = self.slot(number) {
            slot.write(self.turn(number), self.round(), [start, times, what]);
        }
    }

    /// Counts `count` records that are not there to be written: the next numbers are lost. Any
    /// IRQL; waits for nobody, and takes as long as there are such numbers, or slots.
    pub fn lose(&self, count: u64) {
        let first = self.next.fetch_add(count, Relaxed);
        // Those before have been overwritten by these.
        let before = count.saturating_sub(self.round());
        for number in first.saturating_add(before)..first.saturating_add(count) {
            if let Some(slot) = self.slot(number) {
                slot.give_up(self.turn(number));
            }
        }
    }

    /// Reads the records from number `after` on, at most `room` of them, in order. Any IRQL.
    ///
    /// Stops in front of one that is being written.
    pub fn read(&self, after: u64, room: u32, mut take: impl FnMut(Record)) -> Reading {
        let end = self.next();
        let mut reading = Reading {
            next: after.max(end.saturating_sub(self.round())),
            lost: 0,
            count: 0,
        };
        while reading.next < end && reading.count < room {
            let number = reading.next;
            let turn = self.turn(number);
            match self.slot(number).map(|slot| slot.read(turn)) {
                Some(Found::Words([start, times, what])) => {
                    take(zerocopy::transmute!([number, start, times, what]));
                    reading.count = reading.count.saturating_add(1);
                }
                Some(Found::Unwritten) => break,
                Some(Found::Lost) | None => {}
            }
            reading.next = number.saturating_add(1);
        }
        let passed = reading.next.saturating_sub(after);
        reading.lost = passed.saturating_sub(reading.count.into());
        reading
    }

    /// Numbers until a slot has its next turn.
    fn round(&self) -> u64 {
        u64::try_from(self.slots.len()).unwrap_or(u64::MAX)
    }

    /// The turn in which a number is: one round later, so that each has a turn before it.
    fn turn(&self, number: u64) -> u64 {
        number.wrapping_add(self.round())
    }

    fn slot(&self, number: u64) -> Option<&Slot> {
        let slots = &*self.slots;
        let place = usize::try_from(number).ok()? & slots.len().wrapping_sub(1);
        slots.get(place)
    }
}
