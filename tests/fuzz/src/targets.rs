//! The targets by name.

use crate::{controller, frames, replies, requests};

/// Something that takes any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Longest input that is of use, in bytes.
    pub longest: usize,
    /// Inputs by chance that are tried every day: as many as a few seconds take.
    pub everyday: u64,
    /// Tries the bytes; panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 4] = [
    Target {
        name: "requests",
        longest: 256,
        everyday: 400_000,
        run: |data| requests::run(data, requests::Mistake::None),
    },
    Target {
        name: "controller",
        longest: 1_024,
        everyday: 400_000,
        run: |data| controller::run(data, controller::Mistake::None),
    },
    Target {
        name: "frames",
        longest: 1_024,
        everyday: 400_000,
        run: |data| frames::run(data, frames::Mistake::None),
    },
    Target {
        name: "replies",
        longest: 1_024,
        everyday: 15_000,
        run: |data| replies::run(data, replies::Mistake::None),
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
