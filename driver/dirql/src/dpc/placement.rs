//! Where a DPC goes when it is queued: which processor's queue, and which end of it.

use crate::{
    processor,
    status::{NtError, Result},
    sys,
};

/// Where in its queue a DPC goes, and whether the queue is run at once. Names the
/// `KDPC_IMPORTANCE` values; see "Organization of DPC Queues" and "KeSetImportanceDpc".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// `LowImportance`: the end of the queue, which is run when the kernel thinks fit.
    Low,
    /// `MediumImportance`, the default: the end of the queue, which is run at once on the
    /// processor that queues the DPC.
    Medium,
    /// `MediumHighImportance`: the end of the queue, which is run at once on any processor.
    MediumHigh,
    /// `HighImportance`: the head of the queue, which is run at once on any processor.
    High,
}

/// The processor in whose queue a DPC goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The processor that queues it, the default.
    Current,
    /// The processor with this system-wide index, from zero. See
    /// [`processor::active_count`](crate::processor::active_count).
    Index(u32),
}

/// How a DPC is queued, decided before it is queued first. Wraps `KeSetImportanceDpc`,
/// `KeSetTargetProcessorDpcEx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    importance: Importance,
    target: Target,
}

impl Default for Placement {
    fn default() -> Self {
        Self::new()
    }
}

impl Placement {
    /// What KeInitializeDpc leaves: medium importance, the processor that queues it.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            importance: Importance::Medium,
            target: Target::Current,
        }
    }

    /// With this importance. For a threaded DPC it decides between the two ends of the
    /// queue only.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn with_importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    /// On this processor.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn with_target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Gives it to a DPC.
    ///
    /// # Safety
    /// `dpc` is initialised, in no queue, and used by nobody else meanwhile.
    pub(super) unsafe fn apply(&self, dpc: *mut sys::KDPC) -> Result<()> {
        let importance = match self.importance {
            Importance::Low => sys::LOW_IMPORTANCE,
            Importance::Medium => sys::MEDIUM_IMPORTANCE,
            Importance::MediumHigh => sys::MEDIUM_HIGH_IMPORTANCE,
            Importance::High => sys::HIGH_IMPORTANCE,
        };
        if self.importance != Importance::Medium {
            // SAFETY: (IRQL) any. (Aliasing) the contract, facts 5 and 10.
            unsafe { sys::KeSetImportanceDpc(dpc, importance) };
        }
        let Target::Index(index) = self.target else {
            return Ok(());
        };
        let mut number = processor::number_of(index)?;
        // SAFETY: (IRQL) any. (Aliasing) the contract. (Pointer) the number lives across
        // the call, facts 5, 10 and 11.
        let status = unsafe { sys::KeSetTargetProcessorDpcEx(dpc, &raw mut number) };
        NtError::check(status).map(|_| ())
    }
}
