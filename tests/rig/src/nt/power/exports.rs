//! PoRequestPowerIrp, PoSetPowerState, PoCallDriver, PoStartNextPowerIrp.

use core::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::{
    NTSTATUS, PDEVICE_OBJECT, PIRP, POWER_STATE, POWER_STATE_TYPE, PREQUEST_POWER_COMPLETE, PVOID,
    UCHAR,
};

use crate::nt::device::Device;
use crate::nt::fault;
use crate::nt::irp::{Irp, call, ledger};
use crate::nt::node;
use crate::nt::options;
use crate::nt::power::ask::PowerCompletion;
use crate::nt::power::queue::{Item, push};
use crate::nt::power::{D0, D3, PowerAsk, Target, make, minor, rules};
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER_2, STATUS_NOT_SUPPORTED, STATUS_PENDING,
};
use crate::nt::violation::check;

/// Requests of drivers so far.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

/// PoRequestPowerIrp.
pub(crate) unsafe extern "C" fn po_request_power_irp(
    device: PDEVICE_OBJECT,
    code: UCHAR,
    state: POWER_STATE,
    completion: PREQUEST_POWER_COMPLETE,
    context: PVOID,
    irp: *mut PIRP,
) -> NTSTATUS {
    let routine = Routine::PoRequestPowerIrp;
    routine.enter();
    match code {
        minor::SET_POWER | minor::QUERY_POWER => {}
        minor::WAIT_WAKE => return STATUS_NOT_SUPPORTED,
        _ => return STATUS_INVALID_PARAMETER_2,
    }
    // SAFETY: Both arms of the union are one integer.
    let state = unsafe { state.DeviceState };
    check!(
        Pwr07,
        routine,
        irp.is_null() && (D0..=D3).contains(&state),
        "The request is for state {state}, or asks for the IRP, which may be gone before the call returns."
    );
    let device = Device::expect(routine, device);
    let Some(node) = node::of_stack(device) else {
        return STATUS_NOT_SUPPORTED;
    };
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
    if options::get().fail_power_request == number || fault::strikes_power_request(routine) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let completion = PowerCompletion::new(device, state, completion, context);
    let ask = PowerAsk::new(&node, code, Target::Device(state)).with_completion(completion);
    let _irp = request(ask);
    STATUS_PENDING
}

/// Makes a device power IRP and has it sent when its turn comes. Any IRQL up to
/// DISPATCH_LEVEL.
pub(super) fn request(ask: PowerAsk) -> Irp {
    let node = ask.node().clone();
    let is_set = ask.code() == minor::SET_POWER;
    let irp = make(ask);
    let now = if is_set {
        node.power().begin(irp.clone())
    } else {
        Some(irp.clone())
    };
    if let Some(irp) = now {
        push(Item::Send(node.pdo(), irp));
    }
    irp
}

/// PoSetPowerState.
pub(crate) unsafe extern "C" fn po_set_power_state(
    device: PDEVICE_OBJECT,
    kind: POWER_STATE_TYPE,
    state: POWER_STATE,
) -> POWER_STATE {
    let routine = Routine::PoSetPowerState;
    routine.enter();
    let device = Device::expect(routine, device);
    let target = Target::of(kind, state);
    let (Some(node), Target::Device(new)) = (node::of_stack(device), target) else {
        return state;
    };
    rules::assert_may_report(routine, &node, new);
    POWER_STATE {
        DeviceState: node.power().report(new),
    }
}

/// PoCallDriver: since Windows Vista the same as IofCallDriver.
pub(crate) unsafe extern "C" fn po_call_driver(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let routine = Routine::PoCallDriver;
    routine.enter();
    let device = Device::expect(routine, device);
    let irp = ledger::live(routine.name(), irp);
    call::forward(routine, device, &irp)
}

/// PoStartNextPowerIrp: since Windows Vista it does nothing.
pub(crate) unsafe extern "C" fn po_start_next_power_irp(irp: PIRP) {
    let routine = Routine::PoStartNextPowerIrp;
    routine.enter();
    let _irp = ledger::live(routine.name(), irp);
}
