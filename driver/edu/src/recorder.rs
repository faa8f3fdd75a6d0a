//! The flight recorder: what the driver does, when, for how long, on which processor.
//!
//! The ring is in pool, and has two owners: the device extension, for every routine that is
//! given the device, and the state that the ISR shares, which can borrow nothing. While the
//! recorder is off, a place where something is recorded costs a load and a branch.
//!
//! An interrupt that the ISR claims is recorded by whoever takes its event from the ISR: that
//! is some instructions less under the interrupt lock. So records are not in the order of
//! time, and whoever reads them has what there is taken first.
//!
//! Stamps of a critical section are taken inside of it, first and last, so those of two
//! sections under one lock never overlap. The record is written after the lock was left.
//! Each section is one SynchCritSection routine, recorded or not: the image holds it once.

use dirql::{
    completing::Completing,
    device::Device,
    irp::{Dispatched, Irp},
    irql::{AtLeastDispatch, AtMostDispatch, Dirql, Dispatch, Passive, UpToDispatch, at_dispatch},
    pool::{PoolArc, PoolVec, Tag},
    processor,
    status::{NtError, Result},
    time::Stamp,
};
use edu_controller::{Event, Noted};
use edu_interface::{Record, RecordKind, RecordsHeader, Section};
use edu_recorder::{Recorder, Slot};

use crate::{Edu, bar::Shared, clock, events};

/// Records that are kept.
const KEPT: usize = 2_048;
const TAG: Tag = Tag::new(*b"EduR");

/// An owner of the device's flight recorder.
#[derive(Clone, Debug)]
pub(crate) struct FlightRecorder(PoolArc<Recorder<PoolVec<Slot>>>);

/// When a routine began, if that is recorded.
#[must_use = "a routine is recorded at its end"]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun(Option<Stamp>);

impl FlightRecorder {
    /// A recorder that is off, and empty.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub(crate) fn new(irql: &mut Passive) -> Result<Self> {
        let mut slots = PoolVec::with_capacity(irql, TAG, KEPT)?;
        for _ in 0..KEPT {
            slots.push(irql, Slot::new())?;
        }
        let recorder = Recorder::new(slots).ok_or(NtError::STATUS_INVALID_PARAMETER)?;
        PoolArc::new(irql, TAG, recorder).map(Self)
    }

    /// Whether something is to be recorded.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_on()
    }

    /// A routine begins.
    #[inline]
    pub(crate) fn begin(&self) -> Begun {
        Begun(self.is_on().then(Stamp::now))
    }

    /// A routine has ended that began so.
    #[inline]
    pub(crate) fn end(&self, irql: &mut Dispatch, kind: RecordKind, begun: Begun, detail: u32) {
        if let Some(start) = begun.0 {
            self.write(irql, kind, start, detail);
        }
    }

    /// The ISR ends, of an interrupt that is another device's.
    #[inline]
    pub(crate) fn end_foreign_isr(&self, irql: &mut Dirql, start: Stamp) {
        if self.is_on() {
            self.write(irql, RecordKind::Isr, start, 0);
        }
    }

    /// An ISR has ended that has claimed this and noted that.
    pub(crate) fn isr_ended(&self, event: Event, noted: Noted) {
        self.0.write(Record {
            start: event.stamp,
            duration: clamped(Stamp(noted.end).since(Stamp(event.stamp))),
            detail: event.causes,
            processor: u16::try_from(noted.processor).unwrap_or(u16::MAX),
            kind: RecordKind::Isr as u8,
            ..Record::default()
        });
    }

    /// So many ISRs have ended of which there are no records.
    pub(crate) fn isrs_lost(&self, count: u64) {
        self.0.lose(count);
    }

    /// A critical section was left.
    #[cold]
    fn end_section(&self, irql: &mut Dispatch, who: Section, times: Times) {
        self.0.write(Record {
            start: times.asked.0,
            waited: clamped(times.had.since(times.asked)),
            duration: clamped(times.left.since(times.had)),
            processor: processor_number(irql),
            kind: RecordKind::CriticalSection as u8,
            section: who as u8,
            ..Record::default()
        });
    }

    /// Something happens that takes no time.
    #[inline]
    pub(crate) fn mark<I: AtMostDispatch>(&self, irql: &mut I, kind: RecordKind, detail: u32) {
        if self.is_on() {
            at_dispatch(irql, |irql| self.write(irql, kind, Stamp::now(), detail));
        }
    }

    /// Writes the record of what began at `start` and ends now.
    #[cold]
    fn write<I: AtLeastDispatch>(&self, irql: &mut I, kind: RecordKind, start: Stamp, detail: u32) {
        self.0.write(Record {
            start: start.0,
            duration: clamped(Stamp::now().since(start)),
            detail,
            processor: processor_number(irql),
            kind: kind as u8,
            ..Record::default()
        });
    }
}

