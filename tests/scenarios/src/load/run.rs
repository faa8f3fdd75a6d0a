//! What a load found, as `rig-load` writes it and `cargo xtask bench`, which includes this
//! file, reads it.

use std::fmt;

use rig_protocol::Loaded;
use serde::{Deserialize, Serialize};

/// Which driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Driver {
    /// `edu.sys`.
    Ours,
    /// `reference.sys`, the same job in C.
    C,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mix {
    /// Interrupts alone: StartIo, ISR and DpcForIsr for each request.
    Raise,
    /// Interrupts, factorials, and requests that end in their dispatch routine.
    Mixed,
}

impl Mix {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Raise, Self::Mixed];
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Raise => "raise",
            Self::Mixed => "mixed",
        })
    }
}

/// A load, whoever runs it, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Setting {
    pub(crate) mix: Mix,
    pub(crate) processors: u32,
    /// Requests outstanding at a time.
    pub(crate) outstanding: u32,
}

/// One load on one driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Run {
    pub(crate) driver: Driver,
    /// From zero. In each round both drivers run every load.
    pub(crate) round: u32,
    pub(crate) setting: Setting,
    /// What the rig measured.
    pub(crate) loaded: Loaded,
    /// Interrupts that the ISR claimed.
    pub(crate) interrupts: u64,
    /// DPCs that the driver queued.
    pub(crate) dpcs: u64,
    /// Calls of KeSynchronizeExecution.
    pub(crate) critical_sections: u64,
    /// How often a processor found the interrupt's lock held.
    pub(crate) lock_waits: u64,
}
