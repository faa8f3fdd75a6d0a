//! Windows kernel drivers in safe Rust, whose interrupt-synchronised state the
//! compiler guards.
//!
//! `dirql` wraps the part of WDM that an interrupt-driven function driver needs.
//! Two ideas carry it:
//!
//! * **The interrupt owns its state.** [`Interrupt<S>`](interrupt::Interrupt) takes
//!   the `S` that its ISR shares when it is connected. From then on the only ways
//!   to a `&mut S` are the ISR, which the kernel calls with the interrupt spin lock
//!   held, and [`synchronize`](interrupt::Interrupt::synchronize), which is
//!   KeSynchronizeExecution. Disconnecting gives the `S` back.
//! * **IRQL is a token.** [`irql`] has one type for each level that a routine may
//!   rely on. Only callback thunks and closure-taking calls make a token, and
//!   whatever raises IRQL borrows the lower one mutably for as long as it lasts.
//!
//! So completing an IRP, starting the next packet, waiting, taking a spin lock or
//! synchronising again inside a critical section does not compile:
//!
//! ```compile_fail,E0501
//! # use dirql::{interrupt::{Claim, Interrupt, ServiceRoutine}, irql::{Dirql, Dispatch}};
//! # struct Counter(u32);
//! # impl ServiceRoutine for Counter {
//! #     fn service(&mut self, _: &mut Dirql) -> Claim { Claim::NotOurs }
//! # }
//! fn twice(interrupt: &Interrupt<Counter>, irql: &mut Dispatch) {
//!     interrupt.synchronize(irql, |_, counter| {
//!         interrupt.synchronize(irql, |_, _| ());
//!         counter.0 += 1;
//!     });
//! }
//! ```
//!
//! A driver implements [`driver::Driver`] for its device extension and names it in
//! [`driver_entry!`]; see the `edu` crate beside this one for a complete one.
//!
//! # How to read these pages
//!
//! "Wraps `KeSetEvent`" names the routine that an item is in C, and with it the page of
//! that name in the Windows driver reference, on which the item rests; "Is `IoRequestDpc`"
//! says that the item does what that macro or inline function does. Titles in quotation
//! marks are pages of the kernel-mode architecture guide. `# IRQL` says where an item may be
//! called; where it takes a token, the compiler sees to it. No item returns with a lock
//! held; a closure or a callback runs with the locks that its item names, and with no other.
//!
//! # Soundness
//!
//! The facts that `SAFETY` comments lean on, by number:
//!
//! 1. **Extension.** [`device::Device`] lives in the device extension that
//!    IoCreateDevice allocated. It is written once, in AddDevice, before any routine
//!    can be called with it, never moved, and dropped in the REMOVE path after fact 3.
//!    Nobody outside this crate can have a `&mut` to it.
//! 2. **Registered objects.** Whatever the kernel keeps the address of (interrupt,
//!    timer, DPC) is registered only when it is pinned, which the types say, and lies
//!    inside that extension, which is checked. So it stays where it is, and is not
//!    dropped or overwritten, for as long as fact 1 holds.
//! 3. **Quiescence.** Before the extension is dropped, REMOVE has waited for the
//!    remove lock, disconnected every interrupt, then stopped every timer and DPC, each
//!    behind a run-down that lets nobody start it again, and then flushed the DPC queues
//!    of all processors.
//! 4. **Ownership of IRPs.** An [`irp::Irp`], [`irp::PendingIrp`] or
//!    [`start_io::Packet`] is the only owner of its IRP; while it waits, the device queue
//!    or an [`irp_queue::IrpQueue`] is. It holds the remove lock of its device until it is
//!    completed.
//! 5. **Tokens.** A token exists only while the processor is at the level (or in the
//!    range) that its type names.
//!
//! And what the comments say of the kernel's own part:
//!
//! 10. **The page's word.** A kernel routine does what its reference page says, at the
//!     IRQL and for the arguments that the page allows. What a callback is given is of the
//!     kind, filled in, and alive for as long as its page says.
//! 11. **Own frame.** A pointer made from a local, or from a reference that is borrowed
//!     across the call, is good for the call, and the routine keeps no address of it.
//! 12. **Plain data.** The kernel's structures are integers, pointers, optional functions
//!     and unions of those: all zero is a value of each, and any view of such a union can
//!     be read.
//!
//! Modules have facts of their own, in their documentation. Each number stands for one
//! fact in the whole crate. `cargo xtask lint unsafe-facts` checks that every comment
//! cites one and that something rests on each; `UNSAFE.md` lists all `unsafe` with them.
//!
//! # Hosts
//!
//! On anything but Windows the crate compiles against a hand-made `sys` module
//! with the names of `wdk_sys`, for documentation, compile-fail tests and
//! rust-analyzer. Its routines answer as an empty kernel would.

#![no_std]
#![debugger_visualizer(natvis_file = "../../../tools/windbg/dirql.natvis")]
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
#![expect(
    unsafe_code,
    reason = "this crate is where the driver's side meets the kernel's C interface"
)]

#[cfg(not(windows))]
extern crate std;

#[doc = include_str!("../GUIDE.md")]
pub mod guide {}

mod cancel_lock;
pub mod completing;
pub mod device;
mod device_interface;
pub mod device_property;
pub mod direct_io;
pub mod dma;
pub mod dpc;
pub mod driver;
pub mod event;
pub mod file;
#[cfg(test)]
mod forgotten;
#[cfg(all(test, feature = "interleavings"))]
mod interleavings;
pub mod interrupt;
pub mod io_mem;
pub mod io_timer;
pub mod irp;
mod irp_holders;
mod irp_list;
pub mod irp_queue;
pub mod irql;
pub mod legacy;
mod object_table;
mod pnp;
pub mod pool;
pub mod power;
pub mod processor;
pub mod registry;
mod remove_lock;
pub mod resources;
mod run_down;
mod shared_bytes;
pub mod spin_lock;
pub mod start_io;
pub mod status;
mod stop_code;
mod sync;
mod sys;
mod thunks;
pub mod time;
pub mod timer;
pub mod unicode;
pub mod wait;
pub mod work_item;

#[doc(hidden)]
pub mod __private {
    //! What [`driver_entry!`](crate::driver_entry) and [`unicode!`](crate::unicode!) expand
    //! to; no part of the interface.
    pub use crate::{
        legacy::initialize as initialize_legacy,
        sys::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING},
        thunks::initialize,
    };
    pub use widestring::utf16str;
}
