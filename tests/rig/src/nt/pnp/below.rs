//! PnP IRPs that the bus driver handles first: until it is done, the function driver
//! leaves the hardware alone and does not complete them.
//!
//! One PnP IRP is under way at a time, so one record is enough.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::machine::sync::IrqLock;
use crate::nt::irp::{Function, Irp};
use crate::nt::node::Node;
use crate::nt::pnp::{major, minor};
use crate::nt::routine::Routine;
use crate::nt::status::is_success;
use crate::nt::violation::check;

/// The device that is being started, by its number.
static STARTING: IrqLock<Option<u32>> = IrqLock::new(None);
/// The bus driver has completed the PnP IRP that is under way.
static IS_DONE: AtomicBool = AtomicBool::new(false);

/// A PnP IRP is about to be sent.
pub(super) fn begin(node: &Node, code: u8) {
    IS_DONE.store(false, Ordering::Release);
    let starting = (code == minor::START_DEVICE).then(|| node.index());
    STARTING.with(|current| *current = starting);
}

/// It came back.
pub(super) fn end() {
    STARTING.with(|current| *current = None);
}

/// The bus driver is about to complete it.
pub(crate) fn is_done() {
    IS_DONE.store(true, Ordering::Release);
}

/// Checks a call by which a driver takes a device's hardware into use.
pub(crate) fn assert_may_use_hardware(routine: Routine, node: &Node) {
    let is_too_early =
        STARTING.with(|current| *current == Some(node.index())) && !IS_DONE.load(Ordering::Acquire);
    check!(
        Pnp03,
        routine,
        !is_too_early,
        "{} was called for device {} before the drivers below had completed its START_DEVICE.",
        routine.name(),
        node.index()
    );
}

/// Checks an IRP that a driver completes.
pub(crate) fn assert_may_complete(routine: Routine, irp: &Irp) {
    let code = irp.minor();
    let is_from_below = irp.major() == major()
        && matches!(
            code,
            minor::START_DEVICE | minor::CANCEL_STOP_DEVICE | minor::CANCEL_REMOVE_DEVICE
        );
    check!(
        Pnp03,
        routine,
        !is_from_below
            || !is_success(irp.status())
            || irp.progress(|progress| progress.was_at_the_bottom()),
        "{} was completed with success before the drivers below had completed it.",
        Function(major(), code)
    );
}
