//! IRP_MJ_POWER at the PDO: the bus driver puts the device into a state, and completes.
//!
//! It completes as it likes: at once, later from a DPC, or later on whatever processor
//! has time. A driver must be right with each, so they take turns.

use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::{DEVICE_POWER_STATE, KDPC, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID};

use crate::nt::irp::complete::complete_with;
use crate::nt::irp::{Irp, ledger};
use crate::nt::kernel_memory::allocate_object;
use crate::nt::node::{self, NodeRef};
use crate::nt::power::queue::{Item, push};
use crate::nt::power::{D0, Target, minor, rules};
use crate::nt::status::{STATUS_PENDING, STATUS_SUCCESS};
use crate::nt::{address, dpc};

/// The bus driver's name in the log.
const NAME: &str = "pci.sys";

/// How the next IRP is completed.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// IRP_MJ_POWER at the PDO.
pub(crate) unsafe extern "C" fn dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irp = ledger::live(NAME, irp);
    let location = irp.location(irp.current());
    let code = location.minor();
    if !matches!(code, minor::SET_POWER | minor::QUERY_POWER) {
        let status = irp.status();
        complete_with(&irp, status, 0);
        return status;
    }
    let target = location.power_target();
    if let (minor::SET_POWER, Target::Device(state), Some(node)) =
        (code, target, node::of_pdo(device))
        && state != D0
    {
        rules::assert_reported_before_forwarding(&node, &irp, state);
        set(&node, state);
    }
    match TURN.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => {
            finish(&irp);
            STATUS_SUCCESS
        }
        1 => {
            location.mark_pending();
            complete_in_dpc(&irp);
            STATUS_PENDING
        }
        _ => {
            location.mark_pending();
            push(Item::Complete(irp.clone()));
            STATUS_PENDING
        }
    }
}

/// Completes an IRP that was pended for somebody else to complete.
pub(super) fn complete(irp: &Irp) {
    finish(irp);
}

/// Completes an IRP; a device that is to be in D0 is so just before.
fn finish(irp: &Irp) {
    let location = irp.location(irp.current());
    if let (minor::SET_POWER, Target::Device(D0), Some(node)) = (
        location.minor(),
        location.power_target(),
        node::of_pdo(location.device()),
    ) {
        set(&node, D0);
    }
    complete_with(irp, STATUS_SUCCESS, 0);
}

/// Puts the device into a state. A device that leaves D0 forgets what was written to
/// it, and does not answer until it is back.
fn set(node: &NodeRef, state: DEVICE_POWER_STATE) {
    let was_on = node.power().hardware() == D0;
    node.power().set_hardware(state);
    if was_on
        && state != D0
        && let Some(registers) = node.registers()
    {
        registers.lose_context();
    }
}

/// Has a DPC complete the IRP.
fn complete_in_dpc(irp: &Irp) {
    let object = allocate_object::<KDPC>().as_ptr();
    // SAFETY: `allocate_object` just gave the memory, for good.
    unsafe { dpc::ke_initialize_dpc(object, Some(complete_routine), core::ptr::null_mut()) };
    let inserted = dpc::insert(
        NAME,
        object,
        irp.pointer().cast(),
        core::ptr::null_mut(),
        dpc::Source::Executive,
    );
    assert!(inserted, "a new DPC was queued already");
}

/// The DPC routine.
unsafe extern "C" fn complete_routine(
    _dpc: *mut KDPC,
    _context: PVOID,
    irp: PVOID,
    _argument2: PVOID,
) {
    finish(&ledger::live(NAME, address::to_pointer(address::of(irp))));
}
