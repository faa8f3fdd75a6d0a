//! Interrupts: connections, the chains that the vectors lead to, the ISR calls.
//!
//! # Model
//! A connection is what a `PKINTERRUPT` names. Each vector has a chain of them: one
//! for a message, one for each device that shares a line.
//!
//! # Soundness
//! 1. A driver's lock and ISR are used only by a connection in the ledger, or one
//!    whose last ISR call is being made; disconnecting waits for that to end.
//!
//! A `PKINTERRUPT` is an address where nothing is mapped ([`opaque`]), and only compared
//! with the ledger's; drivers cannot look inside.

pub(crate) mod activity;
pub(crate) mod connect;
pub(crate) mod disconnect;
pub(crate) mod exclusion;
pub(crate) mod foreign;
pub(crate) mod leftover;
pub(crate) mod legacy;
pub(crate) mod lock;
pub(crate) mod merge;
pub(crate) mod neighbour;
pub(crate) mod opaque;
mod passive;
pub(crate) mod refusal;
pub(crate) mod spurious;
pub(crate) mod synchronize;
pub(crate) mod target;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use rig_protocol::IrqKind;
use wdk_sys::{KSPIN_LOCK, PKINTERRUPT, PVOID, ULONG};

use crate::machine::cpu;
use crate::machine::interrupts::{mask_line, message_for, route_line, send_interrupt};
use crate::machine::sync::IrqLock;
use crate::machine::time::SpinLimit;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device_state::assert_not_enabled_yet;
use crate::nt::dispatcher::wait_until;
use crate::nt::irql::raised;
use crate::nt::node::NodeRef;
use crate::nt::processor::LockKind;
use crate::nt::register_access::sharing;
use crate::nt::routine::Routine;
use crate::nt::rule::Rule;
use crate::nt::spin_lock::LockWord;
use crate::nt::throughput::isr_to_dpc;
use crate::nt::violation::{check, violation};
use crate::nt::{address, counters, legacy as legacy_model};

/// An interrupt that nobody claims so often in a row is a storm.
const STORM: u32 = 10_000;

/// The ISR of a connection.
#[derive(Clone, Copy)]
enum Service {
    Line(unsafe extern "C" fn(PKINTERRUPT, PVOID) -> u8),
    Message(unsafe extern "C" fn(PKINTERRUPT, PVOID, ULONG) -> u8),
}

/// Why an ISR is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// An interrupt came in.
    Interrupt,
    /// The interrupt is being connected, and the device is silent.
    Connecting,
}

/// What a connection is made of.
#[derive(Clone)]
struct Plan {
    node: NodeRef,
    /// Which of the device's messages; zero for a line.
    message: ULONG,
    vector: u8,
    service: Service,
    context: PVOID,
    /// The driver's lock, or null for the connection's own.
    lock: *mut KSPIN_LOCK,
    synchronize_irql: u8,
    /// The result version: what a disconnect must name.
    version: ULONG,
}

/// A connected interrupt: a line, or one message.
struct Connection {
    /// The `PKINTERRUPT` that names it.
    name: usize,
    node: NodeRef,
    message: ULONG,
    vector: u8,
    service: Service,
    context: usize,
    driver_lock: usize,
    own_lock: AtomicUsize,
    /// What a passive-level interrupt has in place of a lock.
    event: passive::Event,
    synchronize_irql: u8,
    version: ULONG,
    /// Whether interrupts find the ISR; IoReportInterruptInactive takes it out of sight.
    is_active: AtomicBool,
    /// What its ISR does while it runs.
    isr: exclusion::IsrCall,
    /// ISR calls being made.
    in_service: AtomicU32,
    /// ISR calls that have ended; it wraps.
    served: AtomicU32,
    /// Address of the message table that the driver was given, or zero.
    message_table: AtomicUsize,
}

/// Connections by the address that is their `PKINTERRUPT`. They are kept for good,
/// so that a late use is told from nonsense.
static CONNECTIONS: IrqLock<BTreeMap<usize, Arc<Connection>>> = IrqLock::new(BTreeMap::new());
/// Connections by vector.
static CHAINS: IrqLock<BTreeMap<u8, Vec<Arc<Connection>>>> = IrqLock::new(BTreeMap::new());
/// How often in a row nobody claimed an interrupt, by vector.
static UNCLAIMED: [AtomicU32; 256] = [const { AtomicU32::new(0) }; 256];

