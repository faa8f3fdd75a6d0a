//! The PnP manager: takes devices through their states with the IRPs that Windows
//! would send.
//!
//! # Model
//! ```text
//! Enumerated --AddDevice--> Added --START--> Started
//! Started --QUERY_STOP--> StopPending --STOP--> Stopped --START--> Started
//!                         StopPending --CANCEL_STOP--> Started
//! Started --QUERY_REMOVE--> RemovePending --REMOVE--> Removed
//!                           RemovePending --CANCEL_REMOVE--> Started
//! Started --START--> Started
//! any --SURPRISE_REMOVAL--> SurpriseRemoved --REMOVE (no file open)--> Removed
//! Added|Stopped --START fails--> Removed
//! ```
//! One action after the other: [`work`](crate::nt::work) runs no two at a time.

mod awkward;
mod below;
pub(crate) mod minor;
pub(crate) mod requests;
mod state;

pub(crate) use below::{assert_may_complete, assert_may_use_hardware, is_done as below_is_done};
pub(crate) use state::State;

use core::sync::atomic::{AtomicU8, Ordering};

use rig_protocol::{Action, Resources};
use wdk_sys::{IRP_MJ_PNP, NTSTATUS};

use crate::machine::log::log;
use crate::machine::{configuration_space, hot_plug};
use crate::nt::callout::{Callback, call_out};
use crate::nt::device;
use crate::nt::driver::Driver;
use crate::nt::io_manager::send_and_wait;
use crate::nt::irp::location::Location;
use crate::nt::irp::{Function, Originator, Outcome, Request};
use crate::nt::node::{Node, NodeRef};
use crate::nt::power::{self, D0, D3};
use crate::nt::register_access::absence;
use crate::nt::resources::{Form, ResourceList};
use crate::nt::status::{
    STATUS_DEVICE_BUSY, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS, is_success,
};
use crate::nt::violation::check;
use crate::nt::{
    dma, fault, filter, interface, interrupt, load, mmio, node, options, questions, rebalance,
    start_ledger,
};

/// No IRP is being handled.
const NONE: u8 = 0xff;

/// Minor code of the PnP IRP that is being handled.
static CURRENT: AtomicU8 = AtomicU8::new(NONE);

/// Whether IRP_MN_SURPRISE_REMOVAL is being handled.
pub(crate) fn is_surprise_removing() -> bool {
    CURRENT.load(Ordering::Acquire) == minor::SURPRISE_REMOVAL
}

/// Whether IRP_MN_REMOVE_DEVICE is being handled.
pub(crate) fn is_removing() -> bool {
    CURRENT.load(Ordering::Acquire) == minor::REMOVE_DEVICE
}

/// Whether IRP_MN_START_DEVICE is being handled.
pub(crate) fn is_starting() -> bool {
    CURRENT.load(Ordering::Acquire) == minor::START_DEVICE
}

