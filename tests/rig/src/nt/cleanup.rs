//! IRP_MJ_CLEANUP, and what it must have done when it is over: of its file's requests
//! those that waited in a queue have ended, and none of another file's was cancelled
//! for it.

use alloc::vec::Vec;

use wdk_sys::IRP_MJ_CLEANUP;

use crate::machine::sync::IrqLock;
use crate::machine::time::system_time_100ns;
use crate::nt::address;
use crate::nt::callout::Callback;
use crate::nt::dispatcher::wait_until;
use crate::nt::file::File;
use crate::nt::io_manager::{outstanding, send_and_wait, simple_request};
use crate::nt::irp::{Irp, Originator};
use crate::nt::pnp::requests::assert_closed;
use crate::nt::routine::Routine;
use crate::nt::status::STATUS_CANCELLED;
use crate::nt::violation::check;

/// How long a request may take to end after the CLEANUP that ended it.
const GRACE_100NS: u64 = 20_000_000;

/// Files whose CLEANUP is under way, by the address of the object.
static UNDER_WAY: IrqLock<Vec<usize>> = IrqLock::new(Vec::new());

/// Sends IRP_MJ_CLEANUP for a file. PASSIVE_LEVEL.
pub(crate) fn send(file: &File) {
    let object = address::of(file.pointer());
    let before: Vec<Irp> = outstanding()
        .into_iter()
        .filter(|irp| is_of(irp, object))
        .collect();
    UNDER_WAY.with(|files| files.push(object));
    let outcome = send_and_wait(
        file.node().pdo(),
        simple_request(IRP_MJ_CLEANUP, file.pointer()),
        |_| {},
    );
    UNDER_WAY.with(|files| files.retain(|other| *other != object));
    assert_closed("IRP_MJ_CLEANUP", outcome.status);
    for irp in before {
        // Whoever completes it must have cleared its cancel routine first. One that was on
        // its way from queue to device just then may take a moment.
        let is_over = || {
            irp.progress(|progress| progress.outcome().is_some() || irp.cancel_routine().is_none())
        };
        let deadline = system_time_100ns() + GRACE_100NS;
        let is_over = wait_until(
            "the requests of a file that is closed",
            Some(deadline),
            is_over,
        );
        check!(
            Irp16,
            Callback::Dispatch,
            is_over || irp.cancelled_at().is_some(),
            "IRP_MJ_CLEANUP is over, and the IRP {irp} of its file still waits in a queue."
        );
    }
}

/// Whether a request was sent on the file with this object.
fn is_of(irp: &Irp, object: usize) -> bool {
    match irp.originator() {
        Originator::Channel { file, .. } => address::of(file.pointer()) == object,
        Originator::Waiter | Originator::Power(_) => false,
    }
}

/// Checks an IRP that a driver completes: STATUS_CANCELLED is for those that were
/// cancelled or whose file is being closed or was, not for a neighbour's. A request that
/// its device cannot let go of may end long after the CLEANUP of its file.
pub(crate) fn assert_may_complete(irp: &Irp) {
    let Originator::Channel { file, .. } = irp.originator() else {
        return;
    };
    if irp.status() != STATUS_CANCELLED || irp.cancelled_at().is_some() {
        return;
    }
    let is_one_closing = UNDER_WAY.with(|files| !files.is_empty());
    check!(
        Irp16,
        Routine::IofCompleteRequest,
        file.is_closing() || !is_one_closing,
        "The IRP {irp} was completed as cancelled during the IRP_MJ_CLEANUP of another file."
    );
}