impl Connection {
    /// The `PKINTERRUPT` that names it.
    fn pointer(&self) -> PKINTERRUPT {
        address::to_pointer(self.name)
    }

    /// Whether it is a passive-level interrupt.
    fn is_passive(&self) -> bool {
        self.node.interrupt().is_passive
    }

    /// The interrupt's spin lock.
    fn lock(&self) -> LockWord {
        let word = if self.driver_lock == 0 {
            self.own_lock.as_ptr()
        } else {
            address::to_pointer(self.driver_lock)
        };
        // SAFETY: (Pointer) the driver's lock is resident while connected (fact
        // 1); the connection's own lies in an `Arc` that whoever calls holds.
        unsafe { LockWord::of_driver(word.cast::<KSPIN_LOCK>()) }
    }

    /// Calls the ISR at the interrupt's IRQL with its lock held.
    fn serve(&self, occasion: Occasion) -> bool {
        let causes = self.node.causes();
        let claimed = self.serve_message(self.message, occasion, causes);
        if claimed && occasion == Occasion::Interrupt {
            leftover::look(self, causes);
        }
        claimed
    }

    /// As [`serve`](Self::serve), with the number of another message; `causes` are those that
    /// the device had.
    fn serve_message(&self, message: ULONG, occasion: Occasion, causes: Option<u32>) -> bool {
        if self.is_passive() {
            return self.serve_passively(occasion, causes);
        }
        raised(self.synchronize_irql, || {
            let lock = self.lock();
            check!(
                Syn02,
                Callback::Isr,
                !lock.is_mine(),
                "An interrupt came in while its spin lock was held by the same processor."
            );
            lock.acquire(LockKind::Interrupt, self.synchronize_irql);
            let claimed = self.judged(occasion, causes, || {
                call_out(Callback::Isr, || self.call(message))
            });
            self.release(lock);
            claimed
        })
    }

    /// Calls the ISR; its lock is held.
    fn call(&self, message: ULONG) -> bool {
        let context = address::to_pointer(self.context);
        counters::ISR_CALLS.add();
        let isr = || match self.service {
            // SAFETY: (Caller) the driver gave the routine to IoConnectInterruptEx
            // to be called so, with this context, at this IRQL, under this lock;
            // it is connected (fact 1).
            Service::Line(routine) => unsafe { routine(self.pointer(), context) },
            // SAFETY: As above.
            Service::Message(routine) => unsafe { routine(self.pointer(), context, message) },
        };
        let (claimed, writes) = self.isr.during(|| isr_to_dpc::around_isr(isr));
        check!(
            Int08,
            Callback::Isr,
            claimed != 0 || writes == 0,
            "The ISR has written {writes} of its device's registers and then did not claim the interrupt."
        );
        if claimed != 0 {
            counters::ISR_CLAIMED.add();
        }
        claimed != 0
    }

    /// Releases the interrupt's lock.
    fn release(&self, lock: LockWord) {
        check!(
            Spl02,
            Callback::Isr,
            lock.release().is_some(),
            "The spin lock of the interrupt at {:p} was released by somebody else.",
            self.pointer()
        );
    }
}

/// All connections that one connect call made: a device's messages, or its line.
fn family(connection: &Arc<Connection>) -> Vec<Arc<Connection>> {
    let table = connection.message_table.load(Ordering::Acquire);
    if table == 0 {
        return alloc::vec![connection.clone()];
    }
    CONNECTIONS.with(|connections| {
        let same = |other: &&Arc<Connection>| other.message_table.load(Ordering::Acquire) == table;
        connections.values().filter(same).cloned().collect()
    })
}

