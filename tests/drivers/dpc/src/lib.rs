//! Custom and threaded DPCs that share state with an ISR.
//!
//! Dispatch routines, critical sections and the DpcForIsr routine queue them. Each routine
//! notes in the interrupt's state that it ran, in one critical section, which is where the
//! checks look. How often a DPC was asked for does not matter: it finds what there is to
//! do in that state.
//!
//! The driver leaves its DPCs queued when it is stopped: taking them down before the
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
mod routines;
mod shared;

use core::sync::atomic::{AtomicU32, Ordering};

use dirql::{
    device::Device,
    dpc::{Dpc, Importance, Placement, Target, ThreadedDpc},
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch, at_dispatch},
    processor,
    resources::Resources,
    spin_lock::{LockRank, QueuedSpinLock, SpinLock},
    start_io::Packet,
    status::Result,
};
use test_driver::EduBar;
use uuid::Uuid;

use routines::{Chain, First, High, Low, Preempted, Second, Targeted};
use shared::Shared;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Dpcs {
        #[pin]
        interrupt: Interrupt<Shared>,
        #[pin]
        first: Dpc<First>,
        #[pin]
        second: Dpc<Second>,
        #[pin]
        high: Dpc<High>,
        #[pin]
        low: Dpc<Low>,
        #[pin]
        targeted: Dpc<Targeted>,
        #[pin]
        preempted: ThreadedDpc<Preempted>,
        #[pin]
        chain: Dpc<Chain>,
        #[pin]
        threaded_chain: ThreadedDpc<Chain>,
        // How often the two chains may queue themselves again.
        links: AtomicU32,
        // Runs of DPCs, counted under both kinds of executive lock; the queued one inside.
        plain: SpinLock<u64>,
        queued: QueuedSpinLock<u64>,
    }
}

impl Driver for Dpcs {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0004));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            first: Dpc::new(),
            second: Dpc::new(),
            high: Dpc::new(),
            low: Dpc::new(),
            targeted: Dpc::new(),
            preempted: ThreadedDpc::new(),
            chain: Dpc::new(),
            threaded_chain: ThreadedDpc::new(),
            links: AtomicU32::new(0),
            plain: SpinLock::ranked(LockRank(1), 0),
            queued: QueuedSpinLock::ranked(LockRank(2), 0),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let pinned = device.pinned().project_ref();
        let usual = Placement::new();
        pinned.first.initialize(device, irql, usual)?;
        pinned.second.initialize(device, irql, usual)?;
        let high = usual.with_importance(Importance::High);
        pinned.high.initialize(device, irql, high)?;
        let low = usual.with_importance(Importance::Low);
        pinned.low.initialize(device, irql, low)?;
        pinned.targeted.initialize(device, irql, usual)?;
        pinned.preempted.initialize(device, irql, usual)?;
        // Not run at once, there or here, so that it can still be queued when it is stopped.
        let last = processor::active_count().saturating_sub(1);
        let elsewhere = low.with_target(Target::Index(last));
        pinned.chain.initialize(device, irql, elsewhere)?;
        pinned.threaded_chain.initialize(device, irql, usual)?;

        let shared = Shared::new(EduBar::map(irql, &resources.memory(0)?)?);
        let line = resources.interrupt()?;
        pinned
            .interrupt
            .connect(device, irql, &line, shared, |_, _| ())?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.silence());
        drop(device.interrupt.disconnect(irql));
        if device.links.load(Ordering::Relaxed) > 0 {
            at_dispatch(irql, |_| {
                device.chain.queue();
                device.threaded_chain.queue();
                device.low.queue();
            });
        }
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        test_driver::answer(irql, irp, |irql, number, arguments| {
            checks::run(device, irql, number, arguments)
        })
    }
}

impl DpcForIsr for Dpcs {
    /// Leaves the work to a DPC of the driver's own.
    fn dpc_for_isr(device: &Device<Self>, _irql: &mut Dispatch) {
        device.first.queue();
    }
}

dirql::driver_entry!(Dpcs);
