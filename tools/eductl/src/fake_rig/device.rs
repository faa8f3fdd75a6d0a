//! The device and what its driver keeps of it: the buffer, the counters, the event
//! log and the flight recorder.

use std::time::Instant;

use edu_interface::{
    Causes, Clock, ControlCode, DEVICE_BUFFER_BYTES, Event, Moment, Record, RecordKind, Section,
    Statistics,
};

use super::Fault;
use crate::status::NtStatus;

/// Stamps in a nanosecond.
const STAMPS_PER_NS: u64 = 3;
/// Nanoseconds of one count of the performance counter.
const NS_PER_COUNT: u64 = 100;
/// Events that the driver keeps.
const EVENTS: usize = 256;
/// Records that it keeps.
const RECORDS: usize = 4096;

pub(super) struct FakeDevice {
    pub(super) fault: Fault,
    pub(super) statistics: Statistics,
    pub(super) events: Log<Event>,
    pub(super) records: Log<Record>,
    pub(super) recorder_on: bool,
    buffer: Vec<u8>,
    added: Instant,
}

/// The last items of all that there were; the first has number 0.
pub(super) struct Log<I> {
    items: Vec<I>,
    room: usize,
}

impl<I: Copy> Log<I> {
    pub(super) fn next(&self) -> u64 {
        self.items.len() as u64
    }

    /// What there is from number `after` on, at most `limit` items, and how many are not
    /// kept any more.
    pub(super) fn from(&self, after: u64, limit: usize) -> (u64, Vec<I>) {
        let oldest = self.items.len().saturating_sub(self.room);
        let begin = usize::try_from(after).unwrap().max(oldest);
        let items = self.items.iter().skip(begin).take(limit).copied();
        (begin as u64 - after, items.collect())
    }
}

impl FakeDevice {
    pub(super) fn new(fault: Fault) -> Self {
        Self {
            fault,
            statistics: Statistics::default(),
            events: Log {
                items: vec![],
                room: EVENTS,
            },
            records: Log {
                items: vec![],
                room: RECORDS,
            },
            recorder_on: false,
            buffer: vec![0; DEVICE_BUFFER_BYTES as usize],
            added: Instant::now(),
        }
    }

    fn stamp(&self) -> u64 {
        let elapsed = u64::try_from(self.added.elapsed().as_nanos()).unwrap();
        elapsed * STAMPS_PER_NS
    }

    pub(super) fn clock(&self) -> Clock {
        let stamp = self.stamp();
        Clock {
            first: Moment::default(),
            now: Moment {
                stamp,
                counter: stamp / STAMPS_PER_NS / NS_PER_COUNT,
            },
            frequency: 1_000_000_000 / NS_PER_COUNT,
        }
    }

    /// An operation that the interrupt with `causes` ends, and all that comes with it.
    pub(super) fn operate(&mut self, code: ControlCode, causes: u32) {
        self.statistics.operations_started += 1;
        self.statistics.operations_completed += 1;
        self.statistics.dpc_runs += 1;
        self.statistics.dpc_most_results = 1;
        let begin = (RecordKind::StartIo, code.value(), Section::StartIo);
        let end = (RecordKind::DpcForIsr, Section::DpcForIsr);
        self.interrupt(causes, begin, end);
    }

    fn interrupt(
        &mut self,
        causes: u32,
        begin: (RecordKind, u32, Section),
        end: (RecordKind, Section),
    ) {
        self.statistics.interrupts_claimed += 1 + u64::from(self.fault == Fault::ClaimsTwice);
        let start = self.stamp();
        let doubled = self.fault == Fault::DoublesAnEvent && self.events.next() % 16 == 15;
        self.events.items.push(Event {
            sequence: self.events.next() - u64::from(doubled),
            stamp: start + 1_000,
            causes,
            reserved: 0,
        });
        if !self.recorder_on && self.fault != Fault::RecordsAlways {
            return;
        }
        for (at, duration, detail, kind, section) in [
            (0, 900, 0, RecordKind::CriticalSection, begin.2 as u8),
            (0, 930, begin.1, begin.0, 0),
            (950, 300, causes, RecordKind::Isr, 0),
            (1_400, 100, 0, RecordKind::CriticalSection, end.1 as u8),
            (1_300, 500, 1, end.0, 0),
            (1_700, 0, 0, RecordKind::Completion, 0),
        ] {
            self.record(start + at, duration, detail, kind, section);
        }
    }

    fn record(&mut self, start: u64, duration: u32, detail: u32, kind: RecordKind, section: u8) {
        let sequence = self.records.next();
        self.records.items.push(Record {
            sequence,
            start,
            waited: 0,
            duration,
            detail,
            processor: u16::try_from(sequence % 4).unwrap(),
            kind: kind as u8,
            section,
        });
    }

    /// Which bytes of the buffer a transfer is about.
    fn range(fault: Fault, offset: u64, length: usize) -> Result<std::ops::Range<usize>, NtStatus> {
        let begin = usize::try_from(offset).map_err(|_| NtStatus::INVALID_PARAMETER)?;
        let end = begin
            .checked_add(length)
            .ok_or(NtStatus::INVALID_PARAMETER)?;
        let size = DEVICE_BUFFER_BYTES as usize;
        if fault == Fault::TakesAnyOffset {
            return Ok(begin.min(size)..end.min(size));
        }
        if end > size {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(begin..end)
    }

    pub(super) fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, NtStatus> {
        if length == 0 {
            return Ok(vec![]);
        }
        if offset >= u64::from(DEVICE_BUFFER_BYTES) && self.fault != Fault::TakesAnyOffset {
            return Err(NtStatus::END_OF_FILE);
        }
        let mut data = self.buffer[Self::range(self.fault, offset, length)?].to_vec();
        if self.fault == Fault::FlipsABit {
            data[length / 2] ^= 0x10;
        }
        self.statistics.dma_bytes_read += length as u64;
        self.transfer(length);
        Ok(data)
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), NtStatus> {
        if data.is_empty() {
            return Ok(());
        }
        let range = Self::range(self.fault, offset, data.len())?;
        self.buffer[range.clone()].copy_from_slice(&data[..range.len()]);
        self.statistics.dma_bytes_written += data.len() as u64;
        self.transfer(data.len());
        Ok(())
    }

    fn transfer(&mut self, length: usize) {
        self.statistics.dma_started += 1;
        self.statistics.dma_completed += 1;
        let bytes = u32::try_from(length).unwrap();
        let begin = (RecordKind::AdapterControl, bytes, Section::AdapterControl);
        let end = (RecordKind::CustomDpc, Section::CustomDpc);
        self.interrupt(Causes::DMA.bits(), begin, end);
    }
}
