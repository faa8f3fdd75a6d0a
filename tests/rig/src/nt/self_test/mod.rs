//! Proof that the checks work: a driver inside the rig that breaks one rule.
//!
//! `self-test=RULE-ID` has a small, complete driver ([`driver`]) taken through its
//! life, and has it do one thing wrong ([`faults`]); the run must end with that
//! rule's stop. A rule that can be broken in several ways has a test for each, whose name
//! begins with the rule's id. `self-test=none` has it do nothing wrong; that run must end
//! well, so that the checks are known not to cry wolf. `self-test=list` names them all.
//!
//! # Soundness
//! 1. The kernel calls a driver's routines with objects that are alive, and the
//!    exports are called with this driver's own: each is documented so.
//! 2. A device extension is this driver's alone, zeroed when its device object is
//!    made, and its routines touch it between AddDevice and REMOVE_DEVICE only.

mod connect_faults;
mod controller_faults;
mod deferred_faults;
mod dma_faults;
mod driver;
mod extension;
mod failure_faults;
mod faults;
mod held;
mod interrupt_faults;
mod irp_faults;
mod isr_faults;
mod luck_faults;
mod memory_faults;
mod output_faults;
mod packets;
mod pnp_faults;
mod power_driver;
mod power_faults;
mod queue;
mod queue_faults;
mod register_faults;
mod registry_faults;
mod security_faults;
mod trace_faults;
mod traced;
mod work_item_faults;

use alloc::string::String;

use rig_protocol::{Action, IrqKind, Open, Reply};

use crate::machine::log::{self, log};
use crate::machine::pci;
use crate::machine::provoke;
use crate::machine::stop::{finish, refuse};
use crate::nt::budget::Budget;
use crate::nt::driver::Driver;
use crate::nt::mishap::{self, Mishap};
use crate::nt::node::NodeRef;
use crate::nt::rule::Rule;
use crate::nt::self_test::faults::Fault;
use crate::nt::status::{STATUS_SUCCESS, is_success};
use crate::nt::{
    bus, cancel_watch, direct_io, dispatcher, hang, io_manager, load, options, pnp, probe,
    shutdown, work,
};

/// Major functions that the self-test driver does not have: IRP_MJ_QUERY_INFORMATION,
/// IRP_MJ_FLUSH_BUFFERS, IRP_MJ_SHUTDOWN.
const NO_MAJORS: [u8; 3] = [0x05, 0x09, 0x10];
/// The test in which nothing is done wrong.
const NO_FAULT: &str = "none";
/// The test that is none, but names them.
const LIST: &str = "list";

/// How long a request of a test may take that is expected to hang.
const PATIENCE_SECONDS: u64 = 2;

/// Faults of all groups.
fn all() -> impl Iterator<Item = &'static Fault> {
    [
        irp_faults::FAULTS,
        failure_faults::FAULTS,
        luck_faults::FAULTS,
        deferred_faults::FAULTS,
        connect_faults::FAULTS,
        isr_faults::FAULTS,
        interrupt_faults::FAULTS,
        memory_faults::FAULTS,
        output_faults::FAULTS,
        pnp_faults::FAULTS,
        queue_faults::FAULTS,
        work_item_faults::FAULTS,
        register_faults::FAULTS,
        registry_faults::FAULTS,
        security_faults::FAULTS,
        controller_faults::FAULTS,
        power_faults::FAULTS,
        dma_faults::FAULTS,
        trace_faults::FAULTS,
    ]
    .into_iter()
    .flatten()
}

/// Every test of a rule by its name: the rule's id, or that and a word where there are
/// several ways to break it.
fn named() -> impl Iterator<Item = (&'static str, &'static Fault)> {
    let others = [
        connect_faults::OTHERS,
        isr_faults::OTHERS,
        memory_faults::OTHERS,
        output_faults::OTHERS,
        register_faults::OTHERS,
        trace_faults::OTHERS,
    ]
    .into_iter()
    .flatten();
    all()
        .map(|fault| (fault.rule.id(), fault))
        .chain(others.map(|(name, fault)| (*name, fault)))
}

