//! The interrupt descriptor table, one for all processors.

use x86_64::VirtAddr;
use x86_64::structures::idt::InterruptDescriptorTable;

use super::SPURIOUS_VECTOR;
use super::entry::{
    ENTRY_SIZE, FIRST_INTERRUPT, rig_exception_entries, rig_interrupt_entries,
    rig_interrupt_spurious,
};
use crate::machine::cpu::{DOUBLE_FAULT_STACK, MACHINE_CHECK_STACK, NMI_STACK};

/// The table; the processors read it for as long as they run.
static TABLE: spin::Once<InterruptDescriptorTable> = spin::Once::new();

/// Makes this processor use the table. Its segments are loaded already, because
/// the first caller fills the table in with the code segment that it has.
pub(super) fn load() {
    TABLE.call_once(build).load();
}

/// Address of the entry of a vector.
fn entry(vector: usize) -> VirtAddr {
    let (entries, index) = if vector < FIRST_INTERRUPT {
        (&raw const rig_exception_entries, vector)
    } else {
        (&raw const rig_interrupt_entries, vector - FIRST_INTERRUPT)
    };
    VirtAddr::from_ptr(entries.wrapping_byte_add(index * ENTRY_SIZE))
}

/// Fills the table in.
fn build() -> InterruptDescriptorTable {
    let mut table = InterruptDescriptorTable::new();
    set_exceptions(&mut table);
    for (offset, gate) in table.slice_mut(32..).iter_mut().enumerate() {
        let address = if offset + FIRST_INTERRUPT == usize::from(SPURIOUS_VECTOR) {
            VirtAddr::from_ptr(&raw const rig_interrupt_spurious)
        } else {
            entry(offset + FIRST_INTERRUPT)
        };
        // SAFETY: The entry code for this vector saves and restores what it
        // changes and ends with `iretq`.
        unsafe { gate.set_handler_addr(address) };
    }
    table
}

/// The gates of the exceptions; some run on stacks of their own.
fn set_exceptions(table: &mut InterruptDescriptorTable) {
    /// One gate each: the field of the table, its vector.
    macro_rules! gates {
        ($($field:ident = $vector:literal),* $(,)?) => {
            $({
                // SAFETY: The entry code for this vector expects the error code
                // exactly where the processor pushes one, and does not return.
                unsafe { table.$field.set_handler_addr(entry($vector)) };
            })*
        };
    }
    gates! {
        divide_error = 0,
        debug = 1,
        breakpoint = 3,
        overflow = 4,
        bound_range_exceeded = 5,
        invalid_opcode = 6,
        device_not_available = 7,
        invalid_tss = 10,
        segment_not_present = 11,
        stack_segment_fault = 12,
        general_protection_fault = 13,
        page_fault = 14,
        x87_floating_point = 16,
        alignment_check = 17,
        simd_floating_point = 19,
        virtualization = 20,
        cp_protection_exception = 21,
        hv_injection_exception = 28,
        vmm_communication_exception = 29,
        security_exception = 30,
    }
    /// As above, on the stack that the task state names.
    macro_rules! gates_with_stack {
        ($($field:ident = $vector:literal on $stack:ident),* $(,)?) => {
            $({
                // SAFETY: As for the gates above.
                let options = unsafe { table.$field.set_handler_addr(entry($vector)) };
                // SAFETY: Every processor's task state has this stack, and this
                // exception alone uses it.
                unsafe { options.set_stack_index($stack) };
            })*
        };
    }
    gates_with_stack! {
        non_maskable_interrupt = 2 on NMI_STACK,
        double_fault = 8 on DOUBLE_FAULT_STACK,
        machine_check = 18 on MACHINE_CHECK_STACK,
    }
}
