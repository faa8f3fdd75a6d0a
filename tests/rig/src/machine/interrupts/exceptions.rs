//! Exceptions: each ends the run with what happened, where, and to which address.

use core::fmt;

use x86_64::registers::control::Cr2;
use x86_64::structures::idt::PageFaultErrorCode;

use super::handlers;
use crate::machine::word::word;
use crate::machine::{cpu, image, memory, stop};

/// Every register, as `rig_exception_common` pushes them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct TrapFrame {
    rax: u64,
    rcx: u64,
    rdx: u64,
    rbx: u64,
    rbp: u64,
    rsi: u64,
    rdi: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// The stop codes, by vector.
const CODES: [&str; 32] = [
    "FAULT-DE",
    "FAULT-DB",
    "FAULT-NMI",
    "FAULT-BP",
    "FAULT-OF",
    "FAULT-BR",
    "FAULT-UD",
    "FAULT-NM",
    "FAULT-DF",
    "FAULT-09",
    "FAULT-TS",
    "FAULT-NP",
    "FAULT-SS",
    "FAULT-GP",
    "FAULT-PF",
    "FAULT-15",
    "FAULT-MF",
    "FAULT-AC",
    "FAULT-MC",
    "FAULT-XM",
    "FAULT-VE",
    "FAULT-CP",
    "FAULT-22",
    "FAULT-23",
    "FAULT-24",
    "FAULT-25",
    "FAULT-26",
    "FAULT-27",
    "FAULT-HV",
    "FAULT-VC",
    "FAULT-SX",
    "FAULT-31",
];

/// The same in words.
const NAMES: [&str; 32] = [
    "A division by zero or an overflow in one",
    "A debug exception",
    "A non-maskable interrupt",
    "A breakpoint instruction",
    "An overflow trap",
    "A bound check",
    "An instruction that does not exist",
    "A floating point instruction while they are disabled",
    "A fault while a fault was being delivered",
    "Exception 9",
    "A bad task state",
    "A segment that is not present",
    "A stack segment fault",
    "A general protection fault",
    "A page fault",
    "Exception 15",
    "A floating point error",
    "An unaligned access",
    "A machine check",
    "An SSE floating point error",
    "A virtualization exception",
    "A control protection fault",
    "Exception 22",
    "Exception 23",
    "Exception 24",
    "Exception 25",
    "Exception 26",
    "Exception 27",
    "A hypervisor injection",
    "A VMM communication exception",
    "A security exception",
    "Exception 31",
];

/// Vector of the non-maskable interrupt.
const NON_MASKABLE: u64 = 2;
/// Vector of the double fault.
const DOUBLE_FAULT: u64 = 8;
/// Vector of the page fault.
const PAGE_FAULT: u64 = 14;

/// Rust's side of every exception; the entry code calls it, and it ends the run.
pub(super) extern "C" fn exception(frame: &TrapFrame) -> ! {
    if frame.vector == NON_MASKABLE && stop::is_stopping() {
        stop::halt_as_asked();
    }
    let (rip, rsp) = caller_of_nothing(frame).unwrap_or((frame.rip, frame.rsp));
    let context = stop::Context {
        rip,
        rsp,
        rbp: frame.rbp,
        rbx: frame.rbx,
        rsi: frame.rsi,
        rdi: frame.rdi,
        r12: frame.r12,
        r13: frame.r13,
        r14: frame.r14,
        r15: frame.r15,
    };
    let vector = word(frame.vector) % CODES.len();
    let (code, detail, rule) = match handlers::explain_fault(&fault_of(frame)) {
        Some(broken) => (broken.id, broken.detail, broken.sentence),
        None => (CODES[vector], handlers::Detail::new(), ""),
    };
    let before_detail = if detail.is_empty() { "" } else { "\n" };
    let before_rule = if rule.is_empty() { "" } else { "\nThe rule: " };
    stop::stop(
        code,
        image::name_of(frame.rip),
        format_args!(
            "{}{before_detail}{detail}{before_rule}{rule}",
            Report(frame)
        ),
        &context,
    )
}

