//! WAIT_EVENTS, the inverted call: requests that pend until the device has interrupted.
//!
//! ```text
//!  ISR: Events of the controller --taken, by number--> log: the last KEPT ones
//!       (interrupt lock)                                |        (log lock)
//!                                                       |
//!               what the ISR noted of itself ---------->|--> flight recorder
//!                                                       v
//!  WAIT_EVENTS --looks: some there ----------------> answered at once
//!       |                                               ^
//!       '--none: the queue of those that wait ----------' by whoever logs the next ones
//! ```
//!
//! **In order.** Events are taken from the ISR with the log's lock held outside of the
//! interrupt lock. So of two DPCs on two processors the one that takes the earlier events logs
//! them first, and an event is in the log before the request is completed whose end it is.
//!
//! **No lost wake-up.** A request cannot be queued with the log's lock held, because one that
//! is cancelled already is completed while it is queued. It is queued after it has looked, and
//! then everybody who waits is looked at again. Whoever logs events looks at the queue
//! afterwards. Both locks are taken by both, in opposite order of what they do, so one of them
//! sees the other. And the ISR asks for a DPC from the critical section on in which
//! the request has looked; from the first one on if it looked while the device was stopped
//! or asleep. A mark under the log's lock tells whoever logs events whether anybody may wait: it
//! is set by a look that finds nothing, and cleared by who then answers all of them.
//!
//! **Bounded.** A DPC answers all who wait, so they are not more than [`MOST_WAITING`]. Each
//! waits for what comes after the newest event there is, so its answer is short, and the next
//! event answers it.
//!
//! Those who wait go on waiting while the device is stopped or asleep: it will interrupt
//! again. They end with their handle, with a cancellation, and with the device.

use core::mem;

use dirql::{
    device::Device,
    irp::{Buffers, Dispatched, Irp, OutputWriter},
    irp_queue::IrpQueue,
    irql::{Dispatch, Passive, UpToDispatch, at_dispatch},
    pool::{PoolBox, PoolVec, Tag},
    spin_lock::SpinLock,
    status::{NtError, Result},
};
use edu_controller::{Event as Interrupt, EventBatch, EventLog, EventSink, Noted, Numbered};
use edu_interface::{Event, EventsHeader, EventsRequest, FROM_NOW, Section};

use crate::{
    Edu, EduController, clock,
    recorder::{FlightRecorder, section},
};

/// Events that are kept for those who ask later.
const KEPT: usize = 256;
/// Requests of one device that may wait.
const MOST_WAITING: usize = 64;
const TAG: Tag = Tag::new(*b"EduE");

/// What the log's lock protects.
#[derive(Debug)]
struct Log {
    kept: EventLog<PoolVec<Numbered>>,
    /// Those that were just taken from the ISR; empty whenever the lock is free.
    taken: PoolBox<EventBatch>,
    /// Somebody has looked and found nothing since those who wait were answered last.
    awaited: bool,
}

impl Log {
    /// Keeps the events that were taken in a critical section, and has their ISRs recorded.
    /// Whether there are some, and somebody may wait for them, who is to be answered.
    fn keep(&mut self, recorder: &FlightRecorder) -> bool {
        let before = self.kept.end();
        let kept = &mut self.kept;
        self.taken.drain(&mut Keeping { kept, recorder });
        self.kept.end() != before && mem::take(&mut self.awaited)
    }
}

/// Where events go that were taken from the ISR.
struct Keeping<'a> {
    kept: &'a mut EventLog<PoolVec<Numbered>>,
    recorder: &'a FlightRecorder,
}

impl EventSink for Keeping<'_> {
    fn event(&mut self, event: Interrupt, noted: Option<Noted>) {
        self.kept.event(event, noted);
        if let Some(noted) = noted {
            self.recorder.isr_ended(event, noted);
        }
    }

    fn lost(&mut self, count: u64, noted: u64) {
        self.kept.lost(count, noted);
        self.recorder.isrs_lost(noted);
    }
}

/// Room for events.
///
/// # Errors
/// STATUS_INSUFFICIENT_RESOURCES.
pub(crate) fn batch(irql: &mut Passive) -> Result<PoolBox<EventBatch>> {
    PoolBox::new(irql, TAG, EventBatch::new())
}

pin_project_lite::pin_project! {
    /// What a device has for those who want to know of its interrupts.
    #[derive(Debug)]
    pub(crate) struct Events {
        // Whose position is in the input of the request, see `wait`.
        #[pin]
        waiting: IrpQueue,
        // From when the device is added to its removal.
        log: SpinLock<Log>,
    }
}

impl Events {
    /// An empty log.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub(crate) fn new(irql: &mut Passive) -> Result<Self> {
        let slots = PoolVec::filled(irql, TAG, KEPT, Numbered::default())?;
        Ok(Self {
            waiting: IrpQueue::new(),
            log: SpinLock::new(Log {
                kept: EventLog::new(slots),
                taken: batch(irql)?,
                awaited: false,
            }),
        })
    }
}

/// Makes a device ready for those who wait. Each start may do so.
pub(crate) fn initialize(device: &Device<Edu>, irql: &mut Passive) -> Result<()> {
    let events = device.pinned().project_ref().events;
    events.project_ref().waiting.initialize(device, irql)
}

