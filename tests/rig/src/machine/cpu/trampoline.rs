//! The first instructions of a processor that INIT-SIPI starts: real mode to long
//! mode in one step.
//!
//! The code is copied to a page below 1 MiB, which is its code segment's base, so
//! it addresses its own data by offset. It goes on at `processor_entry`, which
//! lies in the rig's image and takes its stack from `NEXT_STACK`.

use core::arch::{global_asm, naked_asm};
use core::sync::atomic::AtomicUsize;

use super::startup::processor_started;

/// Top of the stack for the processor that is being started; one at a time.
pub(super) static NEXT_STACK: AtomicUsize = AtomicUsize::new(0);

/// Index of the processor that is being started.
pub(super) static NEXT_INDEX: AtomicUsize = AtomicUsize::new(0);

/// What the trampoline reads at the offset of `rig_trampoline_parameters`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Parameters {
    /// Page table root; below 4 GiB because real mode loads 32 bits.
    pub(super) page_table: u32,
    /// Physical address of the long mode code: offset, then selector.
    pub(super) far_jump: u32,
    /// Selector of the 64-bit code segment.
    pub(super) far_selector: u16,
    /// Limit of the descriptor table.
    pub(super) table_limit: u16,
    /// Physical address of the descriptor table.
    pub(super) table_address: u32,
    /// Where the rig's own code begins.
    pub(super) entry: u64,
}

// Intel SDM volume 3A, 10.8.5 (initializing IA-32e mode); CR0.PG and CR0.PE are
// set together, so protected mode without paging is never entered.
// AT&T syntax, where a number is marked as one. CR4: PAE, OSFXSR, OSXMMEXCPT. EFER: LME, NXE. CR0: PG, WP, NE, MP, PE.
global_asm!(
    ".section .rdata, \"dr\"",
    ".global rig_trampoline_begin",
    ".global rig_trampoline_long",
    ".global rig_trampoline_table",
    ".global rig_trampoline_parameters",
    ".global rig_trampoline_end",
    ".balign 16",
    "rig_trampoline_begin:",
    ".code16",
    "cli",
    "cld",
    "movw %cs, %ax",
    "movw %ax, %ds",
    "movw $(rig_trampoline_parameters - rig_trampoline_begin), %bx",
    "movl $0x620, %eax",
    "movl %eax, %cr4",
    "movl (%bx), %eax",
    "movl %eax, %cr3",
    "movl $0xc0000080, %ecx",
    "xorl %edx, %edx",
    "movl $0x900, %eax",
    "wrmsr",
    "lgdt 10(%bx)",
    "movl $0x80010023, %eax",
    "movl %eax, %cr0",
    // A far jump with a 32-bit offset, read from the parameters: 66 FF /5.
    ".byte 0x66, 0xff, 0x6f, 0x04",
    ".balign 16",
    "rig_trampoline_long:",
    ".code64",
    "xorl %eax, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    "movl %eax, %fs",
    "movl %eax, %gs",
    "movq rig_trampoline_parameters + 16(%rip), %rax",
    "jmp *%rax",
    ".balign 8",
    "rig_trampoline_table:",
    ".quad 0",
    ".quad 0x00af9b000000ffff",
    "rig_trampoline_parameters:",
    ".fill 24, 1, 0",
    "rig_trampoline_end:",
    ".text",
    options(att_syntax),
);

unsafe extern "C" {
    /// First byte of the code.
    pub(super) safe static rig_trampoline_begin: u8;
    /// First byte of the long mode code.
    pub(super) safe static rig_trampoline_long: u8;
    /// The descriptor table: null, 64-bit code.
    pub(super) safe static rig_trampoline_table: u8;
    /// [`Parameters`], to be filled in in the copy.
    pub(super) safe static rig_trampoline_parameters: u8;
    /// The byte after the last.
    pub(super) safe static rig_trampoline_end: u8;
}

/// Takes the stack and goes on in Rust, with zero as return address.
#[unsafe(naked)]
pub(super) extern "C" fn processor_entry() -> ! {
    naked_asm!(
        "mov rsp, [rip + {stack}]",
        "xor ebp, ebp",
        "sub rsp, 40",
        "mov qword ptr [rsp], 0",
        "jmp {started}",
        stack = sym NEXT_STACK,
        started = sym processor_started,
    )
}
