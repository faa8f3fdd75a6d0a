//! Several messages of one device, with a lock and a state each, or with one lock and one
//! state over all.
//!
//! The driver wants a lock for each of its messages. Where the system grants fewer than it
//! wants, it connects them, or the line, with one lock: everything works the same, and only
//! less of it at the same time.

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
mod message;

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::{
        Info, Interrupt,
        messages::{MessageInterrupts, Refused},
    },
    irp::{Dispatched, Irp},
    irql::{Dirql, Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
};
use test_driver::EduBar;
use uuid::Uuid;

use message::{All, Message};

/// Messages that the driver wants.
const WANTED: usize = 4;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Messages {
        // One lock and one state for each message.
        #[pin]
        each: MessageInterrupts<Message, WANTED>,
        // One lock and one state over all, when fewer were granted.
        #[pin]
        all: Interrupt<All>,
    }
}

impl Driver for Messages {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0012));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            each: MessageInterrupts::new(),
            all: Interrupt::new(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let bar = EduBar::map(irql, &resources.memory(0)?)?;
        let line = resources.interrupt()?;
        let pinned = device.pinned().project_ref();
        // The registers belong to the first message alone: what the others share with it
        // would need one lock.
        let states = [
            Message::with_registers(bar),
            Message::new(),
            Message::new(),
            Message::new(),
        ];
        let arm = |_, _: &mut Dirql, state: &mut Message| state.arm();
        match pinned.each.connect(device, irql, &line, states, arm) {
            Ok(Info { .. }) => Ok(()),
            Err(Refused { states, .. }) => {
                let all = All::new(states);
                pinned
                    .all
                    .connect(device, irql, &line, all, |_, all| all.arm())?;
                Ok(())
            }
        }
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device.each.synchronize(0, irql, |_, first| first.silence());
        drop(device.each.disconnect(irql));
        device.all.synchronize(irql, |_, all| all.silence());
        drop(device.all.disconnect(irql));
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        test_driver::answer(irql, irp, |irql, number, arguments| {
            checks::run(device, irql, number, arguments)
        })
    }
}

impl DpcForIsr for Messages {
    /// The checks look at the counts themselves.
    fn dpc_for_isr(_device: &Device<Self>, _irql: &mut Dispatch) {}
}

dirql::driver_entry!(Messages);
