//! What user mode asks edu.sys for: bytes that anybody may have written, made into
//! something that can be done, or into the status that says what is wrong.
//!
//! Everything that can be wrong with a request alone is found here, before anything is
//! touched. The crate needs no kernel, so that it can be given any bytes at all on any host;
//! what is wrong with a request because of the device's state is for `edu` to find.
//!
//! | what is wrong | status |
//! |---|---|
//! | control code not known, all 32 bits compared | `STATUS_INVALID_DEVICE_REQUEST` |
//! | input shorter than the request | `STATUS_INFO_LENGTH_MISMATCH` |
//! | output shorter than the reply | `STATUS_BUFFER_TOO_SMALL` |
//! | a mask of zero, a time-out over the bound, a switch that is neither on nor off | `STATUS_INVALID_PARAMETER` |
//! | a read that begins at the end of the device's buffer or behind it | `STATUS_END_OF_FILE` |
//! | any other range that is not wholly inside | `STATUS_INVALID_PARAMETER` |

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

mod control;
mod range;

pub use control::{Asked, Packeted, TICK_MS};
pub use range::{Range, range};
