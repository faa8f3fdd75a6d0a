//! The `edu` device and all that its interrupt protects.
//!
//! [`Controller`] is the state `S` of the driver's `Interrupt<S>`: the device's
//! registers together with everything that the ISR shares with the rest of the
//! driver. Its methods are the critical sections. Each runs as a whole, either in
//! the ISR or in a SynchCritSection routine, so each is one transition of a state
//! machine and nothing in between can be observed.
//!
//! The crate knows no kernel: registers come through [`Registers`], and what an
//! operation belongs to (in the driver, its IRP) is a type parameter that moves
//! in with the operation and out with its end. Whoever takes an operation out
//! completes it, and ownership sees to it that this happens exactly once.
//!
//! There are two engines, which work at the same time: the one of the operations, drawn
//! here, and the one of DMA, drawn in its module (`dma`). Whose turn it is at that one
//! ([`Turn`]) is decided under a lock of its own.
//!
//! # States of the engine
//!
//! What the device can be given:
//!
//! ```text
//!            enable             an operation that computes is abandoned
//!  Silent ------------> Free ------------------------------------------> Draining
//!    ^                   ^                                                  |
//!    |                   '--- interrupt of the abandoned one, or a device --'
//!    |                        that has long looked quiet
//!    '-- any state: silence
//! ```
//!
//! And the one operation that is inside, with its owner, which stays in one place from `arm`
//! until somebody takes it out:
//!
//! ```text
//!         arm, Free                       interrupt
//!  none ------------> Programmed ------------------------> Ended
//!   | ^                 ^   |                                |
//!   | |     Draining    |   | tick: past its deadline;       | drain: the DPC
//!   | |     ends        |   | take_back: cancelled;          | takes it out
//!   | |                 |   | silence: the device stops      |
//!   | '-----------------|---'                                |
//!   '---------------> Waiting (as Programmed, to the left)   |
//!     arm, Draining                                          |
//!   ^                                                        |
//!   '--------------------------------------------------------'
//! ```
//!
//! So no interrupt overwrites an end that waits for its DPC, and no operation is taken before
//! that has been there.

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

mod controller;
mod counters;
mod dma;
mod engine;
mod event_log;
mod events;
mod registers;
mod sleep;
mod transfer;
mod turn;

pub use controller::{Controller, Dpcs, Service};
pub use counters::Counters;
pub use engine::{Deadline, Ended, Operation, Outcome, Refused};
pub use event_log::{EventLog, Found, Numbered};
pub use events::{EVENTS, Event, EventBatch, EventSink, Noted};
pub use registers::{Identification, Register, Registers, STATUS_COMPUTING, STATUS_INTERRUPT};
pub use sleep::Saved;
pub use transfer::{
    ADDRESS_BITS, BUFFER_BYTES, Direction, EndedTransfer, Transfer, TransferOutcome,
};
pub use turn::Turn;

#[cfg(test)]
mod tests;
