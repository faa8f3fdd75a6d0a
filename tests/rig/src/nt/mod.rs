//! The executive: what NT is to a driver, on the machine beneath.
//!
//! # Model
//! [`routine`] is the table of exports. Behind it, one module for each kind of
//! object: devices, IRPs, interrupts, DPCs, timers, locks, pool. The PnP manager
//! ([`pnp`]) and the I/O manager ([`io_manager`]) make the driver work; the command
//! channel's [`server`] tells them what to do; [`work`] spreads that over the
//! threads, which [`thread`] runs on the processors.
//!
//! Every export checks the rules that bind its caller, and a broken rule ends the
//! run ([`violation`]).

mod address;
mod affinity;
mod at_call;
mod budget;
mod bus;
mod c_runtime;
mod callout;
mod cancel;
mod cancel_storm;
mod cancel_watch;
mod chance;
mod cleanup;
mod counters;
mod csq;
mod debug;
mod delay;
mod device;
mod device_queue;
mod device_state;
mod direct_io;
mod dispatcher;
mod dma;
mod dpc;
mod driver;
mod etw;
mod event;
mod fault;
mod file;
mod filter;
mod format;
mod hang;
mod interface;
mod interrupt;
mod io_manager;
mod io_timer;
mod irp;
mod irql;
mod kernel_memory;
mod legacy;
mod list;
mod load;
mod lock_order;
mod mdl;
mod measure;
mod mishap;
mod mmio;
mod node;
mod object_type;
mod options;
mod output;
mod patience;
mod pnp;
mod poison;
mod pool;
mod power;
mod probe;
mod processor;
mod property;
mod questions;
mod rebalance;
mod register_access;
mod registry;
mod remove_lock;
mod resources;
mod routine;
mod rtl;
mod rule;
mod script;
mod self_test;
mod server;
mod shutdown;
mod spin_lock;
mod start_io;
mod start_ledger;
mod statistics;
mod status;
mod system_buffer;
mod thread;
mod throughput;
mod time;
mod timer;
mod trap;
mod unicode;
mod user_memory;
mod violation;
mod work;
mod work_item;

use rig_protocol::IrqKind;

use crate::machine::interrupts::{Handlers, allocate_vector};
use crate::machine::log::{self, log};
use crate::machine::pci::{self, PciFunction};
use crate::machine::stop::refuse;
use crate::machine::{configuration_space, cpu};
use crate::nt::driver::Driver;
use crate::nt::node::{InterruptResource, MAX_MESSAGES, NodeRef};
use crate::nt::status::is_success;

/// QEMU's `edu` device.
const VENDOR: u16 = 0x1234;
const DEVICE: u16 = 0x11e8;
/// The memory range with its registers.
const REGISTERS_BAR: u8 = 0;
/// Clock interrupts of processor 0 between two looks for IRPs that hang.
const HANG_CHECK_INTERVAL: u32 = 1024;

/// The handlers of the machine's interrupts.
pub(crate) const fn handlers() -> Handlers {
    Handlers {
        dispatch: dpc::dispatch,
        preempt: thread::preempt,
        device: interrupt::device,
        clock,
        command_port: server::input_arrived,
        account: statistics::write,
        explain_fault: trap::explain,
        is_register: mmio::is_register,
        access_register: register_access::access,
    }
}

/// The clock interrupt's handler.
fn clock() {
    static TICKS: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
    timer::clock();
    io_timer::clock();
    dpc::clock();
    thread::clock();
    interrupt::clock();
    if cpu::current_processor() == 0 {
        let tick = TICKS.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        if tick.is_multiple_of(HANG_CHECK_INTERVAL) {
            irp::ledger::look_for_hangs();
            cancel_watch::look_for_late();
        }
    }
}

/// Begins the executive on processor 0, whose idle thread this becomes.
pub(crate) fn start() -> ! {
    thread::spawn("system", thread::NORMAL_PRIORITY, None, bring_up);
    thread::become_idle()
}

