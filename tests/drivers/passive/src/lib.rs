//! A passive-level interrupt: an ISR that waits, critical sections that wait, and the work
//! item that the ISR leaves the rest to.
//!
//! The device plays a sensor behind a slow bus: each access of the ISR's takes a
//! millisecond, which at DIRQL would be a crime. It counts what came; the work item drains
//! the count in one critical section; dispatch routines, at PASSIVE_LEVEL, use the device in
//! others.

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

#[cfg(not(windows))]
extern crate std;

mod checks;
mod sensor;

use dirql::{
    device::Device,
    driver::{Driver, Routines, Stop},
    event::{Event, Kind},
    interrupt::passive::PassiveInterrupt,
    irp::{Dispatched, Irp},
    irql::{Passive, UpToDispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::Packet,
    status::{NtError, Result},
    work_item::{WorkItem, WorkRoutine},
};
use test_driver::EduBar;
use uuid::Uuid;

use sensor::{Drained, Sensor};

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Bus {
        #[pin]
        interrupt: PassiveInterrupt<Sensor>,
        #[pin]
        drain: WorkItem<Drain>,
        // Set by the work item, once for each time that it runs.
        #[pin]
        drained: Event,
        // All that the work item has drained so far.
        total: SpinLock<Drained>,
    }
}

impl Driver for Bus {
    const ROUTINES: Routines<Self> = Routines::new();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0011));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: PassiveInterrupt::new(),
            drain: WorkItem::new(),
            drained: Event::new(Kind::Synchronization),
            total: SpinLock::new(Drained::default()),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let own = device.pinned().project_ref();
        own.drain.initialize(device, irql)?;
        // What the ISR queues is ready before there is an ISR.
        let drain = own.drain.ready().ok_or(NtError::STATUS_DEVICE_NOT_READY)?;
        let sensor = Sensor::new(EduBar::map(irql, &resources.memory(0)?)?);
        let line = resources.interrupt()?;
        let connected = own
            .interrupt
            .connect(device, irql, &line, drain, sensor, |_, _| ());
        connected.map(|_| ())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device
            .interrupt
            .synchronize(irql, |_, sensor| sensor.silence());
        drop(device.interrupt.disconnect(irql));
        // Only then: nobody queues it any more.
        device.drain.stop(irql);
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        test_driver::answer(irql, irp, |irql, number, arguments| {
            checks::run(device, irql, number, arguments)
        })
    }
}

/// What the ISR leaves to a thread that may take its time.
#[derive(Debug)]
struct Drain;

impl WorkRoutine for Drain {
    type Extension = Bus;

    fn run(device: &Device<Bus>, irql: &mut Passive) {
        let drained = device
            .interrupt
            .synchronize(irql, |_, sensor| sensor.drain());
        if let Some(drained) = drained {
            device.total.with(irql, |_, total| total.add(&drained));
        }
        device.pinned().project_ref().drained.set(irql);
    }
}

dirql::driver_entry!(Bus);
