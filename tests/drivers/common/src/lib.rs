//! What the drivers under `tests/drivers` have in common: how a check runs and
//! reports, and the registers of the `edu` device.
//!
//! Each of those drivers is a small, complete example of one way to reach state that
//! an ISR shares; the scenarios run all of them in the rig.

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

mod bar;
mod check;

pub use bar::{DmaCommand, EduBar};
pub use check::{Failed, Outcome, answer, figures, reply, request, until};
pub use test_protocol::{Arguments, Findings};

#[cfg(windows)]
use wdk_panic as _;
