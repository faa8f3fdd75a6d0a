//! What a measured run did, for the program that reads QEMU's log of it.
//!
//! `cargo xtask bench` starts the run and counts afterwards; it does not link with this
//! package, and includes this file.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Kinds of requests that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The device's liveness register, written and read.
    Liveness,
    /// A factorial: an interrupt that says that the result is there.
    Factorial,
    /// An interrupt that is asked for.
    Raise,
    /// Bytes out of the device's buffer.
    DmaRead,
    /// Bytes into it.
    DmaWrite,
    /// The driver's counters.
    Statistics,
    /// A request that waits for an event, and the raise that ends it.
    Event,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Liveness,
        Self::Factorial,
        Self::Raise,
        Self::DmaRead,
        Self::DmaWrite,
        Self::Statistics,
        Self::Event,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Liveness => "liveness",
            Self::Factorial => "factorial",
            Self::Raise => "raise",
            Self::DmaRead => "DMA read",
            Self::DmaWrite => "DMA write",
            Self::Statistics => "statistics",
            Self::Event => "event",
        })
    }
}

/// A stretch of the run: the same request again and again, each time between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Phase {
    /// The mark where a unit begins. It ends with [`END`].
    pub(crate) number: u8,
    /// What is asked for.
    pub(crate) kind: Kind,
    /// Requests of a unit, which are outstanding at the same time.
    pub(crate) outstanding: u32,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// How many units there are.
    pub(crate) units: u32,
    /// What the flight recorder wrote for all units, without the watchdog's; none if it was
    /// off.
    pub(crate) recorded: Option<Recorded>,
}

/// What the flight recorder wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Recorded {
    /// Records.
    pub(crate) records: u64,
    /// Places in the code that took part: most records have a begin and an end.
    pub(crate) places: u64,
}

/// What a phase is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Purpose {
    /// What one request takes.
    One,
    /// What each of several takes that wait for each other.
    Several,
    /// What each of several takes that were held while the device was stopped. The start that
    /// lets them go belongs to the unit; one without any request says what that takes.
    Held,
}

/// The mark where a unit ends.
pub(crate) const END: u8 = 0;

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meaning {
    /// `enter`, `leave`, `call`, `register`, `timer`, `known`.
    pub(crate) what: String,
    /// Which routine, or which direction.
    pub(crate) name: String,
}

/// A measured run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Measured {
    /// Where the driver's image was.
    pub(crate) image: u64,
    /// Bytes of it, in memory.
    pub(crate) size: u64,
    /// The address of mark 0; the others follow, a byte each.
    pub(crate) marks: u64,
    /// The address of the routine whose instructions are known.
    pub(crate) known: u64,
    /// How many there are.
    pub(crate) known_instructions: u64,
    /// What the marks mean that the rig makes of its own.
    pub(crate) names: BTreeMap<u16, Meaning>,
    /// What was asked of the driver.
    pub(crate) phases: Vec<Phase>,
}
