//! A device that sleeps: what its driver saves, who may look at that meanwhile, and what
//! becomes of the requests.
//!
//! The device computes factorials, one packet after the other. When it is put to sleep,
//! the packet that it works on is taken back and held with those behind it, and what its
//! registers held is saved with the interrupt suspended. From then on the
//! registers are out of reach: critical sections do not run, and `with_disconnected` lends
//! the saved state, which has none. Waking goes the other way round, and the held packet
//! is started anew.

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
mod packets;
mod shared;
mod sleep;

use core::sync::atomic::{AtomicBool, AtomicU64};

use dirql::{
    device::Device,
    driver::{Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
};
use test_driver::EduBar;
use uuid::Uuid;

use shared::{Saved, Shared};

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Sleeper {
        // Owns the registers; while it is suspended, what they held.
        #[pin]
        interrupt: Interrupt<Shared, Saved>,
        // How often the device was put to sleep, and woken.
        downs: AtomicU64,
        ups: AtomicU64,
        // The next question whether the device may sleep is answered with no.
        refuses: AtomicBool,
        // The next power-up fails.
        fails: AtomicBool,
    }
}

impl Driver for Sleeper {
    const ROUTINES: Routines<Self> = Routines::new().start_io().dpc_for_isr().power();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0010));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            downs: AtomicU64::new(0),
            ups: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            fails: AtomicBool::new(false),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let shared = Shared::new(EduBar::map(irql, &resources.memory(0)?)?);
        let line = resources.interrupt()?;
        let interrupt = device.pinned().project_ref().interrupt;
        interrupt.connect(device, irql, &line, shared, |_, _| ())?;
        Ok(())
    }

    /// A device that sleeps is stopped like any other: its critical sections do not run,
    /// so nothing touches it.
    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        let under_way = sleep::take_back(device, irql);
        drop(device.interrupt.disconnect(irql));
        under_way
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        if packets::is_packet(&irp) {
            return irp.pend(|irp| device.start_packet(irql, irp));
        }
        test_driver::answer(irql, irp, |irql, number, arguments| {
            checks::run(device, irql, number, arguments)
        })
    }
}

dirql::driver_entry!(Sleeper);
