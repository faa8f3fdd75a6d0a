//! Processor features that the rig relies on, enabled on each processor alike.

use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags};

use super::pageable;

/// Enables write protection in ring 0, SSE and no-execute pages. W^X rests on
/// the first and the last.
pub(crate) fn enable_features() {
    let mut cr0 = Cr0::read();
    cr0.insert(Cr0Flags::WRITE_PROTECT | Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR);
    cr0.remove(Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::TASK_SWITCHED);
    // SAFETY: Paging stays as it is. Write protection only adds faults, and SSE
    // is enabled together with CR4 below before Rust code on this processor uses it
    // (processor 0 came from the firmware with SSE enabled; others enter with it off
    // and the trampoline has set the same bits).
    unsafe { Cr0::write(cr0) };
    let mut cr4 = Cr4::read();
    cr4.insert(Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE);
    cr4.remove(Cr4Flags::PAGE_GLOBAL | Cr4Flags::TIMESTAMP_DISABLE);
    // SAFETY: The two SSE bits exist on every x86-64 processor; without global
    // pages a CR3 load flushes everything, which `memory` relies on.
    unsafe { Cr4::write(cr4) };
    pageable::enable();
    let mut efer = Efer::read();
    efer.insert(EferFlags::NO_EXECUTE_ENABLE);
    // SAFETY: Every processor that QEMU emulates has no-execute pages; setting
    // the bit changes no mapping that exists before the rig's own page tables.
    unsafe { Efer::write(efer) };
}

/// Whether the firmware translates addresses in five levels; the rig's page
/// tables have four.
pub(crate) fn has_five_levels() -> bool {
    Cr4::read().contains(Cr4Flags::L5_PAGING)
}
