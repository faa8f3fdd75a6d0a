//! The queues: for each processor one of ordinary and one of threaded DPCs.

use alloc::collections::VecDeque;
use core::ops::Range;
use core::sync::atomic::Ordering;

use wdk_sys::PVOID;
use x86_64::instructions::interrupts;

use super::luck::{self, Luck};
use super::object::{Object, importance};
use super::{Call, Source, threaded};
use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::machine::time::system_time_100ns;
use crate::nt::address;
use crate::nt::throughput::isr_to_dpc;
use crate::nt::violation::check;

/// From this many waiting DPCs on a queue is run at once, whatever their importance.
const DEPTH: usize = 4;

/// A DPC in a queue.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) dpc: usize,
    pub(super) source: Source,
    pub(super) is_threaded: bool,
    /// Counts up with each insertion into this queue.
    sequence: u64,
    /// Until when it waits in any case, in 100 ns since the rig booted.
    not_before: u64,
    /// When the ISR began that asked for it, while that is measured; else zero.
    isr_began: u64,
    /// It runs, or ran, while it ran on another processor too.
    pub(super) is_beside_itself: bool,
}

/// One queue.
pub(super) struct Queue {
    waiting: VecDeque<Entry>,
    running: Option<Entry>,
    inserted: u64,
}

/// The ordinary queues of all processors, then the threaded ones.
static QUEUES: [IrqLock<Queue>; 2 * MAX_PROCESSORS] = [const {
    IrqLock::new(Queue {
        waiting: VecDeque::new(),
        running: None,
        inserted: 0,
    })
}; 2 * MAX_PROCESSORS];

/// Names a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number(usize);

impl Number {
    /// A processor's queue of ordinary DPCs.
    pub(super) fn ordinary(processor: usize) -> Self {
        assert!(processor < MAX_PROCESSORS, "no such processor");
        Self(processor)
    }

    /// A processor's queue of threaded DPCs.
    pub(super) fn threaded(processor: usize) -> Self {
        assert!(processor < MAX_PROCESSORS, "no such processor");
        Self(MAX_PROCESSORS + processor)
    }

    /// Every queue of a processor that there is.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..cpu::processor_count())
            .flat_map(|processor| [Self::ordinary(processor), Self::threaded(processor)])
    }

    pub(super) const fn processor(self) -> usize {
        self.0 % MAX_PROCESSORS
    }

    pub(super) const fn is_threaded(self) -> bool {
        self.0 >= MAX_PROCESSORS
    }

    fn with<R>(self, routine: impl FnOnce(&mut Queue) -> R) -> R {
        QUEUES[self.0].with(routine)
    }
}

/// A DPC that was to be queued, and was in a queue already.
pub(super) struct Queued {
    /// What it was queued with.
    pub(super) arguments: (PVOID, PVOID),
    /// It waits there for longer than it would without bad luck.
    pub(super) is_late: bool,
}

/// Puts a DPC into the queue that it belongs to, if it is in none.
pub(super) fn insert(
    object: Object,
    argument1: PVOID,
    argument2: PVOID,
    source: Source,
) -> Result<(), Queued> {
    let is_threaded = object.is_threaded();
    // Nothing moves this thread between choosing the processor and asking it.
    let awaited = interrupts::without_interrupts(|| {
        let number = if is_threaded && threaded::are_enabled() {
            let processor = object.target().unwrap_or_else(cpu::current_processor);
            Number::threaded(processor)
        } else {
            Number::ordinary(object.target().unwrap_or_else(cpu::current_processor))
        };
        let luck = Luck::of(object, number, source);
        let number = luck.number;
        let (depth, sequence) = claim(object, number, |queue| {
            object.set_arguments(argument1, argument2);
            queue.inserted += 1;
            let entry = Entry {
                dpc: object.address(),
                source,
                is_threaded,
                sequence: queue.inserted,
                not_before: luck.not_before,
                isr_began: isr_to_dpc::isr_began(),
                is_beside_itself: false,
            };
            if object.importance() == importance::HIGH {
                queue.waiting.push_front(entry);
            } else {
                queue.waiting.push_back(entry);
            }
            (queue.waiting.len(), queue.inserted)
        })?;
        luck.note();
        begin(
            number,
            luck.importance.unwrap_or_else(|| object.importance()),
            depth,
        );
        Ok(luck.is_inside_insert().then_some((number, sequence)))
    })?;
    if let Some((number, sequence)) = awaited {
        luck::let_run(object, number, sequence);
    }
    Ok(())
}