/// Sends a PnP IRP to a device's stack and waits for its end.
pub(super) fn send(node: &Node, code: u8, prepare: impl FnOnce(Location<'_>)) -> Outcome {
    node.while_changing(|| {
        CURRENT.store(code, Ordering::Release);
        below::begin(node, code);
        let outcome = send_and_wait(
            node.pdo(),
            Request {
                major: major(),
                minor: code,
                status: STATUS_NOT_SUPPORTED,
                mode: 0,
                file: core::ptr::null_mut(),
                buffer: None,
                originator: Originator::Waiter,
            },
            prepare,
        );
        below::end();
        CURRENT.store(NONE, Ordering::Release);
        assert_configuration_untouched(node, code);
        outcome
    })
}

/// Checks that the driver has written nothing that is the bus driver's, up to the end of
/// this IRP.
fn assert_configuration_untouched(node: &Node, code: u8) {
    let change = configuration_space::changed(node.function());
    let (offset, wanted, found) = change.map_or((0, 0, 0), |change| {
        (change.offset, change.wanted, change.found)
    });
    check!(
        Mmio03,
        Callback::Dispatch,
        change.is_none(),
        "After {}, {found:#010x} stands at {offset:#x} in the configuration space of device {}, in place of {wanted:#010x}.",
        Function(major(), code),
        node.index()
    );
}

/// IRP_MJ_PNP as a stack location has it.
pub(crate) const fn major() -> u8 {
    IRP_MJ_PNP.to_le_bytes()[0]
}

/// As [`send`], for a minor that may not fail.
fn send_unfailable(node: &Node, code: u8) {
    let status = send(node, code, |_| {}).status;
    check!(
        Pnp05,
        Callback::Dispatch,
        is_success(status),
        "{} ended with status {status:#010x}.",
        Function(major(), code)
    );
}

/// Calls the driver's AddDevice routine for a device.
pub(crate) fn add(node: &Node, driver: Driver) -> Result<(), NTSTATUS> {
    let Some(add_device) = driver.add_device() else {
        return Err(STATUS_NOT_SUPPORTED);
    };
    // SAFETY: (Caller) the driver put the routine into its driver extension to be
    // called so, at PASSIVE_LEVEL. (Pointer) both objects are never freed.
    let status = call_out(Callback::AddDevice, || unsafe {
        add_device(driver.pointer(), node.pdo().pointer())
    });
    if !is_success(status) {
        check!(
            Pnp12,
            Callback::AddDevice,
            node.pdo().attached().is_null(),
            "AddDevice failed and left a device object attached to the PDO."
        );
        return Err(status);
    }
    device::assert_added(node.pdo());
    if options::get().has_filter {
        filter::attach(node.pdo());
    }
    node.set_state(State::Added);
    Ok(())
}

/// Starts a device, perhaps with other resources than before. One that fails to start is
/// removed; if it was started before, as one that is gone: when its last file is closed.
pub(crate) fn start(node: &NodeRef, resources: Option<Resources>) -> NTSTATUS {
    node.while_changing(|| start_with(node, resources))
}

fn start_with(node: &NodeRef, resources: Option<Resources>) -> NTSTATUS {
    let is_restart = matches!(node.state(), State::Started | State::Stopped);
    if resources == Some(Resources::Moved) {
        rebalance::relocate(node);
    }
    let function = node.function();
    if !absence::is_absent(node) {
        function.set_mute(false);
        function.set_memory_space(resources != Some(Resources::Unanswered));
        function.set_bus_master(options::get().bus_master);
    }
    let mut raw = ResourceList::of(node, Form::Raw, resources);
    let mut translated = ResourceList::of(node, Form::Translated, resources);
    node.set_state(State::Starting);
    // START_DEVICE implies D0.
    node.power().reset();
    start_ledger::begin(node);
    let outcome = fault::counted(|| {
        send(node, minor::START_DEVICE, |location| {
            location.set_raw_resources(raw.pointer());
            location.set_translated_resources(translated.pointer());
        })
    });
    let status = outcome.status;
    interrupt::refusal::assert_followed(node);
    if !is_success(status) {
        start_ledger::assert_unwound(node);
        if is_restart {
            surprise_remove(node);
        } else {
            remove_now(node);
        }
        return status;
    }
    node.set_state(State::Started);
    questions::ask(node);
    status
}

/// Does to a device what an action of the command channel says; `None` when the
/// device's state has no such action.
pub(crate) fn act(node: &NodeRef, action: Action) -> Option<NTSTATUS> {
    node.while_changing(|| act_on(node, action))
}

fn act_on(node: &NodeRef, action: Action) -> Option<NTSTATUS> {
    let state = node.state();
    // Resources are not moved about while the machine sleeps; devices may go.
    let is_asleep = power::manager::is_asleep();
    match (action, state) {
        (Action::Sleep, _) if !is_asleep => Some(sleep()),
        (Action::Wake, _) if is_asleep => Some(power::manager::wake()),
        (Action::DeviceSleep | Action::DeviceWake, State::Started | State::Stopped)
            if !is_asleep =>
        {
            Some(power::manager::set_device(
                node,
                if action == Action::DeviceSleep {
                    D3
                } else {
                    D0
                },
            ))
        }
        (
            Action::Stop
            | Action::QueryStop
            | Action::QueryStopAndCancel
            | Action::Start
            | Action::StartWith(_),
            _,
        ) if is_asleep => None,
        (Action::Stop, State::Started) => Some(stop(node)),
        (Action::Stop, State::StopPending) => Some(stop_now(node)),
        (Action::QueryStop, State::Started) => Some(query(
            node,
            minor::QUERY_STOP_DEVICE,
            minor::CANCEL_STOP_DEVICE,
            State::StopPending,
        )),
        (Action::CancelStop, State::StopPending) => Some(cancel(node, minor::CANCEL_STOP_DEVICE)),
        (Action::QueryRemove, State::Started) => Some(query(
            node,
            minor::QUERY_REMOVE_DEVICE,
            minor::CANCEL_REMOVE_DEVICE,
            State::RemovePending,
        )),
        (Action::CancelRemove, State::RemovePending) => {
            Some(cancel(node, minor::CANCEL_REMOVE_DEVICE))
        }
        (Action::Ask, _) if !node.pdo().attached().is_null() => {
            questions::ask(node);
            Some(STATUS_SUCCESS)
        }
        (Action::QueryStopAndCancel, State::Started) => Some(query_and_cancel(
            node,
            minor::QUERY_STOP_DEVICE,
            minor::CANCEL_STOP_DEVICE,
            State::StopPending,
        )),
        (Action::Start, State::Started | State::Stopped | State::Removed) => {
            start_again(node, None)
        }
        (Action::CancelNothing, _) => awkward::cancel_nothing(node),
        (Action::AddAndRemove | Action::AddAndLose, State::Removed) => {
            awkward::add_and_take_away(node, action)
        }
        (Action::StartWith(resources), State::Stopped | State::Removed) => {
            start_again(node, Some(resources))
        }
        (Action::QueryRemoveAndCancel, State::Started) => Some(query_and_cancel(
            node,
            minor::QUERY_REMOVE_DEVICE,
            minor::CANCEL_REMOVE_DEVICE,
            State::RemovePending,
        )),
        (Action::Remove, State::Started | State::Stopped) => Some(remove(node)),
        (Action::Eject, _) if !state.is_gone() => Some(eject(node)),
        (
            Action::SurpriseRemoval,
            State::Started | State::StopPending | State::Stopped | State::RemovePending,
        ) => {
            surprise_remove(node);
            Some(STATUS_SUCCESS)
        }
        _ => None,
    }
}

/// Starts a device that was stopped, or that was removed and is there still.
fn start_again(node: &NodeRef, resources: Option<Resources>) -> Option<NTSTATUS> {
    if node.state() == State::Removed {
        if !node.function().is_there() {
            return None;
        }
        let driver = load::driver()?;
        if let Err(status) = fault::counted(|| add(node, driver)) {
            return Some(status);
        }
    }
    Some(start(node, resources))
}

/// The machine goes to sleep. What may be asked of a driver at any time is asked while
/// it does.
fn sleep() -> NTSTATUS {
    let status = power::manager::sleep();
    for node in node::all() {
        if power::manager::is_asleep() && node.state() == State::Started {
            questions::ask(&node);
        }
    }
    status
}

/// QUERY_STOP_DEVICE, then STOP_DEVICE.
fn stop(node: &NodeRef) -> NTSTATUS {
    let status = send(node, minor::QUERY_STOP_DEVICE, |_| {}).status;
    if !is_success(status) {
        send_unfailable(node, minor::CANCEL_STOP_DEVICE);
        return status;
    }
    node.set_state(State::StopPending);
    stop_now(node)
}

/// STOP_DEVICE.
fn stop_now(node: &NodeRef) -> NTSTATUS {
    send_unfailable(node, minor::STOP_DEVICE);
    node.set_state(State::Stopped);
    assert_released(node, "STOP_DEVICE");
    silence(node);
    STATUS_SUCCESS
}

/// A query of a device that is started, after which it is `pending`; one that fails is
/// taken back.
fn query(node: &NodeRef, code: u8, back: u8, pending: State) -> NTSTATUS {
    let status = send(node, code, |_| {}).status;
    if is_success(status) {
        node.set_state(pending);
    } else {
        send_unfailable(node, back);
    }
    status
}

/// Takes a query back.
fn cancel(node: &NodeRef, code: u8) -> NTSTATUS {
    send_unfailable(node, code);
    node.set_state(State::Started);
    STATUS_SUCCESS
}

/// A query and the cancellation that takes it back.
fn query_and_cancel(node: &NodeRef, query: u8, cancel: u8, pending: State) -> NTSTATUS {
    let before = node.state();
    let status = send(node, query, |_| {}).status;
    if is_success(status) {
        node.set_state(pending);
    }
    send_unfailable(node, cancel);
    node.set_state(before);
    status
}

/// QUERY_REMOVE_DEVICE, then REMOVE_DEVICE; files that are open veto it.
fn remove(node: &NodeRef) -> NTSTATUS {
    let before = node.state();
    let status = send(node, minor::QUERY_REMOVE_DEVICE, |_| {}).status;
    if !is_success(status) {
        send_unfailable(node, minor::CANCEL_REMOVE_DEVICE);
        return status;
    }
    node.set_state(State::RemovePending);
    if node.open_files() != 0 {
        send_unfailable(node, minor::CANCEL_REMOVE_DEVICE);
        node.set_state(before);
        return STATUS_DEVICE_BUSY;
    }
    remove_now(node);
    STATUS_SUCCESS
}

/// SURPRISE_REMOVAL; REMOVE_DEVICE follows when no file is open any more.
fn surprise_remove(node: &NodeRef) {
    // The device is gone before anybody is told: nothing answers in its place.
    silence(node);
    node.set_state(State::SurpriseRemoved);
    send_unfailable(node, minor::SURPRISE_REMOVAL);
    assert_released(node, "SURPRISE_REMOVAL");
    if node.open_files() == 0 {
        remove_now(node);
    }
}

/// Lets go of a device that the host has asked for. It is gone then, and its driver has
/// not been told.
fn eject(node: &NodeRef) -> NTSTATUS {
    if let Some(registers) = node.registers() {
        // QEMU waits for the thread that computes factorials, with its lock held, and the
        // thread for the lock, if it has an interrupt to raise.
        registers.forbid_interrupts();
    }
    hot_plug::eject_requested();
    if node.function().is_there() {
        return STATUS_NOT_FOUND;
    }
    log!("Device {} is unplugged.", node.index());
    STATUS_SUCCESS
}

/// REMOVE_DEVICE after a surprise removal, once the last file is closed.
pub(crate) fn remove_after_last_close(node: &NodeRef) {
    if node.state() == State::SurpriseRemoved && node.open_files() == 0 {
        remove_now(node);
    }
}

/// Removes a device whatever its state: the rig is shutting down.
pub(crate) fn remove_for_shutdown(node: &NodeRef) {
    match node.state() {
        State::Removed | State::Enumerated => {}
        State::Started | State::Stopped => {
            let _status = remove(node);
        }
        _ => remove_now(node),
    }
}

/// REMOVE_DEVICE.
fn remove_now(node: &NodeRef) {
    if !node.state().is_gone() {
        node.set_state(State::RemovePending);
    }
    send_unfailable(node, minor::REMOVE_DEVICE);
    node.set_state(State::Removed);
    check!(
        Pnp12,
        Callback::Dispatch,
        node.pdo().attached().is_null(),
        "REMOVE_DEVICE left a device object attached to the PDO."
    );
    assert_released(node, "REMOVE_DEVICE");
    interface::assert_disabled(node);
    silence(node);
}

/// Checks that the driver gave back the device's hardware resources.
fn assert_released(node: &NodeRef, event: &str) {
    interrupt::assert_none_left(event, node);
    let (base, length) = node.memory();
    dma::assert_put(event, node);
    mmio::assert_none_left(event, base, length as u64);
}

/// Keeps a device off the bus, as the PCI driver does with one that is not started.
fn silence(node: &Node) {
    node.function().set_mute(true);
}