/// The exception as the executive is asked about it.
fn fault_of(frame: &TrapFrame) -> handlers::Fault {
    let code = PageFaultErrorCode::from_bits_truncate(frame.error_code);
    let address = Cr2::read_raw();
    // A page fault that finds no stack to be handled on becomes a double fault, without
    // an error code of its own.
    let is_access = frame.vector == PAGE_FAULT
        || frame.vector == DOUBLE_FAULT && memory::is_stack_guard(address);
    let access = is_access.then(|| handlers::Access {
        address,
        is_write: code.contains(PageFaultErrorCode::CAUSED_BY_WRITE),
        is_fetch: code.contains(PageFaultErrorCode::INSTRUCTION_FETCH),
        is_mapped: code.contains(PageFaultErrorCode::PROTECTION_VIOLATION),
    });
    handlers::Fault {
        instruction: frame.rip,
        access,
    }
}

/// Of a call to where no code is: the return address, and the stack without it.
/// There is no function there that the stack could be unwound from.
fn caller_of_nothing(frame: &TrapFrame) -> Option<(u64, u64)> {
    let code = PageFaultErrorCode::from_bits_truncate(frame.error_code);
    let is_call = frame.vector == PAGE_FAULT
        && code.contains(PageFaultErrorCode::INSTRUCTION_FETCH)
        && image::Location::of(frame.rip).is_none();
    let (start, end) = memory::stack_above(frame.rsp)?;
    let slot = word(frame.rsp);
    if !is_call || start != slot || end - slot < size_of::<u64>() {
        return None;
    }
    let slot = core::ptr::with_exposed_provenance::<u64>(slot);
    // SAFETY: `stack_above` found the eight bytes in a stack, which is mapped for
    // ever; this processor's code that wrote them is interrupted for good.
    let caller = unsafe { slot.read_unaligned() };
    image::Location::of(caller)?;
    Some((caller, frame.rsp + size_of::<u64>() as u64))
}

/// What the stop says in words.
struct Report<'a>(&'a TrapFrame);

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.0;
        let name = NAMES[word(frame.vector) % NAMES.len()];
        write!(
            formatter,
            "{name} in {} at {:#x}, IRQL {}, error code {:#x}.",
            image::Location(frame.rip),
            frame.rip,
            cpu::irql(),
            frame.error_code
        )?;
        write!(
            formatter,
            "\nrax={:x} rcx={:x} rdx={:x} r8={:x} r9={:x} r10={:x} r11={:x} rflags={:x}",
            frame.rax, frame.rcx, frame.rdx, frame.r8, frame.r9, frame.r10, frame.r11, frame.rflags
        )?;
        match frame.vector {
            PAGE_FAULT => report_page_fault(frame, formatter),
            DOUBLE_FAULT => report_double_fault(frame, formatter),
            _ => Ok(()),
        }
    }
}

/// The address that was touched, how, and what lies there.
fn report_page_fault(frame: &TrapFrame, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let address = Cr2::read_raw();
    let code = PageFaultErrorCode::from_bits_truncate(frame.error_code);
    let access = if code.contains(PageFaultErrorCode::INSTRUCTION_FETCH) {
        "executed"
    } else if code.contains(PageFaultErrorCode::CAUSED_BY_WRITE) {
        "written"
    } else {
        "read"
    };
    let why = if code.contains(PageFaultErrorCode::PROTECTION_VIOLATION) {
        "its page forbids that"
    } else {
        "no page is there"
    };
    write!(
        formatter,
        "\nAddress {address:#x} was {access}, but {why}: {}.",
        memory::Place(address)
    )?;
    match caller_of_nothing(frame) {
        Some((caller, _)) => write!(
            formatter,
            "\nIt was called just before {}.",
            image::Location(caller)
        ),
        None => Ok(()),
    }
}

/// Most double faults are stacks that ran over.
fn report_double_fault(frame: &TrapFrame, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let place = memory::Place(frame.rsp);
    write!(
        formatter,
        "\nThe stack pointer was {:#x}: {place}.",
        frame.rsp
    )
}