/// Has `push` put a DPC that is in no queue into this one, whose lock is held then.
fn claim<R>(object: Object, number: Number, push: impl Fn(&mut Queue) -> R) -> Result<R, Queued> {
    // The object is alive, as `object` says.
    loop {
        let claimed = number.with(|queue| {
            object.queue().compare_exchange(
                0,
                number.0 + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            )?;
            Ok(push(queue))
        });
        let other = match claimed {
            Ok(pushed) => return Ok(pushed),
            Err(other) => other,
        };
        // It is in this queue for as long as the lock of that is held, with the arguments
        // that it will be called with; or it has left, and may be queued again.
        let queued = Number(other - 1).with(|queue| {
            (object.queue().load(Ordering::Acquire) == other).then(|| Queued {
                arguments: (object.contents().argument1, object.contents().argument2),
                is_late: queue
                    .waiting
                    .iter()
                    .any(|entry| entry.dpc == object.address() && entry.not_before != 0),
            })
        });
        if let Some(queued) = queued {
            return Err(queued);
        }
    }
}

/// Has a queue run, if it is to be at once; else the processor's next clock interrupt
/// does. See "Organization of DPC Queues".
fn begin(number: Number, importance: u8, depth: usize) {
    if number.is_threaded() {
        threaded::wake(number.processor());
        return;
    }
    let is_at_once = if number.processor() == cpu::current_processor() {
        importance != importance::LOW
    } else {
        matches!(importance, importance::HIGH | importance::MEDIUM_HIGH)
    };
    if is_at_once || depth >= DEPTH {
        cpu::request_dispatch_interrupt(number.processor());
    }
}

/// Takes a DPC out of its queue; `false` when it is in none.
pub(super) fn remove(object: Object) -> bool {
    let Some(number) = object.queue().load(Ordering::Acquire).checked_sub(1) else {
        return false;
    };
    Number(number).with(|queue| {
        let before = queue.waiting.len();
        queue.waiting.retain(|entry| entry.dpc != object.address());
        let removed = queue.waiting.len() != before;
        if removed {
            object.queue().store(0, Ordering::Release);
        }
        removed
    })
}

/// Takes the first DPC out of a queue that may run now, and does from now on.
pub(super) fn next(number: Number) -> Option<Call> {
    let call = take_next(number)?;
    luck::note_beside_itself(number, address::of(call.dpc));
    Some(call)
}

fn take_next(number: Number) -> Option<Call> {
    number.with(|queue| {
        let now = system_time_100ns();
        let ready = queue
            .waiting
            .iter()
            .position(|entry| entry.not_before <= now)?;
        let entry = queue.waiting.remove(ready)?;
        queue.running = Some(entry);
        // SAFETY: It was in this queue, whose lock is held.
        let object = unsafe { Object::queued(entry.dpc) };
        let contents = object.contents();
        object.queue().store(0, Ordering::Release);
        Some(Call {
            dpc: object.pointer(),
            contents,
            source: entry.source,
            is_threaded: entry.is_threaded,
            isr_began: entry.isr_began,
        })
    })
}

/// The DPC that was taken last has returned.
pub(super) fn ended(number: Number) {
    number.with(|queue| queue.running = None);
}

