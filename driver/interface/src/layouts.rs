//! Layouts of requests and replies.
//!
//! Plain integers only: any bytes are a valid request, and a value that means
//! nothing is refused by the driver with `STATUS_INVALID_PARAMETER`.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of the layouts here; [`Identity::version`] carries it.
pub const INTERFACE_VERSION: u32 = 2;

/// How the driver's interrupt is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum InterruptKind {
    /// A line interrupt (INTx), connected as `CONNECT_LINE_BASED`.
    Line = 1,
    /// Message-signalled, connected as `CONNECT_MESSAGE_BASED`.
    Message = 2,
    /// Connected as `CONNECT_FULLY_SPECIFIED`, from the translated descriptor.
    FullySpecified = 3,
}

impl InterruptKind {
    /// The kind that a reply's field names, if there is one.
    #[must_use]
    pub const fn from_value(value: u32) -> Option<Self> {
        match value {
            1 => Some(Self::Line),
            2 => Some(Self::Message),
            3 => Some(Self::FullySpecified),
            _ => None,
        }
    }
}

bitflags! {
    /// Bits of the device's interrupt status register.
    ///
    /// The device lets software raise all 32 bits; those without a name here mean
    /// nothing to the device itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Causes: u32 {
        /// A factorial is ready.
        const FACTORIAL = 0x001;
        /// A DMA transfer has ended.
        const DMA = 0x100;
        /// Every other bit can be raised by software.
        const _ = !0;
    }
}

/// Reply to [`IDENTIFY`](crate::IDENTIFY).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Identity {
    /// [`INTERFACE_VERSION`] of the driver.
    pub version: u32,
    /// The identification register as read when the device was started.
    pub identification: u32,
    /// An [`InterruptKind`].
    pub interrupt_kind: u32,
    /// Vector of the connected interrupt; of several messages, the first one's.
    pub vector: u32,
    /// IRQL at which the ISR and every SynchCritSection routine run.
    pub synchronize_irql: u32,
    /// Active processors in the system.
    pub processors: u32,
}

impl Identity {
    /// Major revision of the device.
    #[must_use]
    pub const fn revision_major(&self) -> u32 {
        self.identification >> 24
    }

    /// Minor revision of the device.
    #[must_use]
    pub const fn revision_minor(&self) -> u32 {
        self.identification >> 16 & 0xff
    }
}

/// Request of [`LIVENESS`](crate::LIVENESS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LivenessRequest {
    /// What to write to the liveness register.
    pub value: u32,
}

/// Reply to [`LIVENESS`](crate::LIVENESS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Liveness {
    /// What the register read afterwards: the bitwise inverse, if the device lives.
    pub answer: u32,
}

/// Request of [`FACTORIAL`](crate::FACTORIAL).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FactorialRequest {
    /// The operand; the device computes `n!` modulo 2^32.
    pub n: u32,
    /// Time-out in milliseconds; zero means [`DEFAULT_TIMEOUT_MS`](crate::DEFAULT_TIMEOUT_MS),
    /// more than [`MAX_TIMEOUT_MS`](crate::MAX_TIMEOUT_MS) is refused.
    pub timeout_ms: u32,
}

/// Reply to [`FACTORIAL`](crate::FACTORIAL).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Factorial {
    /// The operand of the request.
    pub n: u32,
    /// `n!` modulo 2^32, as the device computed it.
    pub value: u32,
}

/// Request of [`RAISE_INTERRUPT`](crate::RAISE_INTERRUPT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RaiseRequest {
    /// Status bits to raise; zero is refused, for it would raise no interrupt.
    pub mask: u32,
    /// As in [`FactorialRequest::timeout_ms`].
    pub timeout_ms: u32,
}

/// Reply to [`RAISE_INTERRUPT`](crate::RAISE_INTERRUPT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Raised {
    /// The interrupt status that the ISR read and acknowledged.
    pub causes: u32,
    /// Zero.
    pub reserved: u32,
}

/// Reply to [`STATISTICS`](crate::STATISTICS) and [`RESET_STATISTICS`](crate::RESET_STATISTICS).
///
/// All fields are of one moment: they are copied in one critical section.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Statistics {
    /// Interrupts that the ISR claimed.
    pub interrupts_claimed: u64,
    /// Interrupts that were some other device's (the ISR returned FALSE).
    pub interrupts_not_ours: u64,
    /// Claimed interrupts that no operation had asked for.
    pub interrupts_unasked: u64,
    /// Operations that were started and need an interrupt to end.
    pub operations_started: u64,
    /// Operations that ended with their interrupt.
    pub operations_completed: u64,
    /// Operations that the watchdog timer took away at their deadline.
    pub operations_timed_out: u64,
    /// Operations taken away by removal or stop of the device.
    pub operations_aborted: u64,
    /// Runs of DpcForIsr that found at least one result.
    pub dpc_runs: u64,
    /// Most results that one run of DpcForIsr found.
    pub dpc_most_results: u64,
    /// Liveness checks made.
    pub liveness_checks: u64,
    /// Operations that were refused because no more results could wait for the DPC.
    pub results_refused: u64,
    /// DMA transfers that were started; a read or a write takes one or more.
    pub dma_started: u64,
    /// DMA transfers that ended with their interrupt.
    pub dma_completed: u64,
    /// DMA transfers that were not done at their deadline.
    pub dma_timed_out: u64,
    /// DMA transfers given up by cancellation, stop, sleep or removal.
    pub dma_aborted: u64,
    /// Bytes that were read from the device's buffer.
    pub dma_bytes_read: u64,
    /// Bytes that were written to the device's buffer.
    pub dma_bytes_written: u64,
    /// Events that no room was left for between the ISR and the DPC.
    pub events_lost: u64,
}

#[cfg(test)]
mod tests {
    use super::{Identity, InterruptKind};

    #[test]
    fn an_interrupt_kind_is_its_value_and_no_other_is_one() {
        for value in 0..=5 {
            assert_eq!(
                InterruptKind::from_value(value).map(|kind| kind as u32),
                (1..=3).contains(&value).then_some(value)
            );
        }
    }

    #[test]
    fn a_revision_has_two_numbers() {
        let identity = Identity {
            version: 0,
            identification: 0x1234_00ed,
            interrupt_kind: 0,
            vector: 0,
            synchronize_irql: 0,
            processors: 0,
        };
        assert_eq!(
            (identity.revision_major(), identity.revision_minor()),
            (0x12, 0x34)
        );
    }
}
