//! What was read of the flight recorder, and what must hold for any of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::ensure;
use edu_interface::{Record, RecordKind, Section};
use eductl::{Device, rig::RigHandle};

/// Between two reads of a recorder that has nothing new.
const AGAIN: Duration = Duration::from_millis(20);

/// Records from a number on.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) records: Vec<Record>,
    begin: u64,
    pub(super) next: u64,
    pub(super) lost: u64,
    /// Requests that were sent to read them while they were made.
    pub(super) reads: u64,
}

/// Everything from number `after` on, of a recorder that is off.
pub(super) fn read_all(handle: &RigHandle, after: u64) -> anyhow::Result<Recording> {
    let mut recording = Recording::from(after);
    recording.read_on(handle)?;
    Ok(recording)
}

impl Recording {
    const fn from(after: u64) -> Self {
        Self {
            records: Vec::new(),
            begin: after,
            next: after,
            lost: 0,
            reads: 0,
        }
    }

    /// Reads from number `after` on, again and again until it is `done`.
    pub(super) fn of(handle: &RigHandle, after: u64, done: &AtomicBool) -> anyhow::Result<Self> {
        let mut recording = Self::from(after);
        while !done.load(Ordering::Acquire) {
            recording.reads += 1;
            if !recording.read_once(handle)? {
                thread::sleep(AGAIN);
            }
        }
        Ok(recording)
    }

    /// Reads what else there is.
    pub(super) fn read_on(&mut self, handle: &RigHandle) -> anyhow::Result<()> {
        while self.read_once(handle)? {}
        Ok(())
    }

    /// Reads as much as fits into one reply; false if that was nothing.
    fn read_once(&mut self, handle: &RigHandle) -> anyhow::Result<bool> {
        let reply = Device::new(handle).read_records(self.next)?;
        let passed = reply.next - self.next;
        ensure!(
            passed == reply.lost + reply.records.len() as u64,
            "numbers {} to {} are {} records and {} lost ones",
            self.next,
            reply.next,
            reply.records.len(),
            reply.lost
        );
        self.records.extend(reply.records);
        self.lost += reply.lost;
        self.next = reply.next;
        Ok(passed > 0)
    }

    pub(super) fn count(&self, which: impl Fn(&Record) -> bool) -> u64 {
        self.records.iter().filter(|record| which(record)).count() as u64
    }

    /// The sum of what the records of this kind have as detail.
    pub(super) fn sum(&self, kind: RecordKind) -> u64 {
        let of_kind = |record: &&Record| record.kind == kind as u8;
        let details = self.records.iter().filter(of_kind);
        details.map(|record| u64::from(record.detail)).sum()
    }

    /// Fails unless there are as many records of this kind.
    pub(super) fn has(&self, what: &str, kind: RecordKind, expected: u64) -> anyhow::Result<()> {
        let recorded = self.count(|record| record.kind == kind as u8);
        ensure!(
            recorded == expected,
            "{what}: {expected}, and {recorded} are recorded"
        );
        Ok(())
    }

    /// Fails unless there are records of this kind.
    pub(super) fn has_some(&self, kind: RecordKind) -> anyhow::Result<()> {
        ensure!(
            self.count(|record| record.kind == kind as u8) > 0,
            "{kind:?} is not recorded"
        );
        Ok(())
    }

    /// Fails unless every record is there, and says what a record can say.
    pub(super) fn is_whole(&self, processors: u32) -> anyhow::Result<()> {
        let numbers = self.records.iter().map(|record| record.sequence);
        ensure!(
            self.lost == 0 && numbers.eq(self.begin..self.next),
            "{} records were lost although they were read in time",
            self.lost
        );
        self.is_well_formed(processors)
    }

    /// Fails unless each record says what a record can say.
    pub(super) fn is_well_formed(&self, processors: u32) -> anyhow::Result<()> {
        for record in &self.records {
            let kind = RecordKind::from_value(record.kind);
            let is_section = kind == Some(RecordKind::CriticalSection);
            ensure!(
                kind.is_some()
                    && Section::from_value(record.section).is_some() == is_section
                    && (is_section || record.waited == 0)
                    && u32::from(record.processor) < processors
                    && record.start > 0,
                "no record can be: {record:?}"
            );
        }
        Ok(())
    }

    /// Fails if the ISR and critical sections, which have one lock, were ever inside at the
    /// same time.
    pub(super) fn sections_exclude_each_other(&self) -> anyhow::Result<()> {
        let locked = [RecordKind::Isr, RecordKind::CriticalSection].map(|kind| kind as u8);
        let mut held: Vec<(u64, u64, &Record)> = self
            .records
            .iter()
            .filter(|record| locked.contains(&record.kind))
            .map(|record| {
                let had = record.start + u64::from(record.waited);
                (had, had + u64::from(record.duration), record)
            })
            .collect();
        held.sort_unstable_by_key(|(had, left, _)| (*had, *left));
        for pair in held.windows(2) {
            if let [(_, left, first), (had, _, second)] = pair {
                ensure!(left <= had, "both had the lock: {first:?} and {second:?}");
            }
        }
        ensure!(held.len() > 1, "nothing had the lock");
        Ok(())
    }
}
