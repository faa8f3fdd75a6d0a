//! A device leaves D0, and comes back.

use super::{DeviceState, Power};
use crate::{
    device::{Device, Header},
    irql::Passive,
    sys,
};

/// Has the driver put the device to sleep, if it works, and tells the power manager.
pub(super) fn power_down<E: Power>(device: &Device<E>, irql: &mut Passive, to: DeviceState) {
    let header = device.header();
    header.power().exclusive(irql, |irql| {
        if header.state().has_hardware() && !header.power().is_asleep() {
            header.packets().pause(irql);
            header.power().set_asleep(true);
            if let Some(packet) = E::power_down(device, irql, to) {
                device.hold_packet(irql, packet);
            }
        }
        report_at_passive(header, irql, to);
    });
}

/// Has the driver wake the device up, if it put it to sleep, and tells the power manager.
/// The drivers below have done their part.
pub(super) fn power_up<E: Power>(device: &Device<E>, irql: &mut Passive) {
    let header = device.header();
    header.power().exclusive(irql, |irql| {
        let slept = header.power().is_asleep();
        header.power().set_asleep(false);
        let result = if slept && header.state().has_hardware() {
            E::power_up(device, irql)
        } else {
            Ok(())
        };
        report_at_passive(header, irql, DeviceState::D0);
        match result {
            Ok(()) if slept => {
                if let Some(resume) = E::ROUTINES.resume
                    && header.state().runs_packets()
                {
                    resume(device, irql);
                }
            }
            Ok(()) => {}
            Err(error) => header.packets().fail(irql, error),
        }
    });
}

/// The device is started, which implies D0.
pub(crate) fn started(header: &Header, irql: &mut Passive) {
    header.power().set_asleep(false);
    report_at_passive(header, irql, DeviceState::D0);
}

/// Tells the power manager the state of the device. Wraps `PoSetPowerState`.
fn report_at_passive(header: &Header, _irql: &mut Passive, state: DeviceState) {
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the device object is alive
    // while the header is borrowed, facts 5 and 10.
    let _before = unsafe {
        sys::PoSetPowerState(
            header.object(),
            sys::DEVICE_POWER_STATE_TYPE,
            state.as_power_state(),
        )
    };
}
