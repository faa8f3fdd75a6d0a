//! What the flight recorder wrote, as a timeline: what each processor did, when.
//!
//! [`Timeline::new`] judges the driver's records, which are plain numbers that may say
//! anything; all that follows works on [`Span`]s, which make sense. Nothing here asks a
//! device: [`crate::commands::trace`] takes the records.

mod chrome;
mod figures;
mod layout;
mod page;
mod picture;
mod scene;
mod time;

use std::fmt;

use edu_interface::{CONTROL_CODES, Clock, Record, RecordKind, Section};
use serde::Serialize;

pub use chrome::trace_events;
pub use figures::{Distribution, Figures, Step};
pub use layout::Window;
pub use page::page;
pub use picture::picture;
pub use scene::{Scene, Scenery};
pub use time::Length;

use crate::status::NtStatus;

/// What a processor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The ISR, and the interrupt status that it read.
    Isr(u32),
    /// A SynchCritSection routine, and who called KeSynchronizeExecution.
    CriticalSection(Section),
    /// StartIo, and the control code of the request.
    StartIo(u32),
    /// DpcForIsr, and the results that it drained.
    DpcForIsr(u32),
    /// The CustomDpc of the DMA engine, and the transfers that had ended.
    CustomDpc(u32),
    /// The AdapterControl or list routine, and the bytes of the transfer.
    AdapterControl(u32),
    /// The watchdog timer, and the operations past their deadline.
    Timer(u32),
    /// A cancellation.
    Cancel,
    /// The completion of a request, and its status.
    Completion(u32),
}

impl Activity {
    /// The routine's name, without its particulars.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Isr(_) => "ISR",
            Self::CriticalSection(_) => "critical section",
            Self::StartIo(_) => "StartIo",
            Self::DpcForIsr(_) => "DpcForIsr",
            Self::CustomDpc(_) => "CustomDpc",
            Self::AdapterControl(_) => "AdapterControl",
            Self::Timer(_) => "timer DPC",
            Self::Cancel => "cancel",
            Self::Completion(_) => "completion",
        }
    }

    /// Whether the interrupt spin lock is held for all or a part of it.
    #[must_use]
    pub const fn takes_the_lock(self) -> bool {
        matches!(self, Self::Isr(_) | Self::CriticalSection(_))
    }

    /// Whether it is one of the DPCs that an ISR asks for.
    #[must_use]
    pub const fn is_dpc(self) -> bool {
        matches!(self, Self::DpcForIsr(_) | Self::CustomDpc(_))
    }

    /// Whether it is a moment more than something that takes time.
    #[must_use]
    pub const fn is_moment(self) -> bool {
        matches!(self, Self::Cancel | Self::Completion(_))
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match *self {
            Self::Isr(0) => write!(formatter, "{name}: another device's interrupt"),
            Self::Isr(causes) => write!(formatter, "{name}: status 0x{causes:03x}"),
            Self::CriticalSection(section) => write!(formatter, "{name} of {}", who(section)),
            Self::StartIo(code) => match control_name(code) {
                Some(control) => write!(formatter, "{name}: {control}"),
                None => write!(formatter, "{name}: 0x{code:08X}"),
            },
            Self::DpcForIsr(1) => write!(formatter, "{name}: 1 result"),
            Self::DpcForIsr(results) => write!(formatter, "{name}: {results} results"),
            Self::CustomDpc(1) => write!(formatter, "{name}: 1 transfer"),
            Self::CustomDpc(transfers) => write!(formatter, "{name}: {transfers} transfers"),
            Self::AdapterControl(bytes) => write!(formatter, "{name}: {bytes} bytes"),
            Self::Timer(late) => write!(formatter, "{name}: {late} past the deadline"),
            Self::Cancel => formatter.write_str(name),
            Self::Completion(0) => write!(formatter, "{name}: STATUS_SUCCESS"),
            Self::Completion(status) => write!(formatter, "{name}: {}", NtStatus(status)),
        }
    }
}

fn control_name(value: u32) -> Option<&'static str> {
    CONTROL_CODES
        .iter()
        .find(|(code, _)| code.value() == value)
        .map(|(_, name)| *name)
}

/// The routine that entered a critical section.
#[must_use]
pub const fn who(section: Section) -> &'static str {
    match section {
        Section::StartIo => "StartIo",
        Section::DpcForIsr => "DpcForIsr",
        Section::CustomDpc => "CustomDpc",
        Section::AdapterControl => "AdapterControl",
        Section::Timer => "the timer",
        Section::Dispatch => "a dispatch routine",
        Section::Cancel => "cancellation",
        Section::Pnp => "PnP",
        Section::Power => "power",
    }
}

/// Some time on one processor. The times are nanoseconds from the timeline's begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The record's number.
    pub sequence: u64,
    /// The processor.
    pub processor: u16,
    /// When it began. For a critical section that is when the lock was asked for.
    pub start: u64,
    /// When the lock was had; `start` where none is taken.
    pub had: u64,
    /// When it ended.
    pub end: u64,
    /// What was done.
    pub activity: Activity,
}

