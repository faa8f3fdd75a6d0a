//! The checks that need no packet.

use core::sync::atomic::Ordering;

use dirql::{
    device::Device,
    irql::{Passive, UpToDispatch},
    status::NtError,
};
use test_driver::{Failed, Outcome, check, figures};

use crate::Sleeper;

pub(crate) fn run(
    device: &Device<Sleeper>,
    irql: &mut UpToDispatch,
    number: u32,
    arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    let [argument, ..] = arguments;
    let value = u32::try_from(argument).unwrap_or(u32::MAX);
    match number {
        1 => write(device, irql, value),
        2 => read(device, irql),
        4 => asleep(device, irql, None),
        5 => asleep(device, irql, Some(value)),
        6 => Ok(figures([
            device.downs.load(Ordering::Relaxed),
            device.ups.load(Ordering::Relaxed),
        ])),
        7 => {
            device.refuses.store(true, Ordering::Relaxed);
            Ok(figures([]))
        }
        8 => {
            device.fails.store(true, Ordering::Relaxed);
            Ok(figures([]))
        }
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// Gives the device something that it forgets when it sleeps.
fn write(device: &Device<Sleeper>, irql: &mut Passive, value: u32) -> Outcome {
    let written = device
        .interrupt
        .synchronize(irql, |_, shared| shared.set_liveness(value));
    check!(written.is_some());
    read(device, irql)
}

/// What the device remembers.
fn read(device: &Device<Sleeper>, irql: &mut Passive) -> Outcome {
    let liveness = device
        .interrupt
        .synchronize(irql, |_, shared| shared.liveness());
    let liveness = liveness.ok_or(Failed::here())?;
    Ok(figures([u64::from(!liveness)]))
}

/// While the device sleeps: its registers are out of reach, and what was saved is not. May
/// change that.
fn asleep(device: &Device<Sleeper>, irql: &mut Passive, change: Option<u32>) -> Outcome {
    let reached = device.interrupt.synchronize(irql, |_, _| ());
    check!(reached.is_none());
    let saved = device.interrupt.with_disconnected(irql, |saved| {
        if let Some(value) = change {
            saved.liveness = value;
        }
        saved.liveness
    });
    let saved = saved.ok_or(Failed::here())?;
    Ok(figures([u64::from(saved)]))
}
