//! Forgets one handle of each kind, with `mem::forget`, which is safe code.
//!
//! Nothing in `dirql` rests on a handle's drop: what is forgotten is leaked, or makes
//! removal wait, and memory stays what it is. The scenarios have one kind forgotten in
//! each run, and go on using the driver; the rig must then find that leak, by its rule,
//! and nothing else.

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
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    io_mem::IoMem,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::Packet,
    status::Result,
};
use test_driver::EduBar;
use uuid::Uuid;

use shared::Shared;

/// Bytes of a second mapping of the registers.
const SECOND: usize = 8;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Leaks {
        #[pin]
        interrupt: Interrupt<Shared>,
        // A mapping that is there to be forgotten.
        second: SpinLock<Option<IoMem<SECOND>>>,
        // What STOP and REMOVE are to do. Written by a check, read by them.
        at_stop: SpinLock<AtStop>,
    }
}

/// What the stop routine does with the interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtStop {
    /// Disconnects it and drops what it gives back.
    Disconnect,
    /// Disconnects it and forgets what it gives back.
    ForgetState,
    /// Leaves it connected.
    Leave,
}

impl Driver for Leaks {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0008));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            second: SpinLock::new(None),
            at_stop: SpinLock::new(AtStop::Disconnect),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let memory = resources.memory(0)?;
        let shared = Shared::new(EduBar::map(irql, &memory)?);
        let second = IoMem::map(irql, &memory)?;
        device.second.with(irql, |_, place| *place = Some(second));
        let line = resources.interrupt()?;
        let interrupt = device.pinned().project_ref().interrupt;
        interrupt.connect(device, irql, &line, shared, |_, _| ())?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        let second = device.second.with(irql, |_, second| second.take());
        drop(second);
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.silence());
        match device.at_stop.with(irql, |_, at_stop| *at_stop) {
            AtStop::Disconnect => drop(device.interrupt.disconnect(irql)),
            AtStop::ForgetState => checks::forget(device.interrupt.disconnect(irql)),
            AtStop::Leave => {}
        }
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        checks::device_control(device, irql, irp)
    }
}

impl DpcForIsr for Leaks {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.drained());
    }
}

dirql::driver_entry!(Leaks);
