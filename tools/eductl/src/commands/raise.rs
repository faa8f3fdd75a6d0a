//! `raise`: the device interrupts because it is told to, once or in a burst.

use std::{fmt, thread};

use serde::Serialize;

use super::CommandError;
use crate::device::Device;

/// How often interrupts are raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Requests of each thread, one after the other.
    pub times: u32,
    /// Threads that send them at the same time.
    pub threads: u32,
}

/// What `raise` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RaiseResult {
    /// The status bits that were raised.
    pub mask: u32,
    /// The status bits that the ISR read and acknowledged, each time.
    pub causes: u32,
    /// Interrupts that were raised.
    pub interrupts: u64,
    /// Threads that raised them.
    pub threads: u32,
}

/// Raises the bits of `mask` and expects the ISR to have seen just those, as
/// often as `burst` says.
///
/// # Errors
/// [`CommandError`].
pub fn run(
    device: &Device<'_>,
    mask: u32,
    timeout_ms: u32,
    burst: Burst,
) -> Result<RaiseResult, CommandError> {
    let one_thread = || -> Result<(), CommandError> {
        for _ in 0..burst.times {
            let causes = device.raise(mask, timeout_ms)?;
            check(mask, causes).map_err(CommandError::WrongAnswer)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..burst.threads)
            .map(|_| scope.spawn(one_thread))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| {
                Err(CommandError::WrongAnswer(
                    "a thread of this program panicked".to_owned(),
                ))
            })
        })
    })?;
    Ok(RaiseResult {
        mask,
        causes: mask,
        interrupts: u64::from(burst.times) * u64::from(burst.threads),
        threads: burst.threads,
    })
}

pub(crate) fn check(mask: u32, causes: u32) -> Result<(), String> {
    if causes == mask {
        return Ok(());
    }
    Err(format!(
        "the status bits 0x{mask:08x} were raised, and the ISR read 0x{causes:08x}"
    ))
}

impl fmt::Display for RaiseResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.interrupts == 1 {
            return write!(
                formatter,
                "raised 0x{:08x}; the ISR read and acknowledged 0x{:08x}",
                self.mask, self.causes
            );
        }
        write!(
            formatter,
            "raised 0x{:08x} {} times from {} thread(s); the ISR read and acknowledged 0x{:08x} \
             each time",
            self.mask, self.interrupts, self.threads, self.causes
        )
    }
}