impl Span {
    /// How long it waited for the lock, spinning.
    #[must_use]
    pub const fn waited(&self) -> u64 {
        self.had.saturating_sub(self.start)
    }

    /// How long it took after that; for what takes the lock, how long the lock was held.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.end.saturating_sub(self.had)
    }

    /// All of it.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Records that make no sense, by what is wrong with them. They are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// Their kind is none that this program knows.
    pub unknown_kind: u64,
    /// They are of a critical section that nobody known entered.
    pub unknown_section: u64,
    /// They begin before the device was added, or end after they were read.
    pub outside_of_time: u64,
    /// Their number is not larger than that of the record before.
    pub out_of_order: u64,
}

impl Unusable {
    /// All of them.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.unknown_kind + self.unknown_section + self.outside_of_time + self.out_of_order
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (count, what) in [
            (self.unknown_kind, "of an unknown kind"),
            (self.unknown_section, "of an unknown critical section"),
            (self.outside_of_time, "outside of the recorded time"),
            (self.out_of_order, "out of order"),
        ] {
            if count > 0 {
                write!(formatter, "{separator}{count} {what}")?;
                separator = ", ";
            }
        }
        if separator.is_empty() {
            formatter.write_str("none")?;
        }
        Ok(())
    }
}

/// Spans in the order of their begin, and what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    spans: Vec<Span>,
    /// Records that the recorder could not keep until they were read.
    pub lost: u64,
    /// Records that say what cannot be.
    pub unusable: Unusable,
}

impl Timeline {
    /// Makes sense of `records`, whose stamps are of `clock`; `lost` is carried along.
    #[must_use]
    pub fn new(records: &[Record], clock: &Clock, lost: u64) -> Self {
        let mut unusable = Unusable::default();
        let mut before = None;
        let mut usable = Vec::with_capacity(records.len());
        for record in records {
            let numbered = before.is_none_or(|before| record.sequence > before);
            match read(record, clock) {
                _ if !numbered => unusable.out_of_order += 1,
                Ok(activity) => usable.push((record, activity)),
                Err(Wrong::Kind) => unusable.unknown_kind += 1,
                Err(Wrong::Section) => unusable.unknown_section += 1,
                Err(Wrong::Time) => unusable.outside_of_time += 1,
            }
            if numbered {
                before = Some(record.sequence);
            }
        }
        let begin = usable.iter().map(|(record, _)| record.start).min();
        let begin = begin.unwrap_or(clock.first.stamp);
        let at = |stamp: u64| clock.duration_ns(stamp.saturating_sub(begin));
        let mut spans: Vec<Span> = usable
            .into_iter()
            .map(|(record, activity)| {
                let had = record.start.saturating_add(record.waited.into());
                Span {
                    sequence: record.sequence,
                    processor: record.processor,
                    start: at(record.start),
                    had: at(had),
                    end: at(had.saturating_add(record.duration.into())),
                    activity,
                }
            })
            .collect();
        // What encloses comes before what it encloses.
        spans.sort_by_key(|span| (span.start, u64::MAX - span.end, span.sequence));
        Self {
            spans,
            lost,
            unusable,
        }
    }

    /// All spans, in the order of their begin.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The processors that did something, in order.
    #[must_use]
    pub fn processors(&self) -> Vec<u16> {
        let mut processors: Vec<u16> = self.spans.iter().map(|span| span.processor).collect();
        processors.sort_unstable();
        processors.dedup();
        processors
    }

    /// When the last span ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.spans.iter().map(|span| span.end).max().unwrap_or(0)
    }
}

enum Wrong {
    Kind,
    Section,
    Time,
}

fn read(record: &Record, clock: &Clock) -> Result<Activity, Wrong> {
    let end = record
        .start
        .checked_add(u64::from(record.waited) + u64::from(record.duration));
    if record.start < clock.first.stamp || end.is_none_or(|end| end > clock.now.stamp) {
        return Err(Wrong::Time);
    }
    let detail = record.detail;
    Ok(match RecordKind::from_value(record.kind) {
        None => return Err(Wrong::Kind),
        Some(RecordKind::Isr) => Activity::Isr(detail),
        Some(RecordKind::CriticalSection) => {
            Activity::CriticalSection(Section::from_value(record.section).ok_or(Wrong::Section)?)
        }
        Some(RecordKind::StartIo) => Activity::StartIo(detail),
        Some(RecordKind::DpcForIsr) => Activity::DpcForIsr(detail),
        Some(RecordKind::CustomDpc) => Activity::CustomDpc(detail),
        Some(RecordKind::AdapterControl) => Activity::AdapterControl(detail),
        Some(RecordKind::Timer) => Activity::Timer(detail),
        Some(RecordKind::Cancel) => Activity::Cancel,
        Some(RecordKind::Completion) => Activity::Completion(detail),
    })
}

#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;
