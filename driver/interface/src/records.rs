//! The flight recorder: what the driver did, when, on which processor.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::events::Clock;

/// Request of [`SWITCH_RECORDER`](crate::SWITCH_RECORDER).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RecorderRequest {
    /// 1 switches it on, 0 off; what it holds stays readable. Anything else is refused.
    pub on: u32,
}

/// Request of [`READ_RECORDS`](crate::READ_RECORDS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RecordsRequest {
    /// The first sequence number of interest; zero for all that there are. One that is
    /// further ahead than the next is refused.
    pub after: u64,
}

/// Head of the reply to [`READ_RECORDS`](crate::READ_RECORDS); `count` [`Record`]s follow it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct RecordsHeader {
    /// The clock of the stamps.
    pub clock: Clock,
    /// What to ask for next: the sequence number after the last one here.
    pub next: u64,
    /// Records from `after` on that were overwritten, or could not be written.
    pub lost: u64,
    /// Records that follow, in the order of their sequence numbers.
    pub count: u32,
    /// 1 while the recorder is on.
    pub on: u32,
}

/// Something that took some time on one processor.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Record {
    /// How many came before it. Records are numbered when they are written: when they end, and
    /// that of an ISR when somebody takes what the ISR has saved.
    pub sequence: u64,
    /// Stamp of its begin. For a critical section that is when the lock was asked for.
    pub start: u64,
    /// Stamps from `start` to when the lock was had; zero where none is taken.
    pub waited: u32,
    /// Stamps from then to its end: for a critical section, how long the lock was held.
    pub duration: u32,
    /// What the [`RecordKind`] says.
    pub detail: u32,
    /// The processor.
    pub processor: u16,
    /// A [`RecordKind`].
    pub kind: u8,
    /// Of a critical section, the [`Section`]; zero otherwise.
    pub section: u8,
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// The ISR; `detail`: the interrupt status, zero if it was another device's.
    Isr = 1,
    /// A SynchCritSection routine.
    CriticalSection = 2,
    /// StartIo; `detail`: the control code.
    StartIo = 3,
    /// DpcForIsr; `detail`: results that it drained.
    DpcForIsr = 4,
    /// The CustomDpc of the DMA engine; `detail`: transfers that had ended.
    CustomDpc = 5,
    /// The AdapterControl or list routine; `detail`: bytes of the transfer.
    AdapterControl = 6,
    /// The watchdog timer; `detail`: operations past their deadline.
    Timer = 7,
    /// A request was cancelled where it was under way.
    Cancel = 8,
    /// A request was completed; `detail`: its status.
    Completion = 9,
}

/// Who entered a critical section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Section {
    /// StartIo.
    StartIo = 1,
    /// DpcForIsr.
    DpcForIsr = 2,
    /// The CustomDpc of the DMA engine.
    CustomDpc = 3,
    /// The AdapterControl or list routine.
    AdapterControl = 4,
    /// The watchdog timer.
    Timer = 5,
    /// A dispatch routine.
    Dispatch = 6,
    /// Cancellation.
    Cancel = 7,
    /// Start, stop and removal.
    Pnp = 8,
    /// Power down and up.
    Power = 9,
}

macro_rules! from_value {
    ($($kind:ident { $($name:ident)* })*) => {
        $(
            impl $kind {
                /// The one that a record's field names, if there is one.
                #[must_use]
                pub const fn from_value(value: u8) -> Option<Self> {
                    match value {
                        $(value if value == Self::$name as u8 => Some(Self::$name),)*
                        _ => None,
                    }
                }
            }
        )*
    };
}

from_value! {
    RecordKind {
        Isr CriticalSection StartIo DpcForIsr CustomDpc AdapterControl Timer Cancel Completion
    }
    Section { StartIo DpcForIsr CustomDpc AdapterControl Timer Dispatch Cancel Pnp Power }
}

#[cfg(test)]
mod tests {
    use super::{Record, RecordKind, Section};

    #[test]
    fn a_record_has_no_padding_and_its_kinds_come_back() {
        assert_eq!(size_of::<Record>(), 32);
        for value in 0..=u8::MAX {
            assert_eq!(
                RecordKind::from_value(value).map(|kind| kind as u8),
                (1..=9).contains(&value).then_some(value)
            );
            assert_eq!(
                Section::from_value(value).map(|section| section as u8),
                (1..=9).contains(&value).then_some(value)
            );
        }
    }
}
