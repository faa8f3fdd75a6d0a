//! The command channel between the rig and the programs that drive it.
//!
//! The rig's second serial port carries frames both ways: a [`Frame`] in
//! `postcard` encoding, COBS-framed, ended by a zero byte. Requests carry a
//! number of the sender's choosing; the reply carries the same number, and
//! replies come in the order in which requests *end*. Any number of requests,
//! up to [`MAX_OUTSTANDING`], may be outstanding.
//!
//! A reader that sees a frame which does not decode drops it and goes on after
//! the next zero byte; the rig answers with [`Reply::Malformed`].

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod framing;
mod load;
mod messages;

pub use framing::{Deframer, FrameError, MAX_FRAME, encode};
pub use load::{Ask, Durations, Load, Loaded, MAX_LOAD, QUANTILES};
pub use messages::{
    Action, Calls, Event, Frame, IrqKind, MAX_OUTSTANDING, MAX_TRANSFER, Open, PROTOCOL_VERSION,
    Reply, Report, Request, Resources, TracedEvent, TracedItem,
};
