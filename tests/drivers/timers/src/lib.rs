//! Timers that share state with an ISR: KTIMERs of all kinds, and the device's IoTimer with
//! the documentation's time-out pattern.
//!
//! Each timer's routine counts in the interrupt's state, in one critical section. An
//! operation raises an interrupt, which may be lost; the IoTimer counts its seconds
//! down, then resets the device and has the operation tried again, then gives it up.
//! See "Using an `IoTimer` Routine".
//!
//! The driver leaves its timers running when it is stopped: taking them down before the
//! extension goes away is `dirql`'s part.

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
mod operation;
mod routines;
mod shared;

use dirql::{
    device::Device,
    dpc::{Dpc, Placement},
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    io_timer::IoTimer,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
    timer::Timer,
};
use test_driver::EduBar;
use uuid::Uuid;

use operation::Late;
use routines::{Coalescable, Fail, Once, Periodic, Rearming};
use shared::Shared;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Timers {
        #[pin]
        interrupt: Interrupt<Shared>,
        #[pin]
        once: Timer<Once>,
        #[pin]
        periodic: Timer<Periodic>,
        #[pin]
        coalescable: Timer<Coalescable>,
        #[pin]
        rearming: Timer<Rearming>,
        // Gives up the operation that could not be saved.
        #[pin]
        fail: Dpc<Fail>,
    }
}

impl Driver for Timers {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr().io_timer();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0008));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            once: Timer::new(),
            periodic: Timer::new(),
            coalescable: Timer::new(),
            rearming: Timer::new(),
            fail: Dpc::new(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let pinned = device.pinned().project_ref();
        pinned.once.initialize(device, irql)?;
        pinned.periodic.initialize(device, irql)?;
        pinned.coalescable.initialize(device, irql)?;
        pinned.rearming.initialize(device, irql)?;
        pinned.fail.initialize(device, irql, Placement::new())?;
        let shared = Shared::new(EduBar::map(irql, &resources.memory(0)?)?);
        let line = resources.interrupt()?;
        pinned
            .interrupt
            .connect(device, irql, &line, shared, |_, _| ())?;
        device.start_io_timer(irql)
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.silence());
        drop(device.interrupt.disconnect(irql));
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        test_driver::answer(irql, irp, |irql, number, arguments| {
            checks::run(device, irql, number, arguments)
        })
    }
}

impl DpcForIsr for Timers {
    /// Ends the operation; tries it again after a reset.
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.interrupted());
    }
}

impl IoTimer for Timers {
    fn io_timer(device: &Device<Self>, irql: &mut Dispatch) {
        let late = device
            .interrupt
            .synchronize(irql, |_, shared| shared.second_passed());
        if late == Some(Late::Lost) {
            device.fail.queue();
        }
    }
}

dirql::driver_entry!(Timers);
