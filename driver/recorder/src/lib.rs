//! The flight recorder: what the driver did last, in a ring of fixed size.
//!
//! An ISR, a DPC and a dispatch routine of the same driver write into it at the same time
//! on several processors, and each may interrupt the one below it on its own processor. So
//! writing waits for nobody: it takes no lock and has no loop. When the recorder is off,
//! asking it whether it is on is all that it costs.
//!
//! # How it works
//!
//! Records are numbered by one counter; number `n` belongs to slot `n` modulo their count,
//! so a new record overwrites the oldest. Its turn there is `t`, one round later than `n`, so
//! that the first ones overwrite something, too. Each slot has a version:
//!
//! ```text
//!   2t - 2 slots + 2 --claim--> 2t + 1, being written --publish--> 2t + 2, written
//!                                   ^                                  |
//!                                   '------ claim by t + slots, ... ---'
//! ```
//!
//! * **Two writers never write one slot at a time.** The claim is a compare-and-swap from
//!   the version of the turn before, or else from an earlier even one. A writer that finds
//!   the slot being written, or written in a later turn, gives its record up and says so in
//!   the slot's second word. That takes a writer that was held up while the ring went round
//!   once.
//! * **A reader never sees half a record.** It reads the version, the words and the version
//!   again. If both versions are that of the number it wants, no word is of another record:
//!   the words are stored after the version was made odd (a release fence), and loaded before
//!   it is loaded again (an acquire fence).
//! * **Every number is accounted for.** A number that is not read was overwritten, given up,
//!   or is still being written. In the last case the reader stops in front of it and finds
//!   it next time; the others it counts as lost.
//!
//! The tests of this crate run it in `loom`, which tries the orders in which threads can see
//! each other's accesses, and `tests/threads.rs` runs it on real processors.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
#![forbid(unsafe_code)]

mod recorder;
mod slot;

pub use recorder::{Reading, Recorder};
pub use slot::Slot;

#[cfg(not(test))]
use core::sync::atomic;
/// Under test, atomics whose every order `loom` tries.
#[cfg(test)]
use loom::sync::atomic;

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod tests;
