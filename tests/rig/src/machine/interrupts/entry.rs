//! Where the processor enters on an interrupt or an exception.
//!
//! Interrupts save what the Microsoft x64 calling convention lets a function
//! destroy, and call [`super::handlers::interrupt`]; exceptions save every
//! register, which their handler may change before it goes on. The unwind data
//! (`.seh_*`) lets a stack that is shown from inside a handler go on into the
//! code that was interrupted.

use core::arch::global_asm;

use super::exceptions::exception;
use super::handlers::interrupt;

/// Distance between two entries, in bytes.
pub(super) const ENTRY_SIZE: usize = 16;

/// First vector that is an interrupt.
pub(super) const FIRST_INTERRUPT: usize = 32;

// One entry per vector, which pushes the vector. AT&T syntax, where a number is
// marked as one. Exceptions: a zero takes the error code's place where there is
// none (Intel SDM volume 3A, table 6-1).
global_asm!(
    ".text",
    ".balign 16",
    ".global rig_interrupt_entries",
    "rig_interrupt_entries:",
    ".set rig_vector, 32",
    ".rept 224",
    ".balign 16",
    "pushq $rig_vector",
    "jmp rig_interrupt_common",
    ".set rig_vector, rig_vector + 1",
    ".endr",
    ".balign 16",
    ".global rig_interrupt_spurious",
    "rig_interrupt_spurious:",
    "iretq",
    ".balign 16",
    ".global rig_exception_entries",
    "rig_exception_entries:",
    ".set rig_vector, 0",
    ".rept 32",
    ".balign 16",
    ".if ((0x60227d00 >> rig_vector) & 1) == 0",
    "pushq $0",
    ".endif",
    "pushq $rig_vector",
    "jmp rig_exception_common",
    ".set rig_vector, rig_vector + 1",
    ".endr",
    options(att_syntax),
);

// The processor aligns the stack to 16 before it pushes SS, RSP, RFLAGS, CS and
// RIP: with the vector the stack is aligned again, seven pushes and 136 bytes
// (32 for the callee's home space, 96 for XMM0-5, 8 for MXCSR) keep it so.
global_asm!(
    ".text",
    ".def rig_interrupt_common",
    ".scl 2",
    ".type 32",
    ".endef",
    ".balign 16",
    ".seh_proc rig_interrupt_common",
    "rig_interrupt_common:",
    ".seh_pushframe",
    ".seh_stackalloc 8",
    "push rax",
    ".seh_pushreg rax",
    "push rcx",
    ".seh_pushreg rcx",
    "push rdx",
    ".seh_pushreg rdx",
    "push r8",
    ".seh_pushreg r8",
    "push r9",
    ".seh_pushreg r9",
    "push r10",
    ".seh_pushreg r10",
    "push r11",
    ".seh_pushreg r11",
    "sub rsp, 136",
    ".seh_stackalloc 136",
    ".seh_endprologue",
    "cld",
    "movaps [rsp + 32], xmm0",
    "movaps [rsp + 48], xmm1",
    "movaps [rsp + 64], xmm2",
    "movaps [rsp + 80], xmm3",
    "movaps [rsp + 96], xmm4",
    "movaps [rsp + 112], xmm5",
    "stmxcsr [rsp + 128]",
    // The state in which compiled code expects MXCSR: all exceptions masked.
    "mov dword ptr [rsp + 132], 0x1f80",
    "ldmxcsr [rsp + 132]",
    "mov rcx, [rsp + 192]",
    "call {interrupt}",
    "ldmxcsr [rsp + 128]",
    "movaps xmm5, [rsp + 112]",
    "movaps xmm4, [rsp + 96]",
    "movaps xmm3, [rsp + 80]",
    "movaps xmm2, [rsp + 64]",
    "movaps xmm1, [rsp + 48]",
    "movaps xmm0, [rsp + 32]",
    "add rsp, 136",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "add rsp, 8",
    "iretq",
    ".seh_endproc",
    ".balign 16",
    "rig_exception_common:",
    "push r15",
    "push r14",
    "push r13",
    "push r12",
    "push r11",
    "push r10",
    "push r9",
    "push r8",
    "push rdi",
    "push rsi",
    "push rbp",
    "push rbx",
    "push rdx",
    "push rcx",
    "push rax",
    "cld",
    "mov rcx, rsp",
    // The frame is found again by a register that the handler preserves.
    "mov rbp, rsp",
    "and rsp, -16",
    "sub rsp, 144",
    "movaps [rsp + 32], xmm0",
    "movaps [rsp + 48], xmm1",
    "movaps [rsp + 64], xmm2",
    "movaps [rsp + 80], xmm3",
    "movaps [rsp + 96], xmm4",
    "movaps [rsp + 112], xmm5",
    "stmxcsr [rsp + 128]",
    "mov dword ptr [rsp + 132], 0x1f80",
    "ldmxcsr [rsp + 132]",
    "call {exception}",
    "ldmxcsr [rsp + 128]",
    "movaps xmm5, [rsp + 112]",
    "movaps xmm4, [rsp + 96]",
    "movaps xmm3, [rsp + 80]",
    "movaps xmm2, [rsp + 64]",
    "movaps xmm1, [rsp + 48]",
    "movaps xmm0, [rsp + 32]",
    "mov rsp, rbp",
    "pop rax",
    "pop rcx",
    "pop rdx",
    "pop rbx",
    "pop rbp",
    "pop rsi",
    "pop rdi",
    "pop r8",
    "pop r9",
    "pop r10",
    "pop r11",
    "pop r12",
    "pop r13",
    "pop r14",
    "pop r15",
    // The vector and the error code.
    "add rsp, 16",
    "iretq",
    interrupt = sym interrupt,
    exception = sym exception,
);

unsafe extern "C" {
    /// Entries of the vectors from [`FIRST_INTERRUPT`] up, [`ENTRY_SIZE`] apart.
    pub(super) safe static rig_interrupt_entries: u8;
    /// Entry of the spurious vector, which returns at once.
    pub(super) safe static rig_interrupt_spurious: u8;
    /// Entries of the 32 exceptions, [`ENTRY_SIZE`] apart.
    pub(super) safe static rig_exception_entries: u8;
}