/// Runs the test of this name, on processor 0 instead of the driver under test.
pub(super) fn run(name: &str) -> ! {
    if name == LIST {
        list();
    }
    provoke::provoke(name);
    if provoke::names().any(|known| known == name) {
        refuse(format_args!(
            "The fault {name} was provoked and nobody noticed."
        ));
    }
    let fault = named()
        .find(|(known, _)| *known == name)
        .map(|(_, fault)| fault);
    if fault.is_none() && name != NO_FAULT {
        refuse(format_args!(
            "There is no self test '{name}'; self-test=list names those that there are."
        ));
    }
    if let Some(fault) = fault {
        prepare(name, fault);
    }
    live_a_life();
    if fault.is_some() {
        refuse(format_args!(
            "The rule {name} was broken and nobody noticed."
        ));
    }
    log!("A driver without fault came to its end, and nothing was found.");
    finish()
}

/// Names every test and ends the run.
fn list() -> ! {
    for (name, _) in named() {
        log::record(format_args!("@self-test {name}"));
    }
    for name in provoke::names() {
        log::record(format_args!("@self-test {name}"));
    }
    finish()
}

/// Arms a fault, and makes the circumstances under which it can show.
fn prepare(name: &str, fault: &'static Fault) {
    log!(
        "The self-test driver breaks {}: {}",
        fault.rule.id(),
        fault.rule.sentence()
    );
    faults::arm(fault);
    let mut options = options::get();
    match fault.rule {
        Rule::Can07 => cancel_watch::set_limit_100ns(10_000_000),
        Rule::Int02 if name == connect_faults::NO_RETRY => {
            options.connect = options::ConnectForms::FullySpecifiedOnly;
        }
        Rule::Int03 | Rule::Int11 => options.early_isr = true,
        Rule::Syn04 => options.messages = 2,
        Rule::Int14 => {
            options.early_isr = true;
            Budget::Isr.enforce(output_faults::LENIENCE);
        }
        Rule::Dpc06 => Budget::Dpc.enforce(output_faults::LENIENCE),
        Rule::Syn05 => Budget::CriticalSection.enforce(output_faults::LENIENCE),
        Rule::Int13 => {
            options.irq = IrqKind::Intx;
            options.is_passive = true;
        }
        Rule::Pnp03 => options.is_bus_late = true,
        Rule::Dpc02 => have_bad_luck(Mishap::LateDpc),
        Rule::Dpc04 => have_bad_luck(Mishap::DpcInsideInsert),
        Rule::Dpc05 => have_bad_luck(Mishap::DpcElsewhere),
        Rule::Tmr04 => have_bad_luck(Mishap::TimerBeforeCancel),
        // Only a line can be given in place of a message, be another device's, or storm.
        Rule::Int02 | Rule::Int08 | Rule::Int09 | Rule::Pnp15 => options.irq = IrqKind::Intx,
        _ => {}
    }
    options::set(options);
}

/// Has this happen each time that it could, and does not wait long for what it may break.
fn have_bad_luck(mishap: Mishap) {
    mishap::always(mishap);
    hang::set_limit_seconds(PATIENCE_SECONDS);
}

/// Takes the driver through its life: load, add, start, requests, sleep, stop, start,
/// queries, surprise removal, unload.
fn live_a_life() {
    let functions = pci::find(super::VENDOR, super::DEVICE);
    let Some(function) = functions.first() else {
        refuse(format_args!(
            "A self test needs an edu device: QEMU was started without -device edu."
        ));
    };
    let driver = Driver::create();
    load::add_driver_object(driver);
    load::call_entry(driver, "self-test.sys", driver::driver_entry);
    let node = super::enumerate(bus::create_driver(), 0, *function);
    super::start_device(&node, driver);
    use_device();
    act(&node, Action::Sleep);
    if faults::armed_rule() == Some(Rule::Pwr08) {
        use_device();
    }
    for action in [
        Action::QueryRemoveAndCancel,
        Action::Wake,
        Action::DeviceSleep,
        Action::DeviceWake,
        Action::QueryStopAndCancel,
        Action::CancelNothing,
    ] {
        act(&node, action);
    }
    // Who calls IoStartNextPacket for no packet has none of those done that come after it,
    // and is found when the device is deleted.
    if faults::armed_rule() != Some(Rule::Sio05) {
        use_while_stopped(&node);
    }
    act(&node, Action::QueryRemove);
    let opened = open();
    if let Reply::Opened { .. } = opened {
        refuse(format_args!(
            "The self-test device can be opened while it is to be removed."
        ));
    }
    act(&node, Action::CancelRemove);
    use_when_gone(&node);
    load::unload_driver(driver);
    shutdown::assert_nothing_left();
}