/// Has a device's message sent, as the device would, and waits until its ISR was called;
/// `false` when the device has no such message or it is not connected. PASSIVE_LEVEL.
pub(crate) fn send_message(node: &NodeRef, message: ULONG) -> bool {
    let interrupt = node.interrupt();
    let index = usize::try_from(message).unwrap_or(usize::MAX);
    let Some(vector) = interrupt.vectors().nth(index) else {
        return false;
    };
    let connection = CHAINS.with(|chains| chains.get(&vector)?.first().cloned());
    let Some(connection) = connection.filter(|_| interrupt.kind == IrqKind::Msi) else {
        return false;
    };
    send(&connection);
    true
}

/// Has an interrupt come in that the device has not caused, and waits until its ISR was
/// called. No interrupt of a line may be under way: the local APIC would take this one, which
/// is none, for it. PASSIVE_LEVEL.
pub(crate) fn send_foreign(node: &NodeRef) {
    let vector = node.interrupt().vector;
    let connection = CHAINS.with(|chains| chains.get(&vector)?.first().cloned());
    if let Some(connection) = connection {
        send(&connection);
    }
}

/// Sends a connection's interrupt and waits until its ISR was called.
fn send(connection: &Connection) {
    let before = connection.served.load(Ordering::Acquire);
    let processor = target::following(connection.node.interrupt().processor);
    send_interrupt(processor, connection.vector);
    let mut limit = SpinLimit::new("the ISR of an interrupt that was sent");
    while connection.served.load(Ordering::Acquire) == before {
        limit.spin();
    }
}

/// The connection that a `PKINTERRUPT` names, if it is one.
fn find(interrupt: PKINTERRUPT) -> Option<Arc<Connection>> {
    CONNECTIONS.with(|connections| connections.get(&address::of(interrupt)).cloned())
}

/// What interrupts do by the clock. At the clock's IRQL, on each processor.
pub(crate) fn clock() {
    neighbour::clock();
    spurious::clock();
    if cpu::current_processor() == 0 {
        merge::clock();
        leftover::clock();
    }
}

/// The device interrupt's handler. Runs at the vector's IRQL.
pub(crate) fn device(vector: u8) {
    target::pass_on(vector);
    let first = CHAINS.with(|chains| chains.get(&vector)?.first().cloned());
    let Some(first) = first else {
        // It was on its way when the last was disconnected.
        return;
    };
    match first.node.interrupt().line {
        Some(line) if first.is_passive() => passive::defer(vector, line),
        Some(_) => count_unclaimed(vector, serve_chain(vector)),
        None if merge::holds_back(vector) => {}
        None => {
            let _claimed: bool = serve_chain(vector);
        }
    }
}

/// Calls the ISRs of a vector, of a line until one claims the interrupt; whether the last
/// did.
fn serve_chain(vector: u8) -> bool {
    let mut claimed = false;
    let mut index = 0;
    while let Some(connection) = begin_service(vector, index) {
        claimed =
            connection.is_active.load(Ordering::Acquire) && connection.serve(Occasion::Interrupt);
        let is_line = connection.node.interrupt().kind == IrqKind::Intx;
        connection.served.fetch_add(1, Ordering::AcqRel);
        connection.in_service.fetch_sub(1, Ordering::AcqRel);
        if claimed && is_line {
            // A line that somebody else holds too comes in again at once.
            return true;
        }
        index += 1;
    }
    neighbour::serve(vector) || claimed
}

/// Counts the interrupts that nobody claims; too many in a row end the run.
fn count_unclaimed(vector: u8, claimed: bool) {
    let count = &UNCLAIMED[usize::from(vector)];
    counters::checked(Rule::Int09);
    if claimed {
        count.store(0, Ordering::Relaxed);
    } else if count.fetch_add(1, Ordering::Relaxed) > STORM {
        violation(
            Rule::Int09,
            Callback::Isr.as_ref(),
            format_args!(
                "The interrupt with vector {vector:#x} came in {STORM} times in a row and nobody claimed it."
            ),
        );
    }
}

/// The connection at this place in a vector's chain, kept from being disconnected.
fn begin_service(vector: u8, index: usize) -> Option<Arc<Connection>> {
    CHAINS.with(|chains| {
        let connection = chains.get(&vector)?.get(index)?.clone();
        connection.in_service.fetch_add(1, Ordering::AcqRel);
        Some(connection)
    })
}

