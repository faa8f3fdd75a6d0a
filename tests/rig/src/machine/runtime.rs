//! What the compiler expects of every Windows program's run-time library, except
//! `_fltused`, which `wdk-sys` brings.

use core::arch::naked_asm;

/// Called in front of a stack frame of RAX bytes, a page or more: touches every
/// page of it in order, so that a stack that runs over meets its guard pages.
/// Preserves every register (Microsoft x64 calling convention, "stack allocation").
#[unsafe(export_name = "__chkstk")]
#[unsafe(naked)]
extern "C" fn check_stack() {
    naked_asm!(
        "push rcx",
        "push rax",
        "lea rcx, [rsp + 24]",
        "2:",
        "cmp rax, 4096",
        "jb 3f",
        "sub rcx, 4096",
        "test byte ptr [rcx], cl",
        "sub rax, 4096",
        "jmp 2b",
        "3:",
        "sub rcx, rax",
        "test byte ptr [rcx], cl",
        "pop rax",
        "pop rcx",
        "ret",
    )
}
