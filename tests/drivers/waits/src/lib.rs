//! Events, work items, and a device that is held: what code that may wait is for.
//!
//! The DPC of an interrupt sets an event; requests wait for it, each in a thread of its
//! own. Work items do what takes time, and what keeps a reference to the device for longer
//! than a routine holds it, so that its removal waits.

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
mod state;

use dirql::{
    device::{Device, Held},
    driver::{DpcForIsr, Driver, Routines, Stop},
    event::{Event, Kind},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::Packet,
    status::Result,
    wait,
    work_item::{WorkItem, WorkRoutine},
};
use test_driver::EduBar;
use uuid::Uuid;

use state::{Counts, Shared};

/// How long the device is held by [`LetGo`].
const HELD_MS: u32 = 400;

pin_project_lite::pin_project! {
    /// The device extension.
    struct Waits {
        #[pin]
        interrupt: Interrupt<Shared>,
        // Set by the DPC: lets one thread pass each time.
        #[pin]
        came: Event,
        // Opened by a request: lets one waiting request pass each time.
        #[pin]
        door: Event,
        // Opened by a request: lets all pass.
        #[pin]
        gate: Event,
        #[pin]
        count_runs: WorkItem<CountRuns>,
        #[pin]
        let_go: WorkItem<LetGo>,
        // What is held until `LetGo` has run.
        held: SpinLock<Option<Held<Waits>>>,
        counts: Counts,
    }
}

impl Driver for Waits {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0012));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            came: Event::new(Kind::Synchronization),
            door: Event::new(Kind::Synchronization),
            gate: Event::new(Kind::Notification),
            count_runs: WorkItem::new(),
            let_go: WorkItem::new(),
            held: SpinLock::new(None),
            counts: Counts::default(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let own = device.pinned().project_ref();
        own.count_runs.initialize(device, irql)?;
        own.let_go.initialize(device, irql)?;
        let shared = Shared::new(EduBar::map(irql, &resources.memory(0)?)?);
        let line = resources.interrupt()?;
        own.interrupt
            .connect(device, irql, &line, shared, |_, _| ())?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.silence());
        drop(device.interrupt.disconnect(irql));
        // The work items are left to REMOVE, which waits for them and for what is held.
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        test_driver::answer(irql, irp, |irql, number, arguments| {
            checks::run(device, irql, number, arguments)
        })
    }
}

impl DpcForIsr for Waits {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let count = device
            .interrupt
            .synchronize(irql, |_, shared| shared.take_count());
        if count.is_some_and(|count| count != 0) {
            device.pinned().project_ref().came.set(irql);
        }
    }
}

/// Counts its runs, each of which takes a while.
#[derive(Debug)]
struct CountRuns;

impl WorkRoutine for CountRuns {
    type Extension = Waits;

    fn run(device: &Device<Waits>, irql: &mut Passive) {
        wait::delay(irql, 2);
        device.counts.runs.add();
    }
}

/// Lets go of the device after [`HELD_MS`].
#[derive(Debug)]
struct LetGo;

impl WorkRoutine for LetGo {
    type Extension = Waits;

    fn run(device: &Device<Waits>, irql: &mut Passive) {
        wait::delay(irql, HELD_MS);
        let held = device.held.with(irql, |_, held| held.take());
        drop(held);
    }
}

dirql::driver_entry!(Waits);
