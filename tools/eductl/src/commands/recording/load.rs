//! Work for the device while it is recorded: requests of all kinds from several threads,
//! so that the driver's critical sections meet. Every answer is checked.

use std::sync::atomic::{AtomicBool, Ordering};

use edu_interface::DEVICE_BUFFER_BYTES;

use super::super::{CommandError, factorial, raise};
use crate::{
    device::{Device, DeviceError},
    transport::TransportError,
};

/// Bytes of each read and write: enough for the device to take its time.
const BYTES: u32 = 1_024;

/// How much work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Threads, which share out the kinds of requests among them.
    pub threads: u32,
}

/// A load, as the command line says it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct LoadOptions {
    /// Have the device work meanwhile: interrupts, factorials, reads and writes, each
    /// answer checked
    #[arg(long)]
    load: bool,
    /// Threads of the load
    #[arg(long, value_name = "N", requires = "load", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
}

impl LoadOptions {
    /// The load, if there is to be one.
    #[must_use]
    pub const fn load(self) -> Option<Load> {
        if self.load {
            Some(Load {
                threads: self.threads,
            })
        } else {
            None
        }
    }
}

/// What one thread does over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Raise(u32),
    Factorial,
    Liveness(u32),
    /// Writes a part of the device's buffer that is this thread's own, and reads it.
    Transfer(u32),
}

impl Load {
    /// The work of each thread.
    pub(super) fn threads(self) -> impl Iterator<Item = Work> {
        // Parts of the buffer, which no two threads use.
        let parts = DEVICE_BUFFER_BYTES / BYTES;
        (0..self.threads).map(move |number| match number % 4 {
            0 => Work::Raise(0x2 << (number / 4 % 4)),
            1 => Work::Factorial,
            2 if number / 4 < parts => Work::Transfer(number / 4),
            _ => Work::Liveness(number),
        })
    }
}

impl Work {
    /// Repeats it until `over`; when the user wishes to stop, that is no failure.
    pub(super) fn repeat(self, device: &Device<'_>, over: &AtomicBool) -> Result<(), CommandError> {
        let mut count = 0_u32;
        while !over.load(Ordering::Relaxed) {
            match self.once(device, count) {
                Err(CommandError::Device(DeviceError::Transport(TransportError::Interrupted(
                    _,
                )))) => break,
                outcome => outcome?,
            }
            count = count.wrapping_add(1);
        }
        Ok(())
    }

    fn once(self, device: &Device<'_>, count: u32) -> Result<(), CommandError> {
        let checked = match self {
            Self::Raise(mask) => {
                // The same interrupt may be for the end of a transfer, or for others' bits.
                let causes = device.raise(mask, 0)?;
                raise::check(mask, causes & mask)
            }
            Self::Factorial => {
                let n = count % 35;
                factorial::check(n, device.factorial(n, 0)?)
            }
            Self::Liveness(value) => {
                let answer = device.liveness(value)?;
                if answer == !value {
                    Ok(())
                } else {
                    Err(format!(
                        "0x{answer:08x} is not the inverse of 0x{value:08x}"
                    ))
                }
            }
            Self::Transfer(part) => {
                let data: Vec<u8> = (0..BYTES).map(|at| (at ^ count).to_le_bytes()[0]).collect();
                let offset = u64::from(part * BYTES);
                device.write(offset, &data)?;
                if device.read(offset, data.len())? == data {
                    Ok(())
                } else {
                    Err(format!(
                        "{BYTES} bytes at {offset} are not what was written"
                    ))
                }
            }
        };
        checked.map_err(CommandError::WrongAnswer)
    }
}
