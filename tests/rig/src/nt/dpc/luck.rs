//! What bad luck does to a DPC: it runs at once on another processor, late, or beside
//! itself.
//!
//! Only a DPC that its driver queues, and that has no processor of its own, is subject to
//! it: "Organization of DPC Queues" promises nothing about when it runs, and the next
//! interrupt of the same device may come to another processor, whose queue is another.

use super::Source;
use super::object::{Object, importance};
use super::queue::{self, Number};
use super::victim;
use crate::machine::cpu;
use crate::machine::time::{stall, system_time_100ns};
use crate::nt::chance::{self, Choice};
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::mishap::{self, Mishap};

/// A DPC is late by 1 ms, and by at most 2 ms more.
const LATE_100NS: u64 = 10_000;
const LATER_100NS: u64 = 20_000;
/// How late a DPC is when this is what a test is about: 500 ms.
const LATE_FOR_CERTAIN_100NS: u64 = 5_000_000;
/// How late the DPC of a timer is that expired before it was cancelled: 20 ms.
const CANCELLED_100NS: u64 = 200_000;
/// How long KeInsertQueueDpc waits for a DPC on another processor to begin, at most, in
/// microseconds: that processor may be waiting for a lock that the caller holds.
const BEGIN_MICROSECONDS: u64 = 2_000;
/// The same, when this is what a test is about.
const BEGIN_FOR_CERTAIN_MICROSECONDS: u64 = 2_000_000;
/// How long it waits for it to end then: it may need a lock that the caller holds.
const END_MICROSECONDS: u64 = 200;
/// The same, when this is what a test is about.
const END_FOR_CERTAIN_MICROSECONDS: u64 = 1_000_000;
/// Between two looks.
const LOOK_MICROSECONDS: u64 = 2;

/// What happens to a DPC that is being queued.
pub(super) struct Luck {
    /// The queue that it is put into.
    pub(super) number: Number,
    /// Until when it waits, in 100 ns since the rig booted.
    pub(super) not_before: u64,
    /// Its importance, if it is not its own.
    pub(super) importance: Option<u8>,
    mishap: Option<Mishap>,
}

impl Luck {
    /// For a DPC that belongs into this queue.
    pub(super) fn of(object: Object, number: Number, source: Source) -> Self {
        let plain = Self {
            number,
            not_before: 0,
            importance: None,
            mishap: None,
        };
        if source == Source::CancelledTimer {
            return Self {
                not_before: system_time_100ns() + CANCELLED_100NS,
                ..plain
            };
        }
        if source != Source::Driver || number.is_threaded() || object.target().is_some() {
            return plain;
        }
        let at_once = |mishap, number| Self {
            number,
            importance: Some(importance::HIGH),
            mishap: Some(mishap),
            ..plain
        };
        if mishap::happens(Mishap::DpcInsideInsert)
            && let Some(other) = other_processor(object)
        {
            return at_once(Mishap::DpcInsideInsert, other);
        }
        if mishap::happens(Mishap::DpcElsewhere)
            && let Some(other) = other_processor(object)
        {
            return at_once(Mishap::DpcElsewhere, other);
        }
        if mishap::happens(Mishap::LateDpc) {
            let late = if mishap::is_certain(Mishap::LateDpc) {
                LATE_FOR_CERTAIN_100NS
            } else {
                LATE_100NS + chance::number(Choice::Place) % LATER_100NS
            };
            return Self {
                not_before: system_time_100ns() + late,
                mishap: Some(Mishap::LateDpc),
                ..plain
            };
        }
        plain
    }

    /// It has happened.
    pub(super) fn note(&self) {
        if let Some(mishap) = self.mishap {
            mishap::note(mishap);
        }
    }

    /// Whether the DPC is to run before KeInsertQueueDpc returns.
    pub(super) fn is_inside_insert(&self) -> bool {
        self.mishap == Some(Mishap::DpcInsideInsert)
    }
}

/// The queue of a processor that does not run this DPC: another one than the current, or
/// the current if there is no other. None on the only processor.
fn other_processor(object: Object) -> Option<Number> {
    let count = cpu::processor_count();
    let current = cpu::current_processor();
    let others = count.checked_sub(1).filter(|others| *others != 0)?;
    let first = usize::try_from(chance::number(Choice::Place)).unwrap_or_default() % others;
    (0..others)
        .map(|step| (current + 1 + (first + step) % others) % count)
        .chain([current])
        .map(Number::ordinary)
        .find(|number| queue::running(*number) != Some(object.address()))
}

/// Waits until a DPC that was put into another processor's queue has run, or begun to run
/// and come to no end, or that processor does not get round to it.
pub(super) fn let_run(object: Object, number: Number, sequence: u64) {
    if number.processor() == cpu::current_processor() {
        return;
    }
    let (begin, end) = if mishap::is_certain(Mishap::DpcInsideInsert) {
        (BEGIN_FOR_CERTAIN_MICROSECONDS, END_FOR_CERTAIN_MICROSECONDS)
    } else {
        (BEGIN_MICROSECONDS, END_MICROSECONDS)
    };
    wait(begin, || queue::has_begun(number, sequence));
    wait(end, || queue::has_passed(number, sequence));
    // One that has ended by now did not need the lock that the caller holds.
    if cpu::irql() > DISPATCH_LEVEL && queue::has_passed(number, sequence) {
        victim::note(object.pointer(), Mishap::DpcInsideInsert);
    }
}

/// Waits until something is so, for so many microseconds at most.
fn wait(microseconds: u64, is_so: impl Fn() -> bool) {
    let end = system_time_100ns() + 10 * microseconds;
    while !is_so() && system_time_100ns() < end {
        stall(LOOK_MICROSECONDS);
    }
}

/// A queue runs this DPC from now on: perhaps another one does, too.
pub(super) fn note_beside_itself(number: Number, dpc: usize) {
    let others = Number::all().filter(|other| *other != number);
    for other in others {
        if queue::running(other) == Some(dpc) {
            queue::mark_beside_itself(other, dpc);
            queue::mark_beside_itself(number, dpc);
        }
    }
}
