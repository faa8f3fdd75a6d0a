//! Memory that Windows may page out: at `DISPATCH_LEVEL` and above, where it could not be
//! brought back, an access to it faults.
//!
//! Processors at different IRQLs use the same page tables, so a page's entry cannot say
//! it. The processor can: pageable pages are marked as user mode's, and supervisor mode
//! access prevention (SMAP) keeps the kernel from a user mode's page unless the AC flag
//! is set. The flag is each processor's own, belongs to what runs there, is saved and
//! restored by interrupts, and costs one instruction to change; no translation has to be
//! dropped. For code, which SMAP does not look at, the same is done with supervisor mode
//! execution prevention (SMEP), a bit of CR4; that is slower, and is done when a driver
//! with pageable code has been loaded.
//!
//! See Intel SDM volume 3A, section 4.6 "Access rights".

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::registers::rflags::RFlags;

/// The leaf of CPUID with the extended features, in EBX.
const EXTENDED_FEATURES: u32 = 7;
const SMEP: u32 = 1 << 7;
const SMAP: u32 = 1 << 20;

/// The processors have SMAP and SMEP.
static IS_POSSIBLE: AtomicBool = AtomicBool::new(false);
/// There is pageable code.
static IS_CODE_WATCHED: AtomicBool = AtomicBool::new(false);

/// Turns the protection on, on the processor that calls, if it has it.
pub(super) fn enable() {
    let has_leaf = __cpuid(0).eax >= EXTENDED_FEATURES;
    let features = if has_leaf {
        __cpuid_count(EXTENDED_FEATURES, 0).ebx
    } else {
        0
    };
    if features & SMAP == 0 || features & SMEP == 0 {
        return;
    }
    let mut cr4 = Cr4::read();
    cr4.insert(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION);
    cr4.remove(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION);
    // SAFETY: The processor has both features. Nothing that is mapped yet is user
    // mode's, so no access that worked is forbidden.
    unsafe { Cr4::write(cr4) };
    IS_POSSIBLE.store(true, Ordering::Release);
}

/// Whether accesses at raised IRQL are noticed on this machine.
pub(crate) fn is_watched() -> bool {
    IS_POSSIBLE.load(Ordering::Acquire)
}

/// There is pageable code from now on.
pub(crate) fn watch_code() {
    IS_CODE_WATCHED.store(is_watched(), Ordering::Release);
}

/// Lets what runs here reach pageable data.
pub(super) fn permit_data() {
    if !IS_POSSIBLE.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: The processor has SMAP, so it has the instruction, which sets AC and
    // nothing else. AC has no other meaning in ring 0. The memory clobber keeps
    // accesses from moving over the change.
    unsafe { asm!("stac", options(nostack)) };
}

/// Lets the processor that calls run pageable code.
pub(super) fn permit_code() {
    if IS_CODE_WATCHED.load(Ordering::Relaxed) {
        set_execution_prevention(false);
    }
}

/// Keeps the processor that calls from pageable data and code.
pub(super) fn forbid() {
    if !IS_POSSIBLE.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: As in `permit_data`; it clears AC.
    unsafe { asm!("clac", options(nostack)) };
    if IS_CODE_WATCHED.load(Ordering::Relaxed) {
        set_execution_prevention(true);
    }
}

/// Permits what faulted below `DISPATCH_LEVEL`, to code that goes on with `flags`, if it was
/// forbidden; whether it was. Drivers that were built with old headers change the IRQL by
/// writing to CR8, and then neither flag goes with it.
pub(crate) fn permit_late_pageable_access(flags: &mut u64, is_fetch: bool) -> bool {
    if !is_watched() {
        return false;
    }
    let access_check = RFlags::ALIGNMENT_CHECK.bits();
    let was_forbidden = if is_fetch {
        Cr4::read().contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION)
    } else {
        *flags & access_check == 0
    };
    if is_fetch {
        set_execution_prevention(false);
    } else {
        *flags |= access_check;
    }
    was_forbidden
}

/// Sets or clears SMEP, if it is not so already.
fn set_execution_prevention(on: bool) {
    x86_64::instructions::interrupts::without_interrupts(|| {
        let mut cr4 = Cr4::read();
        if cr4.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION) != on {
            cr4.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, on);
            // SAFETY: The processor has SMEP; the rig's own code is no user mode's.
            unsafe { Cr4::write(cr4) };
        }
    });
}
