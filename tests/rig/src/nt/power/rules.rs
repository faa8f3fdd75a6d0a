//! What a driver owes the power manager, and where that can be seen.

use wdk_sys::{DEVICE_POWER_STATE, NTSTATUS};

use crate::machine::cpu;
use crate::nt::callout::Callback;
use crate::nt::fault;
use crate::nt::irp::Irp;
use crate::nt::irql::APC_LEVEL;
use crate::nt::node::Node;
use crate::nt::options;
use crate::nt::pnp;
use crate::nt::power::{D0, Target};
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_INSUFFICIENT_RESOURCES, is_success};
use crate::nt::violation::check;

/// The bus driver got a request to power down: the function driver must have said so
/// before it sent the request on.
pub(super) fn assert_reported_before_forwarding(node: &Node, irp: &Irp, state: DEVICE_POWER_STATE) {
    let reported = node.power().reported();
    check!(
        Pwr05,
        Callback::Dispatch,
        reported == state,
        "The IRP {irp} to {} reached the bus driver before PoSetPowerState said so; the state that was reported last is {}.",
        Target::Device(state),
        Target::Device(reported)
    );
}

/// PoSetPowerState is called with this state.
pub(super) fn assert_may_report(routine: Routine, node: &Node, state: DEVICE_POWER_STATE) {
    let irql = cpu::irql();
    check!(
        Irql01,
        routine,
        state == D0 || irql <= APC_LEVEL,
        "PoSetPowerState to {} was called at IRQL {irql}.",
        Target::Device(state)
    );
    let power = node.power();
    check!(
        Pwr06,
        routine,
        power.is_busy() || pnp::is_starting() || pnp::is_surprise_removing() || pnp::is_removing(),
        "The device's power state was changed to {} although no device power IRP asks for that.",
        Target::Device(state)
    );
    check!(
        Pwr05,
        routine,
        state != D0 || power.hardware() == D0,
        "PoSetPowerState reports D0 before the bus driver has brought the device there."
    );
}

/// A device set-power IRP came out at the top of its stack.
pub(super) fn assert_changed(irp: &Irp, node: &Node, state: DEVICE_POWER_STATE, status: NTSTATUS) {
    check!(
        Pwr03,
        Callback::Dispatch,
        is_success(status),
        "The IRP {irp} to {} ended with status {status:#010x}.",
        Target::Device(state)
    );
    let reported = node.power().reported();
    check!(
        Pwr05,
        Callback::Dispatch,
        reported == state || node.state().is_gone(),
        "The device went to {}, and the driver did not say so by PoSetPowerState: it last said {}.",
        Target::Device(state),
        Target::Device(reported)
    );
}

/// A system set-power IRP came out at the top of its stack. So many power IRPs had been asked
/// for, and refused, when it was sent.
pub(super) fn assert_system_set(
    irp: &Irp,
    node: &Node,
    target: Target,
    status: NTSTATUS,
    asked: u64,
    refused: u32,
) {
    let is_injected = status == STATUS_INSUFFICIENT_RESOURCES
        && (options::get().fail_power_request != 0 || fault::power_refusals() != refused);
    check!(
        Pwr03,
        Callback::Dispatch,
        is_success(status) || is_injected,
        "The IRP {irp} to {target} ended with status {status:#010x}."
    );
    let requests = node.power().requested() - asked;
    check!(
        Pwr06,
        Callback::Dispatch,
        requests == 1 || is_injected,
        "The system power IRP {irp} to {target} led to {requests} device set-power IRPs, not to one."
    );
}

/// A driver completes a power IRP.
pub(crate) fn assert_reached_bus(routine: Routine, irp: &Irp, status: NTSTATUS) {
    check!(
        Pwr01,
        routine,
        !is_success(status) || irp.progress(|progress| progress.was_at_the_bottom()),
        "The IRP {irp} was completed with success and never reached the bus driver."
    );
}

/// A driver waits for a power IRP that it forwards.
pub(crate) fn assert_not_power(routine: Routine, irp: &Irp) {
    check!(
        Pwr02,
        routine,
        irp.major() != super::MAJOR,
        "The power IRP {irp} is forwarded and waited for."
    );
}

/// A control request has failed with this status.
pub(crate) fn assert_held(node: &Node, irp: &Irp, status: NTSTATUS) {
    /// `STATUS_DEVICE_NOT_READY`, `STATUS_DEVICE_POWERED_OFF`,
    /// `STATUS_POWER_STATE_INVALID`.
    const ASLEEP: [u32; 3] = [0xC000_00A3, 0x8000_0289, 0xC000_02D3];
    let is_asleep = node.state() == pnp::State::Started && node.power().hardware() != D0;
    check!(
        Pwr08,
        Callback::Dispatch,
        !(is_asleep && ASLEEP.contains(&status.cast_unsigned())),
        "The IRP {irp} failed with {status:#010x} because its device sleeps; it is held until the device is back in D0."
    );
}