/// Opens the device, has requests done and cancelled, and closes it with one that waits.
fn use_device() {
    let handle = opened();
    for (number, code) in [
        (1, packets::START_PACKET),
        (2, packets::PEND_UNTIL_CANCELLED),
        (3, packets::QUEUE),
    ] {
        send(handle, number, code);
        io_manager::cancel_request(number);
        finish_requests();
    }
    write_nothing(handle, 5);
    let probed = probe::run(
        handle,
        &[
            packets::START_PACKET,
            packets::PEND_UNTIL_CANCELLED,
            packets::QUEUE,
        ],
        &NO_MAJORS,
    );
    if !matches!(probed, Reply::Completed { status: 0, .. }) {
        refuse(format_args!(
            "The self-test device cannot be probed: {probed:?}."
        ));
    }
    // This one waits until the file is closed.
    send(handle, 4, packets::QUEUE);
    close(handle);
}

/// Stops the device, sends requests, which are held, and starts it.
fn use_while_stopped(node: &NodeRef) {
    let handle = opened();
    act(node, Action::Stop);
    for number in [6, 7] {
        send(handle, number, packets::START_PACKET);
    }
    act(node, Action::Start);
    finish_requests();
    close(handle);
}

/// Takes the device away while a file is open, on which a request is sent then.
fn use_when_gone(node: &NodeRef) {
    let handle = opened();
    act(node, Action::SurpriseRemoval);
    send(handle, 8, packets::START_PACKET);
    finish_requests();
    close(handle);
}

/// Opens the device.
fn open() -> Reply {
    io_manager::open(&Open {
        device: 0,
        read: true,
        write: true,
        trailing_name: String::new(),
    })
}

/// Opens the device, which must work; the handle.
fn opened() -> u32 {
    match open() {
        Reply::Opened { handle } => handle,
        reply => refuse(format_args!(
            "The self-test device cannot be opened: {reply:?}."
        )),
    }
}

/// Closes a handle, and does what that leads to.
fn close(handle: u32) {
    io_manager::close(handle);
    finish_requests();
    while let Some(work) = work::take_pnp() {
        crate::nt::server::handle_pnp(&work);
    }
}

/// Sends one control request.
fn send(handle: u32, number: u32, code: u32) {
    let refused = io_manager::device_control(number, handle, code, &[1; 2], 8);
    if let Some(refused) = refused {
        refuse(format_args!(
            "A self-test request was refused: {refused:?}."
        ));
    }
}

/// Sends a write with an empty buffer and waits for its end.
fn write_nothing(handle: u32, number: u32) {
    if let Some(refused) = direct_io::write(number, handle, 0, &[]) {
        refuse(format_args!(
            "A self-test request was refused: {refused:?}."
        ));
    }
    finish_requests();
}

/// Waits for the end of all requests.
fn finish_requests() {
    while !io_manager::outstanding().is_empty() {
        match work::take_end() {
            Some(irp) => io_manager::finish(&irp),
            None => {
                dispatcher::wait_until("a self-test request", None, || {
                    work::has_ends() || io_manager::outstanding().is_empty()
                });
            }
        }
    }
}

/// Has the PnP manager do something, which must work.
fn act(node: &NodeRef, action: Action) {
    let status = pnp::act(node, action).unwrap_or(STATUS_SUCCESS - 1);
    if !is_success(status) {
        refuse(format_args!(
            "{action:?} of the self-test device ended with {status:#010x} in state {:?}.",
            node.state()
        ));
    }
}
