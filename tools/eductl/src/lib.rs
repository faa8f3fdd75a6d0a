//! Drives the edu device through edu.sys.
//!
//! [`System`] finds devices and opens them; [`Transport`] is an open handle,
//! on which any number of threads have requests outstanding. There are
//! two pairs of them: the device interface on Windows, and the rig's command
//! channel elsewhere. What is built on the two traits, [`Device`], the commands
//! and [`verify`], is the same for both, so that what passes in the rig is what
//! is run on Windows.

#![cfg_attr(
    windows,
    expect(
        unsafe_code,
        reason = "the Win32 calls of the device interface have no safe binding"
    )
)]

pub mod cli;
pub mod commands;
mod device;
#[cfg(all(test, unix))]
mod fake_rig;
#[cfg(unix)]
pub mod rig;
mod status;
mod stop;
pub mod stress;
pub mod symbols;
pub mod timeline;
mod transport;
pub mod verify;
#[cfg(windows)]
pub mod windows;

pub use device::{BATCH_BYTES, Device, DeviceError, Events, PendingEvents, Records};
pub use status::{Failure, NtStatus};
pub use stop::{Interruptible, Stop};
pub use transport::{
    Answer, CONTROL_LIMIT, IoRequest, Open, Operation, Pending, System, Transport, TransportError,
};
