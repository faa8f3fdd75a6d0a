//! A driver whose optimised code is compared with hand-written C.
//!
//! `cargo xtask test cost` builds this and `reference.c`, follows each of the
//! `probes` and the routine of the same name through all the code that it reaches,
//! and fails where this side has more than two instructions more. It is a whole
//! driver, for what the linker and the optimiser do to one is what ships; nobody
//! loads it.

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

mod controller;
mod probes;

use core::{
    hint::black_box,
    sync::atomic::{AtomicU32, Ordering},
};

use dirql::{
    device::Device,
    dpc::{CustomDpc, Dpc, Placement},
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch, at_dispatch},
    resources::Resources,
    spin_lock::{QueuedSpinLock, SpinLock},
    start_io::Packet,
    status::Result,
    time::Due,
    timer::{CustomTimerDpc, Timer},
};
use uuid::Uuid;

use controller::Controller;

#[cfg(windows)]
use wdk_panic as _;

pin_project_lite::pin_project! {
    /// The device extension, with what `DEVICE_EXTENSION` in `reference.c` has.
    #[derive(Debug)]
    struct Cost {
        #[pin]
        interrupt: Interrupt<Controller>,
        statistics: SpinLock<Statistics>,
        #[pin]
        dpc: Dpc<Count>,
        #[pin]
        timer: Timer<Count>,
        queued: QueuedSpinLock<Statistics>,
        // Written by the DPC alone, which the kernel runs once at a time for each
        // queueing; nothing depends on its value.
        dpc_runs: AtomicU32,
        // What the last drain took out.
        drained: AtomicU32,
    }
}

/// What a spin lock guards.
#[derive(Debug)]
struct Statistics {
    packets: u32,
}

dirql::driver_entry!(Cost);

impl Driver for Cost {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            statistics: SpinLock::new(Statistics { packets: 0 }),
            dpc: Dpc::new(),
            timer: Timer::new(),
            queued: QueuedSpinLock::new(Statistics { packets: 0 }),
            dpc_runs: AtomicU32::new(0),
            drained: AtomicU32::new(0),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let line = resources.interrupt()?;
        let controller = Controller::map(irql, &resources.memory(0)?)?;
        let pinned = device.pinned().project_ref();
        pinned.dpc.initialize(device, irql, Placement::new())?;
        pinned.timer.initialize(device, irql)?;
        pinned
            .interrupt
            .connect(device, irql, &line, controller, |_, _| ())?;
        let _started_anew = device.timer.start_periodic(irql, Due::after_ms(10), 10)?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        drop(device.interrupt.disconnect(irql));
        None
    }

    /// Calls every probe by its address, so that each stays a routine of its own with the
    /// arguments that it declares.
    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        hidden(probes::acknowledge as fn(&Self, &mut UpToDispatch, u32))(device, irql, 1);
        hidden(probes::count_below_dispatch as fn(&Self, &mut UpToDispatch))(device, irql);
        hidden(probes::count_queued as fn(&Self, &mut UpToDispatch))(device, irql);
        let _already_is_as_good = device.dpc.queue();
        at_dispatch(irql, |irql| {
            hidden(probes::program as fn(&Self, &mut Dispatch, u32))(device, irql, 1);
            hidden(probes::count_at_dispatch as fn(&Self, &mut Dispatch))(device, irql);
            hidden(probes::count_queued_at_dispatch as fn(&Self, &mut Dispatch))(device, irql);
            hidden(probes::drain as fn(&Self, &mut Dispatch))(device, irql);
        });
        irp.complete(irql, Ok(0))
    }
}

/// A routine, by an address that the optimiser cannot see through.
fn hidden<F>(routine: F) -> F {
    black_box(routine)
}

impl Cost {
    fn count_run(&self) {
        let runs = self.dpc_runs.load(Ordering::Relaxed);
        self.dpc_runs.store(runs.wrapping_add(1), Ordering::Relaxed);
    }
}

impl DpcForIsr for Cost {
    fn dpc_for_isr(device: &Device<Self>, _irql: &mut Dispatch) {
        device.count_run();
    }
}

/// The driver's own DPC, and the timer's.
#[derive(Debug)]
struct Count;

impl CustomDpc for Count {
    type Extension = Cost;

    fn run(device: &Device<Cost>, _irql: &mut Dispatch) {
        device.count_run();
    }
}

impl CustomTimerDpc for Count {
    type Extension = Cost;

    /// Not what the DPC does, or the two would be one routine.
    fn expired(device: &Device<Cost>, _irql: &mut Dispatch) {
        device.drained.store(0, Ordering::Relaxed);
    }
}
