//! An ISR, a DpcForIsr and dispatch routines that share state.
//!
//! The ISR counts and saves; the DPC drains what was counted in one critical section;
//! dispatch routines raise interrupts and look at the state in others. Nothing is
//! lost however many interrupts come before a DPC, and nothing is counted twice.
//!
//! For some causes the ISR queues a DPC of the driver's own, in place of DpcForIsr or
//! beside it.

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
mod shared;

use dirql::{
    device::Device,
    dpc::{CustomDpc, Dpc, Placement},
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::Packet,
    status::Result,
};
use test_driver::EduBar;
use uuid::Uuid;

use shared::{Drained, Shared};

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Lines {
        #[pin]
        interrupt: Interrupt<Shared>,
        // What the ISR queues for some causes.
        #[pin]
        other: Dpc<Other>,
        // All that DpcForIsr has drained so far.
        total: SpinLock<Drained>,
        // All that the other DPC has.
        other_total: SpinLock<Drained>,
    }
}

/// The DPC for the causes that are not DpcForIsr's.
#[derive(Debug)]
struct Other;

impl CustomDpc for Other {
    type Extension = Lines;

    fn run(device: &Device<Lines>, irql: &mut Dispatch) {
        let drained = device
            .interrupt
            .synchronize(irql, |_, shared| shared.drain_other());
        if let Some(drained) = drained {
            device
                .other_total
                .with(irql, |_, total| total.add(&drained));
        }
    }
}

impl Driver for Lines {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0001));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            other: Dpc::new(),
            total: SpinLock::new(Drained::default()),
            other_total: SpinLock::new(Drained::default()),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let shared = Shared::new(EduBar::map(irql, &resources.memory(0)?)?);
        let line = resources.interrupt()?;
        let pinned = device.pinned().project_ref();
        pinned.other.initialize(device, irql, Placement::new())?;
        let other = pinned.other.ready();
        let dpcs = other.as_slice();
        pinned
            .interrupt
            .connect_with_dpcs(device, irql, &line, dpcs, shared, |_, _| ())?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.silence());
        drop(device.interrupt.disconnect(irql));
        device.other.stop(irql);
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        test_driver::answer(irql, irp, |irql, number, arguments| {
            checks::run(device, irql, number, arguments)
        })
    }
}

impl DpcForIsr for Lines {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let drained = device
            .interrupt
            .synchronize(irql, |_, shared| shared.drain());
        if let Some(drained) = drained {
            device.total.with(irql, |_, total| total.add(&drained));
        }
    }
}

dirql::driver_entry!(Lines);
