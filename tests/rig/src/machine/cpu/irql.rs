//! IRQL is the task priority register, CR8, for real: the local APIC holds back
//! every interrupt whose vector's upper four bits are not above it. What may be paged
//! out goes and comes with it ([`super::pageable`]).

use core::arch::asm;

use super::{irql_time, pageable};
use crate::machine::word::{low_8, low_32};

/// From this IRQL on nothing that was paged out can be brought back.
const DISPATCH_LEVEL: u8 = 2;

/// The current IRQL.
pub(crate) fn irql() -> u8 {
    let value: u64;
    // SAFETY: Reading CR8 has no effect; the rig runs in ring 0. The memory
    // clobber (no `nomem`) keeps accesses from moving over a change of IRQL.
    unsafe { asm!("mov {}, cr8", out(reg) value, options(nostack, preserves_flags)) };
    low_8(low_32(value)) & 0xf
}

/// Whether what was paged out could be brought back at the current IRQL.
pub(crate) fn may_page() -> bool {
    irql() < DISPATCH_LEVEL
}

/// Sets the IRQL without any check. Lowering it lets pending interrupts in at once.
pub(crate) fn set_irql(new: u8) {
    irql_time::leave(irql());
    // An interrupt that comes in between gives the flags back as it found them, and
    // leaves CR4 as is right for the IRQL that it interrupted.
    if new < DISPATCH_LEVEL {
        pageable::permit_data();
        write_priority(new);
        pageable::permit_code();
    } else {
        write_priority(new);
        pageable::forbid();
    }
}

/// Writes CR8.
fn write_priority(new: u8) {
    let value = u64::from(new & 0xf);
    // SAFETY: Only the four bits that exist are set, so the write does not fault;
    // what may run at the new level is the executive's business, not memory safety's.
    // The memory clobber keeps accesses from moving over the change.
    unsafe { asm!("mov cr8, {}", in(reg) value, options(nostack, preserves_flags)) };
}
