//! The device sleeps: what it was doing is taken back, what it knew is saved.
//!
//! While it sleeps its packets are held, and requests that need no device are answered:
//! IDENTIFY from what is kept, the counters from what was saved.

use dirql::{
    device::Device,
    interrupt::Suspend,
    irql::{Dirql, Passive, UpToDispatch, at_dispatch},
    power::{DeviceState, Power},
    start_io::Packet,
    status::{NtError, Result},
    time::Due,
    wait,
};
use edu_controller::{Controller, Counters, Saved};
use edu_interface::Section;
use edu_requests::TICK_MS;

use crate::{Edu, bar::Shared, events, operations, recorder::section, transfers};

/// Longest time that a machine that goes to sleep waits for a factorial that nobody waits
/// for any more. One that takes longer is waited for after the wake-up.
const QUIET_MS: u32 = 200;
/// How many times in a row the device must look quiet, a millisecond apart.
const QUIET_POLLS: u32 = 5;
/// How often a request for the counters looks for them while the device falls asleep or
/// wakes up, a millisecond apart.
const ATTEMPTS: u32 = 1_000;

impl Suspend for Shared {
    type Saved = Saved;

    fn save(&mut self, _irql: &mut Dirql) -> Saved {
        self.0.save()
    }

    fn restore(&mut self, _irql: &mut Dirql, saved: Saved) {
        // As in `start_device`.
        self.0.expect_event();
        self.0.restore(saved);
    }
}

impl Power for Edu {
    fn power_down(device: &Device<Self>, irql: &mut Passive, _to: DeviceState) -> Option<Packet> {
        device.kept.with(irql, |_, kept| kept.asleep = true);
        transfers::fall_asleep(device, irql);
        let under_way = silence(device, irql, Section::Power);
        device.watchdog.stop(irql);
        complete_ended(device, irql);
        quiet(device, irql);
        // False after a power-up that failed: the interrupt is suspended still.
        let _was_awake = device.interrupt.suspend(irql);
        under_way
    }

    fn power_up(device: &Device<Self>, irql: &mut Passive) -> Result<()> {
        if !device.interrupt.resume(irql) {
            return Err(NtError::STATUS_DEVICE_NOT_READY);
        }
        device.kept.with(irql, |_, kept| kept.asleep = false);
        // What the ISR saved last had a DPC that came when sections were closed already.
        complete_ended(device, irql);
        device
            .pinned()
            .project_ref()
            .watchdog
            .initialize(device, irql)?;
        device
            .watchdog
            .start_periodic(irql, Due::after_ms(TICK_MS), TICK_MS)?;
        transfers::resume(device, irql);
        Ok(())
    }
}

/// Keeps the device from interrupting; the packet of the operation under way.
pub(crate) fn silence(device: &Device<Edu>, irql: &mut Passive, who: Section) -> Option<Packet> {
    section(device, irql, who, |_, shared| shared.0.silence()).flatten()
}

/// Completes what the ISR has saved and no DPC has come to.
fn complete_ended(device: &Device<Edu>, irql: &mut Passive) {
    at_dispatch(irql, |irql| {
        let ended = events::drain(device, irql, Section::Power, Controller::drain);
        if let Some(ended) = ended.flatten() {
            operations::complete(irql, ended);
        }
    });
}

/// Waits for the end of what a silenced device still does, for a while.
fn quiet(device: &Device<Edu>, irql: &mut Passive) {
    let mut quiet_polls: u32 = 0;
    for _ in 0..QUIET_MS {
        let is_quiet = section(device, irql, Section::Power, |_, shared| {
            shared.0.is_quiet()
        });
        quiet_polls = if is_quiet == Some(false) {
            0
        } else {
            quiet_polls.saturating_add(1)
        };
        if quiet_polls >= QUIET_POLLS {
            return;
        }
        wait::delay(irql, 1);
    }
}

/// What becomes of counters that were read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Keep,
    Reset,
}

/// The counters, wherever they are: in the controller, or, while the device sleeps, with what
/// was saved of it. Read and reset are one critical section, so nothing that is counted
/// between the two is lost.
pub(crate) fn counters(
    device: &Device<Edu>,
    irql: &mut UpToDispatch,
    then: Then,
) -> Result<Counters> {
    let read = |counters: &mut Counters| match then {
        Then::Keep => *counters,
        Then::Reset => core::mem::take(counters),
    };
    for _ in 0..ATTEMPTS {
        let awake = section(device, irql, Section::Dispatch, |_, shared| {
            read(shared.0.counters_mut())
        });
        if let Some(result) = awake {
            return Ok(result);
        }
        let asleep = device.kept.with(irql, |_, kept| kept.asleep);
        let Some(mut passive) = irql.try_passive().filter(|_| asleep) else {
            break;
        };
        let irql = passive.token();
        let saved = device
            .interrupt
            .with_disconnected(irql, |saved| read(&mut saved.counters));
        if let Some(result) = saved {
            return Ok(result);
        }
        wait::delay(irql, 1);
    }
    Err(NtError::STATUS_DEVICE_NOT_READY)
}
