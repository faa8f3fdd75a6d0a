//! Requests that wait: for StartIo in the device queue, by arrival and by key; in a
//! cancel-safe queue; in a slot. All of them can be cancelled and their handles closed
//! at any moment, and none is completed twice or left behind.
//!
//! The device "works" on a packet until it is told to finish: then it interrupts, the
//! ISR marks the packet as ended, and DpcForIsr completes it. So a test decides what
//! happens while a packet is in the device's hands.
//!
//! * `packets`: StartIo, DpcForIsr, and taking a packet back.
//! * `requests`: what the control codes do; the cancel-safe queue and the slot.
//! * `shared`: what the ISR shares.

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

mod packets;
mod requests;
mod shared;

use core::sync::atomic::{AtomicU64, Ordering};

use dirql::{
    device::Device,
    driver::{Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irp_queue::{IrpContext, IrpQueue, IrpSlot},
    irql::{Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
};
use test_driver::EduBar;
use uuid::Uuid;

use shared::Shared;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Queues {
        #[pin]
        interrupt: Interrupt<Shared>,
        #[pin]
        queue: IrpQueue,
        // Picks one IRP out of the queue.
        #[pin]
        context: IrpContext,
        #[pin]
        slot: IrpSlot,
        counts: Counts,
    }
}

/// What has happened; each is only ever added to.
#[derive(Debug, Default)]
struct Counts {
    /// Requests that are in the device queue, the queue or the slot, or were.
    arrived: AtomicU64,
    /// Packets that StartIo was given.
    started: AtomicU64,
    /// Requests that were completed with success; numbers them, too.
    ended: AtomicU64,
    /// Packets that were taken back from the device.
    taken_back: AtomicU64,
}

impl Counts {
    /// Adds one; the new count.
    fn count(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }
}

impl Driver for Queues {
    const ROUTINES: Routines<Self> = Routines::new().start_io().take_back().dpc_for_isr();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0002));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            queue: IrpQueue::new(),
            context: IrpContext::new(),
            slot: IrpSlot::new(),
            counts: Counts::default(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let pinned = device.pinned().project_ref();
        pinned.queue.initialize(device, irql)?;
        pinned.slot.initialize(device, irql)?;
        let shared = Shared::new(EduBar::map(irql, &resources.memory(0)?)?);
        let line = resources.interrupt()?;
        pinned
            .interrupt
            .connect(device, irql, &line, shared, |_, shared| shared.enable())?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        let under_way = device
            .interrupt
            .synchronize(irql, |_, shared| shared.silence());
        if let Some(mut shared) = device.interrupt.disconnect(irql) {
            // The DPC may not have come to what the ISR marked as ended.
            packets::complete(device, irql, shared.take_ended());
        }
        under_way.flatten()
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        requests::device_control(device, irql, irp)
    }
}

dirql::driver_entry!(Queues);