/// Stamps of when a critical section was asked for, had the lock, and was done.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    asked: Stamp,
    had: Stamp,
    left: Stamp,
}

/// A SynchCritSection routine, and who enters it: `KeSynchronizeExecution`, recorded. At
/// DISPATCH_LEVEL from the start, so that the wait and the section are on one processor.
#[inline]
pub(crate) fn section<I: AtMostDispatch, R>(
    device: &Device<Edu>,
    irql: &mut I,
    who: Section,
    routine: impl FnOnce(&mut Dirql, &mut Shared) -> R,
) -> Option<R> {
    at_dispatch(irql, |irql| {
        let recorder = &device.recorder;
        let mut times = Times::default();
        let is_recorded = recorder.is_on();
        if is_recorded {
            times.asked = Stamp::now();
        }
        // One pointer, so that a section that is not recorded costs it two comparisons.
        let mut stamps = is_recorded.then_some(&mut times);
        let result = device.interrupt.synchronize(irql, move |irql, shared| {
            if let Some(times) = &mut stamps {
                times.had = Stamp::now();
            }
            let result = routine(irql, shared);
            if let Some(times) = stamps {
                times.left = Stamp::now();
            }
            result
        })?;
        if is_recorded {
            recorder.end_section(irql, who, times);
        }
        Some(result)
    })
}

fn clamped(stamps: u64) -> u32 {
    u32::try_from(stamps).unwrap_or(u32::MAX)
}

fn processor_number<I: AtLeastDispatch>(irql: &mut I) -> u16 {
    u16::try_from(processor::current(irql)).unwrap_or(u16::MAX)
}

impl Completing for Edu {
    /// Before the request is gone, so that who waits for it finds the record.
    fn completing(device: &Device<Self>, irql: &mut UpToDispatch, result: Result<usize>) {
        let status = result.map_or_else(NtError::status, |_| 0).cast_unsigned();
        device.recorder.mark(irql, RecordKind::Completion, status);
    }
}

/// SWITCH_RECORDER.
pub(crate) fn switch(
    device: &Device<Edu>,
    irql: &mut UpToDispatch,
    irp: Irp,
    on: bool,
) -> Dispatched {
    device.recorder.0.switch(on);
    irp.complete(irql, Ok(0))
}

/// READ_RECORDS.
pub(crate) fn read(
    device: &Device<Edu>,
    irql: &mut UpToDispatch,
    mut irp: Irp,
    after: u64,
) -> Dispatched {
    events::collect(device, irql);
    let result = write_records(device, &mut irp, after);
    irp.complete(irql, result)
}

/// Writes the reply with the records from number `after` on; how long it is.
fn write_records(device: &Device<Edu>, irp: &mut Irp, after: u64) -> Result<usize> {
    let recorder = &device.recorder.0;
    if after > recorder.next() {
        return Err(NtError::STATUS_INVALID_PARAMETER);
    }
    let mut output = irp.output_writer()?;
    // Its place: what it says is known when the records are there.
    output.append(&RecordsHeader::default())?;
    let room = output.room().checked_div(size_of::<Record>()).unwrap_or(0);
    let mut appended = Ok(());
    let reading = recorder.read(after, u32::try_from(room).unwrap_or(u32::MAX), |record| {
        if appended.is_ok() {
            appended = output.append(&record);
        }
    });
    appended?;
    let written = output.written();
    irp.write_output(&RecordsHeader {
        clock: clock::now(device),
        next: reading.next,
        lost: reading.lost,
        count: reading.count,
        on: recorder.is_on().into(),
    })?;
    Ok(written)
}