/// Runs `take` in a critical section, in which all events go to the log as well, and answers
/// those who wait for them: what a DPC does with what the ISR has saved for it. `None` if the
/// interrupt is not connected.
pub(crate) fn drain<R>(
    device: &Device<Edu>,
    irql: &mut Dispatch,
    who: Section,
    take: impl FnOnce(&mut EduController) -> R,
) -> Option<R> {
    let (taken, is_answered) = device.events.log.with(irql, |irql, log| {
        let taken = section(device, irql, who, |_, shared| {
            shared.0.take_events(&mut log.taken);
            take(&mut shared.0)
        });
        (taken, log.keep(&device.recorder))
    });
    if is_answered {
        answer_waiting(device, irql);
    }
    taken
}

/// Takes the events that no DPC has come to, so that their ISRs are in the flight recorder.
pub(crate) fn collect(device: &Device<Edu>, irql: &mut UpToDispatch) {
    at_dispatch(irql, |irql| {
        let _connected = drain(device, irql, Section::Dispatch, |_| ());
    });
}

/// As [`drain`], for a controller whose interrupt was disconnected.
pub(crate) fn drain_disconnected(
    device: &Device<Edu>,
    irql: &mut Passive,
    controller: &mut EduController,
) {
    let is_answered = device.events.log.with(irql, |_, log| {
        controller.take_events(&mut log.taken);
        log.keep(&device.recorder)
    });
    if is_answered {
        at_dispatch(irql, |irql| answer_waiting(device, irql));
    }
}

/// What a request finds when it looks.
enum Look {
    /// It is answered, with so many bytes.
    Answered(usize),
    /// There is nothing yet from this number on.
    Nothing(u64),
}

/// WAIT_EVENTS.
pub(crate) fn wait(
    device: &Device<Edu>,
    irql: &mut UpToDispatch,
    mut irp: Irp,
    after: u64,
) -> Dispatched {
    match look(device, irql, &mut irp, after) {
        Ok(Look::Answered(written)) => irp.complete(irql, Ok(written)),
        Ok(Look::Nothing(after)) => pend(device, irql, irp, after),
        Err(error) => irp.complete(irql, Err(error)),
    }
}

/// Answers a request if there are events from number `after` on, those included that no DPC
/// has come to; else has the ISR ask for a DPC from now on.
fn look(device: &Device<Edu>, irql: &mut UpToDispatch, irp: &mut Irp, after: u64) -> Result<Look> {
    let (looked, is_answered) = device.events.log.with(irql, |irql, log| {
        let (before, next) = (log.kept.end(), log.kept.next());
        // While the device is stopped or asleep there is nothing to take.
        let _taken = section(device, irql, Section::Dispatch, |_, shared| {
            shared.0.take_events(&mut log.taken);
            let end = match log.taken.len() {
                0 => before,
                taken => next.saturating_add(taken as u64),
            };
            if end <= after {
                shared.0.expect_event();
            }
        });
        let is_answered = log.keep(&device.recorder);
        let looked = match after {
            FROM_NOW => Ok(Look::Nothing(log.kept.next())),
            _ if after > log.kept.next() => Err(NtError::STATUS_INVALID_PARAMETER),
            _ => irp
                .output_writer()
                .and_then(|output| write(device, &log.kept, after, output))
                .map(|written| written.map_or(Look::Nothing(after), Look::Answered)),
        };
        log.awaited |= matches!(looked, Ok(Look::Nothing(_)));
        (looked, is_answered)
    });
    if is_answered {
        at_dispatch(irql, |irql| answer_waiting(device, irql));
    }
    looked
}

/// Has a request wait for events from number `after` on.
fn pend(device: &Device<Edu>, irql: &mut UpToDispatch, mut irp: Irp, after: u64) -> Dispatched {
    // The system buffer is the driver's until the request ends, and what the request asked for
    // has been read: now it says where it stands.
    let noted = irp.write_output(&EventsRequest { after });
    if let Err(error) = noted {
        return irp.complete(irql, Err(error));
    }
    irp.pend(|irp| {
        match device
            .events
            .waiting
            .insert_at_most(irql, irp, MOST_WAITING)
        {
            Ok(()) => at_dispatch(irql, |irql| answer_waiting(device, irql)),
            Err(refused) => refused.complete(irql),
        }
    })
}

/// Answers all who wait for events that are in the log.
fn answer_waiting(device: &Device<Edu>, irql: &mut Dispatch) {
    let end = device.events.log.with(irql, |_, log| log.kept.end());
    loop {
        let next = device.events.waiting.remove_next_where(irql, |irp| {
            irp.input::<EventsRequest>()
                .is_ok_and(|request| request.after < end)
        });
        let Some(mut irp) = next else { return };
        let answer = irp.input::<EventsRequest>().and_then(|request| {
            device.events.log.with(irql, |_, log| {
                let output = irp.output_writer()?;
                write(device, &log.kept, request.after, output)
            })
        });
        irp.complete(irql, answer.map(Option::unwrap_or_default));
    }
}

/// Writes the reply with the events from number `after` on; how long it is, or `None` if there
/// are none.
fn write(
    device: &Device<Edu>,
    log: &EventLog<PoolVec<Numbered>>,
    after: u64,
    mut output: OutputWriter<'_>,
) -> Result<Option<usize>> {
    let room = output.room().saturating_sub(size_of::<EventsHeader>());
    let room = room.checked_div(size_of::<Event>()).unwrap_or(0);
    let Some(found) = log.read(after, room) else {
        return Ok(None);
    };
    output.append(&EventsHeader {
        clock: clock::now(device),
        next: found.next,
        lost: found.lost,
        count: u32::try_from(found.count).unwrap_or(u32::MAX),
        reserved: 0,
    })?;
    for numbered in found.iter() {
        output.append(&Event {
            sequence: numbered.sequence,
            stamp: numbered.event.stamp,
            causes: numbered.event.causes,
            reserved: 0,
        })?;
    }
    Ok(Some(output.written()))
}