/// What an ordinary queue runs on this processor.
pub(super) fn running_here() -> Option<Entry> {
    interrupts::without_interrupts(|| {
        Number::ordinary(cpu::current_processor()).with(|queue| queue.running)
    })
}

/// What a queue runs.
pub(super) fn running(number: Number) -> Option<usize> {
    number.with(|queue| queue.running.map(|entry| entry.dpc))
}

/// Notes that what a queue runs runs elsewhere too.
pub(super) fn mark_beside_itself(number: Number, dpc: usize) {
    number.with(|queue| {
        if let Some(running) = queue.running.as_mut().filter(|entry| entry.dpc == dpc) {
            running.is_beside_itself = true;
        }
    });
}

/// Whether DPCs wait for this processor's dispatch interrupt.
pub(super) fn is_waiting_here() -> bool {
    Number::ordinary(cpu::current_processor()).with(|queue| !queue.waiting.is_empty())
}

/// What is queued or runs now, everywhere: a point in the life of each queue.
pub(super) fn marks() -> impl Iterator<Item = (Number, u64)> {
    Number::all().map(|number| (number, number.with(|queue| queue.inserted)))
}

/// Has a queue run, whatever waits in it.
pub(super) fn hurry(number: Number) {
    number.with(|queue| {
        for entry in &mut queue.waiting {
            entry.not_before = 0;
        }
    });
    if number.is_threaded() {
        threaded::wake(number.processor());
    } else {
        cpu::request_dispatch_interrupt(number.processor());
    }
}

/// Whether everything that was in a queue at its mark has returned.
pub(super) fn has_passed(number: Number, mark: u64) -> bool {
    number.with(|queue| {
        queue
            .running
            .iter()
            .chain(&queue.waiting)
            .all(|entry| entry.sequence > mark)
    })
}

/// Whether what was put into a queue with this mark does not wait in it any more.
pub(super) fn has_begun(number: Number, mark: u64) -> bool {
    number.with(|queue| queue.waiting.iter().all(|entry| entry.sequence != mark))
}

/// Checks that no DPC inside `memory`, which is about to go away, is in use.
pub(super) fn assert_none_within(routine: &str, memory: &Range<usize>) {
    for number in Number::all() {
        // A DPC routine may free the memory of its own DPC.
        let is_own = if number.is_threaded() {
            threaded::is_own(number.processor())
        } else {
            number.processor() == cpu::current_processor()
        };
        let found = number.with(|queue| {
            let running = queue.running.filter(|_| !is_own);
            queue
                .waiting
                .iter()
                .copied()
                .chain(running)
                .find(|entry| memory.contains(&entry.dpc))
        });
        let is_expired_late = found.is_some_and(|entry| entry.source == Source::CancelledTimer);
        check!(
            Tmr04,
            routine,
            !is_expired_late,
            "The DPC at {:#x} of a timer that expired just before it was cancelled is still queued or running on processor {}: KeCancelTimer had said FALSE.",
            found.map_or(0, |entry| entry.dpc),
            number.processor()
        );
        check!(
            Dpc08,
            routine,
            found.is_none(),
            "The DPC at {:#x} is still queued or running on processor {}.",
            found.map_or(0, |entry| entry.dpc),
            number.processor()
        );
    }
}

/// Writes what is queued or running to the log, for a run that hangs.
pub(super) fn describe() {
    for number in Number::all() {
        let processor = number.processor();
        let kind = if number.is_threaded() {
            "threaded DPC"
        } else {
            "DPC"
        };
        number.with(|queue| {
            if let Some(running) = queue.running {
                log!(
                    "Processor {processor} is in the {kind} at {:#x}, number {} of {}.",
                    running.dpc,
                    running.sequence,
                    queue.inserted
                );
            }
            for entry in &queue.waiting {
                log!(
                    "The {kind} at {:#x}, number {} of {}, waits for processor {processor}.",
                    entry.dpc,
                    entry.sequence,
                    queue.inserted
                );
            }
        });
    }
}