/// Puts a connection into its vector's chain and lets the interrupt through.
fn attach(plan: Plan) -> Arc<Connection> {
    check!(
        Int01,
        Routine::IoConnectInterruptEx,
        plan.node.state().has_resources() || legacy_model::hardware::is_claimed(plan.node.index()),
        "The interrupt of device {} is connected while the device is {:?}.",
        plan.node.index(),
        plan.node.state()
    );
    assert_not_enabled_yet(Routine::IoConnectInterruptEx.name(), &plan.node);
    let connection = Arc::new(Connection {
        name: opaque::new_address(),
        node: plan.node,
        message: plan.message,
        vector: plan.vector,
        service: plan.service,
        context: address::of(plan.context),
        driver_lock: address::of(plan.lock),
        own_lock: AtomicUsize::new(0),
        event: passive::Event::new(),
        synchronize_irql: plan.synchronize_irql,
        version: plan.version,
        is_active: AtomicBool::new(true),
        isr: exclusion::IsrCall::new(),
        in_service: AtomicU32::new(0),
        served: AtomicU32::new(0),
        message_table: AtomicUsize::new(0),
    });
    CONNECTIONS.with(|connections| connections.insert(connection.name, connection.clone()));
    let interrupt = connection.node.interrupt();
    if interrupt.is_passive {
        passive::prepare(&interrupt);
    }
    let is_first = CHAINS.with(|chains| {
        let chain = chains.entry(connection.vector).or_default();
        chain.push(connection.clone());
        chain.len() == 1
    });
    match interrupt.line {
        Some(line) if is_first => route_line(line, interrupt.vector, interrupt.processor),
        Some(_) => {}
        // The device has one message in hardware, which is the first. The others come from
        // the host.
        None if connection.message > 0 => {}
        None => {
            let message = message_for(interrupt.vector, interrupt.processor);
            assert!(
                connection.node.function().enable_msi(&message),
                "a device that was assigned a message has no MSI capability"
            );
        }
    }
    connection
}

/// Takes a connection out of its chain and waits until its ISR is not running;
/// `false` when it was not connected.
fn detach(connection: &Arc<Connection>) -> bool {
    let interrupt = connection.node.interrupt();
    let (was_connected, is_last) = CHAINS.with(|chains| {
        let chain = chains.entry(connection.vector).or_default();
        let before = chain.len();
        chain.retain(|other| !Arc::ptr_eq(other, connection));
        (chain.len() != before, chain.is_empty())
    });
    if !was_connected {
        return false;
    }
    sharing::forget(&connection.node);
    match interrupt.line {
        Some(line) if is_last => mask_line(line),
        Some(_) => {}
        None if connection.message > 0 => {}
        None => connection.node.function().disable_msi(),
    }
    if connection.is_passive() {
        // Its ISR may block, and then this thread's processor has better things to do.
        let _ended: bool = wait_until("the end of a passive-level ISR", None, || {
            connection.in_service.load(Ordering::Acquire) == 0
        });
    }
    let mut limit = SpinLimit::new("the end of an ISR that is being disconnected");
    while connection.in_service.load(Ordering::Acquire) != 0 {
        limit.spin();
    }
    true
}

/// Whether a connection is in its chain.
fn is_connected(connection: &Arc<Connection>) -> bool {
    CHAINS.with(|chains| {
        chains
            .get(&connection.vector)
            .is_some_and(|chain| chain.iter().any(|other| Arc::ptr_eq(other, connection)))
    })
}

/// Whether a device has an interrupt connected.
pub(crate) fn is_any_left(node: &NodeRef) -> bool {
    CHAINS.with(|chains| {
        chains
            .values()
            .flatten()
            .any(|connection| Arc::ptr_eq(&connection.node, node))
    })
}

/// Checks that a device has no interrupt connected any more.
pub(crate) fn assert_none_left(event: &str, node: &NodeRef) {
    check!(
        Int07,
        event,
        !is_any_left(node),
        "The interrupt of device {} is still connected after {event}.",
        node.index()
    );
}