/// Brings the executive up.
fn bring_up() {
    work_item::start();
    let test = options::read();
    dpc::threaded::start();
    if let Some(test) = test {
        // Alone, so that each thing that happens has the test on its stack. The
        // other processors take interrupts and no work.
        self_test::run(&test);
    }
    cpu::release_others();
    let mut functions = pci::find(VENDOR, DEVICE);
    let neighbour = interrupt::neighbour::take(&mut functions);
    if functions.is_empty() {
        refuse(format_args!(
            "No edu device was found on the PCI bus: QEMU was started without -device edu."
        ));
    }
    if legacy::is_model() {
        legacy::start(functions);
    } else {
        let driver = load::load();
        let bus_driver = bus::create_driver();
        for (index, function) in functions.into_iter().enumerate() {
            let node = enumerate(bus_driver, index, function);
            start_device(&node, driver);
        }
    }
    if let Some(neighbour) = neighbour {
        interrupt::neighbour::begin(neighbour);
    }
    log::record(format_args!(
        "@ready processors={} devices={} irq={} driver=started",
        cpu::processor_count(),
        node::count_assigned(),
        match options::get().irq {
            IrqKind::Msi => "msi",
            IrqKind::Intx => "intx",
        }
    ));
    work::start();
    script::start();
}

/// Every other processor; this becomes its idle thread.
pub(crate) fn processor_main(_index: usize) -> ! {
    thread::become_idle()
}

/// Makes the device node of a PCI function: a PDO and resources.
fn enumerate(bus_driver: Driver, index: usize, function: PciFunction) -> NodeRef {
    let Some(memory) = function.memory_bar(REGISTERS_BAR) else {
        refuse(format_args!(
            "The edu device {index} has no memory range assigned."
        ));
    };
    let interrupt = assign_interrupt(index, function);
    let pdo = bus::create_pdo(bus_driver);
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    configuration_space::watch(function);
    let node = node::add(number, function, pdo, memory, interrupt);
    log!(
        "Device {index} at {}: memory {:#x}, vector {:#x} (IRQL {}) on processor {}.",
        node.location(),
        memory.0,
        interrupt.vector,
        interrupt.irql(),
        interrupt.processor
    );
    node
}

/// Assigns a device its interrupt. It goes to another processor than the requests
/// that come first, where there is one.
fn assign_interrupt(index: usize, function: PciFunction) -> InterruptResource {
    let kind = options::get().irq;
    let processor = (index + 1) % cpu::processor_count();
    let line = match kind {
        IrqKind::Msi => None,
        IrqKind::Intx => function.line_gsi(),
    };
    if kind == IrqKind::Msi && !function.has_msi() {
        refuse(format_args!(
            "The edu device {index} has no MSI capability."
        ));
    }
    if kind == IrqKind::Intx && line.is_none() {
        refuse(format_args!(
            "The edu device {index} has no interrupt line that leads to the interrupt controller."
        ));
    }
    // Devices that share a line share its vector and its processor.
    let shared = node::all()
        .iter()
        .map(|node| node.interrupt())
        .find(|other| line.is_some() && other.line == line);
    if let Some(shared) = shared {
        return shared;
    }
    let Some(vector) = allocate_vector() else {
        refuse(format_args!(
            "The rig has no interrupt level left for the edu device {index}."
        ));
    };
    InterruptResource {
        kind,
        vector,
        more: more_messages(index, kind),
        is_passive: options::get().is_passive,
        line,
        processor,
    }
}

/// Vectors for the messages after a device's first, as many as the run asks for.
fn more_messages(index: usize, kind: IrqKind) -> [u8; MAX_MESSAGES - 1] {
    let mut vectors = [0; MAX_MESSAGES - 1];
    if kind == IrqKind::Msi {
        for vector in vectors.iter_mut().take(options::get().messages - 1) {
            *vector = allocate_vector().unwrap_or_else(|| {
                refuse(format_args!(
                    "The rig has no interrupt level left for the messages of the edu device {index}."
                ))
            });
        }
    }
    vectors
}

/// Adds and starts a device; refuses to run when the driver does not take it.
fn start_device(node: &NodeRef, driver: Driver) {
    if let Err(status) = pnp::add(node, driver) {
        refuse(format_args!(
            "AddDevice returned {status:#010x} for device {}.",
            node.index()
        ));
    }
    let status = pnp::start(node, None);
    if !is_success(status) {
        refuse(format_args!(
            "The driver failed to start device {} with {status:#010x}.",
            node.index()
        ));
    }
    log!("Device {} is started.", node.index());
}
