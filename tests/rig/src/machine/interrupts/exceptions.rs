//! Exceptions: each ends the run with what happened, where, and to which address, but for
//! a page fault that is the access to a device's register, which the executive makes.

use core::fmt;

use x86_64::registers::control::Cr2;
use x86_64::structures::idt::PageFaultErrorCode;

use super::{handlers, register_access};
use crate::machine::word::word;
use crate::machine::{cpu, image, memory, stop};

/// Every register, as `rig_exception_common` pushes them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct TrapFrame {
    pub(super) rax: u64,
    pub(super) rcx: u64,
    pub(super) rdx: u64,
    pub(super) rbx: u64,
    pub(super) rbp: u64,
    pub(super) rsi: u64,
    pub(super) rdi: u64,
    pub(super) r8: u64,
    pub(super) r9: u64,
    pub(super) r10: u64,
    pub(super) r11: u64,
    pub(super) r12: u64,
    pub(super) r13: u64,
    pub(super) r14: u64,
    pub(super) r15: u64,
    pub(super) vector: u64,
    pub(super) error_code: u64,
    pub(super) rip: u64,
    pub(super) cs: u64,
    pub(super) rflags: u64,
    pub(super) rsp: u64,
    pub(super) ss: u64,
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

impl TrapFrame {
    /// Where the interrupted code was, for an unwinder.
    pub(super) const fn context(&self) -> stop::Context {
        stop::Context {
            rip: self.rip,
            rsp: self.rsp,
            rbp: self.rbp,
            rbx: self.rbx,
            rsi: self.rsi,
            rdi: self.rdi,
            r12: self.r12,
            r13: self.r13,
            r14: self.r14,
            r15: self.r15,
        }
    }
}

/// Rust's side of every exception; the entry code calls it. It ends the run, or the
/// interrupted code goes on with the registers that the frame has then.
pub(super) extern "C" fn exception(frame: &mut TrapFrame) {
    if frame.vector == NON_MASKABLE && stop::is_stopping() {
        stop::halt_as_asked();
    }
    if frame.vector == PAGE_FAULT && register_access::emulate(frame, Cr2::read_raw()) {
        return;
    }
    if is_late_permission(frame) {
        return;
    }
    end_run(frame)
}

/// Whether the code faulted with pageable memory at an IRQL where it may use it; it may then.
fn is_late_permission(frame: &mut TrapFrame) -> bool {
    let code = PageFaultErrorCode::from_bits_truncate(frame.error_code);
    frame.vector == PAGE_FAULT
        && code.contains(PageFaultErrorCode::PROTECTION_VIOLATION)
        && cpu::may_page()
        && memory::is_pageable(Cr2::read_raw())
        && cpu::permit_late_pageable_access(
            &mut frame.rflags,
            code.contains(PageFaultErrorCode::INSTRUCTION_FETCH),
        )
}

/// Ends the run with what an exception says.
fn end_run(frame: &TrapFrame) -> ! {
    let mut context = frame.context();
    if let Some((rip, rsp)) = caller_of_nothing(frame) {
        context.rip = rip;
        context.rsp = rsp;
    }
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
