//! The device goes to sleep and wakes up.

use core::sync::atomic::Ordering;

use dirql::{
    device::Device,
    irql::{Passive, UpToDispatch},
    power::{DeviceState, Power},
    start_io::Packet,
    status::{NtError, Result},
    wait,
};

use crate::{Sleeper, packets};

/// Longest time that a factorial may go on which nobody waits for any more.
const QUIET_MS: u32 = 5_000;

impl Power for Sleeper {
    fn query_power(
        device: &Device<Self>,
        _irql: &mut UpToDispatch,
        _to: DeviceState,
    ) -> Result<()> {
        if device.refuses.swap(false, Ordering::Relaxed) {
            return Err(NtError::STATUS_DEVICE_NOT_READY);
        }
        Ok(())
    }

    fn power_down(device: &Device<Self>, irql: &mut Passive, _to: DeviceState) -> Option<Packet> {
        let under_way = take_back(device, irql);
        // False after a power-up that failed: the interrupt is suspended still.
        let _was_awake = device.interrupt.suspend(irql);
        device.downs.fetch_add(1, Ordering::Relaxed);
        under_way
    }

    fn power_up(device: &Device<Self>, irql: &mut Passive) -> Result<()> {
        if device.fails.swap(false, Ordering::Relaxed) {
            return Err(NtError::STATUS_DEVICE_CONFIGURATION_ERROR);
        }
        if !device.interrupt.resume(irql) {
            return Err(NtError::STATUS_DEVICE_NOT_READY);
        }
        device.ups.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Silences the device, and takes back the packet that it worked on. What it has computed
/// is completed; what it still computes is waited for, for it cannot be stopped.
pub(crate) fn take_back(device: &Device<Sleeper>, irql: &mut Passive) -> Option<Packet> {
    let under_way = device
        .interrupt
        .synchronize(irql, |_, shared| shared.silence());
    packets::complete_done(device, irql);
    for _ in 0..QUIET_MS {
        let is_computing = device
            .interrupt
            .synchronize(irql, |_, shared| shared.is_computing());
        if is_computing != Some(true) {
            break;
        }
        wait::delay(irql, 1);
    }
    under_way.flatten()
}
