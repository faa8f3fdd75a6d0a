//! A device that is unplugged while it is busy: QEMU takes it away, nothing answers in its
//! place any more, and some time later its driver is told.

use anyhow::ensure;
use eductl::{Device, NtStatus, Open, System as _, Transport as _, rig::Rig};
use rig_protocol::Action;

use super::{
    List,
    load::Load,
    pending::{LONG_MS, start_factorial, start_raise},
    support::{fails_with, take_down},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
    monitor::Monitor,
};

/// The time-out of requests to the device that goes.
const SHORT_MS: u32 = 300;
/// What the device would answer the inverse of.
const VALUE: u32 = 0x1234_5678;
/// What a request ends with whose device is gone, and its driver knows it.
const GONE: [NtStatus; 1] = [NtStatus::DELETE_PENDING];
/// What one ends with besides, as long as the driver does not know.
const TIMED_OUT_OR_GONE: [NtStatus; 2] = [NtStatus::IO_TIMEOUT, NtStatus::DELETE_PENDING];
/// What opening a device answers that is not there.
const NOT_THERE: [NtStatus; 2] = [NtStatus::NO_SUCH_DEVICE, NtStatus::DELETE_PENDING];

pub(super) fn add(list: &mut List) {
    for (processors, interrupts) in [
        (1, Interrupts::Msi),
        (4, Interrupts::Msi),
        (4, Interrupts::Intx),
    ] {
        list.add(
            format!("unplug/one-of-two-under-load-{processors}-{interrupts}"),
            move |artifacts| one_of_two(artifacts, processors, interrupts),
        );
    }
}

fn one_of_two(
    artifacts: &Artifacts,
    processors: u32,
    interrupts: Interrupts,
) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(processors)
        .with_interrupts(interrupts)
        .with_devices(2)
        .with_unplugging();
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = running
        .monitor()
        .and_then(|mut monitor| unplug_first(&running.connect()?, &mut monitor));
    take_down(running, outcome)?;
    Ok(())
}

/// Unplugs the first of two devices that are both at work.
fn unplug_first(rig: &Rig, monitor: &mut Monitor) -> anyhow::Result<()> {
    let first = rig.open_handle(&Open::read_write(0))?;
    let second = rig.open_handle(&Open::read_write(1))?;
    let goes = Load::new(&first, SHORT_MS, &TIMED_OUT_OR_GONE);
    let stays = Load::new(&second, LONG_MS, &[]);
    stays.during(|| {
        goes.during(|| {
            ensure!(
                goes.failed() == 0,
                "requests fail while the device is there"
            );
            monitor.ask_to_unplug(0)?;
            goes.goes_on()?;
            rig.pnp(0, Action::Eject)?;
            monitor.wait_unplugged(0)?;
            // The driver has not been told: it takes requests, and they time out.
            let device = Device::new(&first);
            goes.fails()?;
            let answer = device.liveness(VALUE)?;
            ensure!(answer != !VALUE, "a device that is gone answers");
            stays.goes_on()?;
            let waiting = [start_factorial(&first, 5)?, start_raise(&first, 2)?];
            rig.pnp(0, Action::SurpriseRemoval)?;
            for pending in waiting {
                fails_with("one that waited", pending.wait(), &GONE)?;
            }
            fails_with("a factorial afterwards", device.factorial(5, 0), &GONE)?;
            fails_with("STATISTICS afterwards", device.statistics(), &GONE)?;
            goes.fails()?;
            stays.goes_on()
        })
    })?;
    Box::new(first).close()?;
    fails_with("opening it", rig.open(&Open::read_write(0)), &NOT_THERE)?;
    Box::new(second).close()?;
    Ok(())
}
