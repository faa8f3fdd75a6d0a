//! How a run ends: the stop record, a refusal, success.
//!
//! A stop says what was found, in one line for programs and in sentences for
//! people, then gives the registers and the stack, which the host unwinds and
//! names with the PDBs. The machine ends through QEMU's `isa-debug-exit` device.

use core::arch::naked_asm;
use core::fmt;
use core::hint;
use core::sync::atomic::{AtomicUsize, Ordering};

use x86_64::instructions::{hlt, interrupts, port::Port};

use crate::machine::interrupts::account;
use crate::machine::log::{self, log};
use crate::machine::{cpu, memory, time};

/// I/O port of `isa-debug-exit`; QEMU exits with `2 * value + 1`.
const EXIT_PORT: u16 = 0xf4;

/// Bytes of the stack that a stop shows.
const STACK_BYTES: usize = 8192;

/// Bytes in each `@stack` line.
const STACK_LINE: usize = 32;

/// What a run ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// QEMU exits with 33.
    Success = 0x10,
    /// QEMU exits with 35.
    Violation = 0x11,
    /// QEMU exits with 37.
    Refused = 0x12,
}

/// How long the others may take to halt: 1 s.
const HALT_LIMIT: u64 = time::TICKS_PER_SECOND;

/// Processors that have halted because one stops the run.
static HALTED: AtomicUsize = AtomicUsize::new(0);

/// Registers that an unwinder needs: the instruction, the stack and what the
/// Microsoft x64 calling convention preserves over a call.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Context {
    /// Instruction pointer.
    pub(crate) rip: u64,
    /// Stack pointer.
    pub(crate) rsp: u64,
    /// See [`Context`].
    pub(crate) rbp: u64,
    /// See [`Context`].
    pub(crate) rbx: u64,
    /// See [`Context`].
    pub(crate) rsi: u64,
    /// See [`Context`].
    pub(crate) rdi: u64,
    /// See [`Context`].
    pub(crate) r12: u64,
    /// See [`Context`].
    pub(crate) r13: u64,
    /// See [`Context`].
    pub(crate) r14: u64,
    /// See [`Context`].
    pub(crate) r15: u64,
}

/// The registers as they are here, in the function that calls this.
#[expect(
    clippy::inline_always,
    reason = "the registers must be those of the function that asks"
)]
#[inline(always)]
pub(crate) fn capture_context() -> Context {
    let mut context = Context::default();
    store_context(&mut context);
    context
}

/// Stores its caller's registers. A leaf that touches only RAX and `context`.
#[unsafe(naked)]
extern "C" fn store_context(context: &mut Context) {
    naked_asm!(
        "mov rax, [rsp]",
        "mov [rcx], rax",
        "lea rax, [rsp + 8]",
        "mov [rcx + 8], rax",
        "mov [rcx + 16], rbp",
        "mov [rcx + 24], rbx",
        "mov [rcx + 32], rsi",
        "mov [rcx + 40], rdi",
        "mov [rcx + 48], r12",
        "mov [rcx + 56], r13",
        "mov [rcx + 64], r14",
        "mov [rcx + 72], r15",
        "ret",
    )
}

/// Processor that stops the run; `usize::MAX` while it goes on.
static STOPPING: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Ends the run as failed. `code` is a rule's id, a bug check's or a fault's;
/// `routine` is where it was found. Any IRQL, any processor; the first one wins.
pub(crate) fn stop(code: &str, routine: &str, text: fmt::Arguments<'_>, context: &Context) -> ! {
    let irql = cpu::irql();
    begin_stop();
    log!(
        "@stop {code} routine={routine} processor={} irql={irql}",
        cpu::current_processor()
    );
    log!("{text}");
    write_registers(context);
    write_stack(context.rsp);
    account();
    exit(Exit::Violation)
}

/// Ends the run because it cannot begin: a bad image, a missing device, a bad option.
pub(crate) fn refuse(text: fmt::Arguments<'_>) -> ! {
    begin_stop();
    log!("{text}");
    exit(Exit::Refused)
}

/// Ends the run with success.
pub(crate) fn finish() -> ! {
    begin_stop();
    account();
    exit(Exit::Success)
}

/// Whether a processor is stopping the run.
pub(crate) fn is_stopping() -> bool {
    STOPPING.load(Ordering::Acquire) != usize::MAX
}

/// Keeps this processor still for good, because another one asked for it.
pub(crate) fn halt_as_asked() -> ! {
    HALTED.fetch_add(1, Ordering::AcqRel);
    halt()
}

/// Keeps this processor still for good.
fn halt() -> ! {
    interrupts::disable();
    loop {
        hlt();
    }
}

/// Makes this the processor that ends the run, and stops the others.
fn begin_stop() {
    interrupts::disable();
    let processor = cpu::current_processor();
    match STOPPING.compare_exchange(usize::MAX, processor, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            cpu::halt_others();
            wait_until_halted();
            log::break_lock();
        }
        Err(stopping) if stopping == processor => {
            // Something failed while the stop was being reported: what has been
            // written so far must do.
            log!("The run failed again while its end was being reported.");
            exit(Exit::Violation)
        }
        Err(_) => halt(),
    }
}

/// Waits until the others are still, so that nothing of theirs comes between the
/// lines of the report; not for long, because one that hangs may never be.
fn wait_until_halted() {
    let others = cpu::processor_count() - 1;
    let limit = time::system_time_100ns() + HALT_LIMIT;
    while HALTED.load(Ordering::Acquire) < others && time::system_time_100ns() < limit {
        hint::spin_loop();
    }
}

/// The `@regs` line.
fn write_registers(context: &Context) {
    let Context {
        rip,
        rsp,
        rbp,
        rbx,
        rsi,
        rdi,
        r12,
        r13,
        r14,
        r15,
    } = context;
    log!(
        "@regs rip={rip:x} rsp={rsp:x} rbp={rbp:x} rbx={rbx:x} rsi={rsi:x} rdi={rdi:x} \
         r12={r12:x} r13={r13:x} r14={r14:x} r15={r15:x}"
    );
}

/// The `@stack` lines: what lies above the stack pointer, up to the stack's end.
fn write_stack(rsp: u64) {
    let Some((start, end)) = memory::stack_above(rsp) else {
        log!("The stack pointer {rsp:#x} lies in none of the rig's stacks.");
        return;
    };
    let length = (end - start).min(STACK_BYTES);
    let stack = core::ptr::with_exposed_provenance::<u8>(start);
    // SAFETY: `stack_above` found the range in a stack, which is mapped for ever;
    // the other processors are halted, and this one only reads below.
    let bytes = unsafe { core::slice::from_raw_parts(stack, length) };
    for (index, line) in bytes.chunks(STACK_LINE).enumerate() {
        log!("@stack {:x} {}", start + index * STACK_LINE, Hex(line));
    }
}

/// Bytes in hexadecimal, first to last, nothing between them.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Writes the `@exit` record and ends QEMU.
fn exit(how: Exit) -> ! {
    log!(
        "@exit {}",
        match how {
            Exit::Success => "success",
            Exit::Violation => "violation",
            Exit::Refused => "refused",
        }
    );
    // SAFETY: The port belongs to `isa-debug-exit`; where that device is absent
    // nothing listens there, and the processor halts below.
    unsafe { Port::<u32>::new(EXIT_PORT).write(how as u32) };
    halt()
}
