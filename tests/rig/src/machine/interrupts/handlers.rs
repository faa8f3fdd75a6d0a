//! From a vector to what handles it, at the vector's IRQL.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::interrupts;

use super::register_access::RegisterAccess;
use super::{
    CLOCK_VECTOR, COMMAND_PORT_VECTOR, DEVICE_VECTORS, DISPATCH_VECTOR, TRANSLATION_VECTOR,
    WAKE_VECTOR, local_apic,
};
use crate::machine::word::low_8;
use crate::machine::{command_port, cpu, memory, stop};

/// What the executive runs on an interrupt, at the interrupt's IRQL, with
/// interrupts of higher IRQL enabled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handlers {
    /// Software interrupt at `DISPATCH_LEVEL`: drain this processor's DPC queue.
    pub(crate) dispatch: fn(),
    /// After a dispatch interrupt, when the processor is about to go back below
    /// `DISPATCH_LEVEL`, with interrupts disabled: run another thread, if one is due.
    pub(crate) preempt: fn(),
    /// A device's interrupt.
    pub(crate) device: fn(vector: u8),
    /// The clock of this processor.
    pub(crate) clock: fn(),
    /// Bytes have come on the command channel.
    pub(crate) command_port: fn(),
    /// The run ends and only this processor still runs: say what it did.
    pub(crate) account: fn(),
    /// The rule that was broken by what faulted. Called when nothing else runs any more
    /// on this processor.
    pub(crate) explain_fault: fn(&Fault) -> Option<BrokenRule>,
    /// Whether an address that faulted is a device register's.
    pub(crate) is_register: fn(address: u64) -> bool,
    /// Makes an access to a device register, in place of the code that faulted there;
    /// what was read. Interrupts are disabled.
    pub(crate) access_register: fn(access: &RegisterAccess<'_>) -> u64,
}

/// An exception, for the executive to say which rule it broke.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The instruction.
    pub(crate) instruction: u64,
    /// What it touched, if the exception is a page fault.
    pub(crate) access: Option<Access>,
}

/// What an instruction did that a page table forbids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    /// Where.
    pub(crate) address: u64,
    /// It wrote there.
    pub(crate) is_write: bool,
    /// It is the instruction itself that lies there.
    pub(crate) is_fetch: bool,
    /// Something is mapped there, and its rights forbid the access.
    pub(crate) is_mapped: bool,
}

/// Bytes of what is said of a fault. Not in the heap, which may be what is broken.
pub(crate) type Detail = arrayvec::ArrayString<384>;

/// The rule that a fault broke.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrokenRule {
    /// Its id.
    pub(crate) id: &'static str,
    /// What it says.
    pub(crate) sentence: &'static str,
    /// What the executive knows of the place, as a sentence, or nothing.
    pub(crate) detail: Detail,
}

/// The handlers; set before interrupts are first enabled.
static HANDLERS: spin::Once<Handlers> = spin::Once::new();

/// Dispatch interrupts taken, by processor.
static DISPATCHES: [AtomicU64; cpu::MAX_PROCESSORS] =
    [const { AtomicU64::new(0) }; cpu::MAX_PROCESSORS];

/// Clock interrupts taken, by processor.
static CLOCKS: [AtomicU64; cpu::MAX_PROCESSORS] =
    [const { AtomicU64::new(0) }; cpu::MAX_PROCESSORS];

/// Dispatch interrupts that a processor has taken. Any IRQL.
pub(crate) fn dispatches(processor: usize) -> u64 {
    DISPATCHES[processor].load(Ordering::Acquire)
}

/// Clock interrupts that a processor has taken. Any IRQL.
pub(crate) fn clocks(processor: usize) -> u64 {
    CLOCKS[processor].load(Ordering::Acquire)
}

/// Sets what interrupts run. Once, before interrupts are enabled.
pub(crate) fn install_handlers(handlers: Handlers) {
    HANDLERS.call_once(|| handlers);
}

/// See [`Handlers::account`].
pub(crate) fn account() {
    if let Some(handlers) = HANDLERS.get() {
        (handlers.account)();
    }
}

/// See [`Handlers::explain_fault`].
pub(super) fn explain_fault(fault: &Fault) -> Option<BrokenRule> {
    HANDLERS
        .get()
        .and_then(|handlers| (handlers.explain_fault)(fault))
}

/// The handlers, once they are set.
pub(super) fn get() -> Option<&'static Handlers> {
    HANDLERS.get()
}

/// Rust's side of every interrupt; the entry code calls it with interrupts
/// disabled and returns to what was interrupted.
pub(super) extern "C" fn interrupt(vector: u32) {
    let vector = low_8(vector);
    let Some(handlers) = HANDLERS.get() else {
        stop::refuse(format_args!(
            "Interrupt vector {vector:#x} came before the rig was ready for interrupts."
        ));
    };
    let interrupted = cpu::irql();
    cpu::set_irql(vector >> 4);
    interrupts::enable();
    match vector {
        DISPATCH_VECTOR => {
            DISPATCHES[cpu::current_processor()].fetch_add(1, Ordering::AcqRel);
            (handlers.dispatch)();
        }
        CLOCK_VECTOR => {
            CLOCKS[cpu::current_processor()].fetch_add(1, Ordering::AcqRel);
            (handlers.clock)();
        }
        COMMAND_PORT_VECTOR => {
            command_port::service();
            (handlers.command_port)();
        }
        WAKE_VECTOR => {}
        TRANSLATION_VECTOR => memory::acknowledge_translation_change(),
        vector if DEVICE_VECTORS.contains(&vector) => (handlers.device)(vector),
        vector => stop::stop(
            "FAULT-VECTOR",
            "interrupt",
            format_args!("An interrupt came on vector {vector:#x}, which nothing uses."),
            &stop::capture_context(),
        ),
    }
    interrupts::disable();
    local_apic::end_of_interrupt();
    cpu::set_irql(interrupted);
    if vector == DISPATCH_VECTOR {
        (handlers.preempt)();
    }
}
