//! edu.sys: a WDM function driver for the `edu` PCI device of QEMU.
//!
//! `PCI\VEN_1234&DEV_11E8`. The driver is the wiring between three crates: what the
//! device can do is `edu-controller`, what user mode may ask is `edu-interface`,
//! and how a driver lives in the kernel is `dirql`. A request's way:
//!
//! 1. `requests`: the dispatch routine validates everything and starts the packet.
//! 2. `operations`: StartIo programs the device in one critical section.
//! 3. `bar`: the ISR acknowledges and saves the result with its operation.
//! 4. `operations`: DpcForIsr takes the operation out with its result in one critical
//!    section and completes its IRP.
//! 5. `transfers`, `transfer_steps`: reads and writes, by the DMA engine beside all this.
//! 6. `watchdog`: a timer takes away an operation that passes its deadline, and
//!    `operations` one that is cancelled.
//! 7. `events`: whoever waits for interrupts is told of each.
//!
//! `recorder` keeps what all of them did, and when; `lifetime` starts and stops the device, `power` has it sleep.

#![no_std]
#![debugger_visualizer(natvis_file = "../../../tools/windbg/edu.natvis")]
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

mod bar;
mod clock;
mod events;
mod lifetime;
mod operations;
mod power;
mod recorder;
mod requests;
mod transfer_steps;
mod transfers;
mod watchdog;

use dirql::{
    dma::Mapped,
    interrupt::{Info, Interrupt},
    irp::PendingIrp,
    pool::PoolBox,
    spin_lock::SpinLock,
    start_io::Packet,
    time::Reading,
    timer::Timer,
};
use edu_controller::{Controller, Counters, EventBatch, Saved};

#[cfg(windows)]
use wdk_panic as _;

/// The convention for drivers on the `wdk` crates. Nothing here allocates, so the
/// linker leaves it out.
#[cfg(windows)]
#[global_allocator]
static ALLOCATOR: wdk_alloc::WdkAllocator = wdk_alloc::WdkAllocator;

/// The controller, with the IRP that an operation belongs to, and the mapped request that a
/// transfer belongs to. Its events are in pool: two pointers are exchanged when they are taken.
type EduController = Controller<bar::Bar, Packet, Mapped<PendingIrp>, PoolBox<EventBatch>>;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Edu {
        // Owns the registers and all that the ISR shares, from start to stop.
        #[pin]
        interrupt: Interrupt<bar::Shared, Saved>,
        // Reads and writes.
        #[pin]
        transfers: transfers::Transfers,
        // Counts down the deadlines of what is under way.
        #[pin]
        watchdog: Timer<watchdog::Watchdog>,
        // What outlives a stop. Written by start and stop, read by requests.
        kept: SpinLock<Kept>,
        // Who waits for interrupts, and the last ones.
        #[pin]
        events: events::Events,
        // What the driver does. The ISR has it too.
        recorder: recorder::FlightRecorder,
        // When the device was added: where its clock begins.
        added: Reading,
    }
}

/// What is known while there is no controller.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    /// The identification register, as the last start read it.
    identification: u32,
    /// The counters, as the last stop left them.
    counters: Counters,
    /// How the interrupt is connected, from start to stop.
    info: Option<Info>,
    /// The device sleeps, falls asleep or wakes up.
    asleep: bool,
}

dirql::driver_entry!(Edu);
