//! Segments and task state of each processor.
//!
//! Segmentation only matters for the stacks that the task state names: a double
//! fault (which is what a stack overflow ends in), a non-maskable interrupt and a
//! machine check get stacks of their own, so they can be reported whatever the
//! interrupted stack is like.

use alloc::boxed::Box;

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use crate::machine::memory;

/// Interrupt stack table entry of the double fault.
pub(crate) const DOUBLE_FAULT_STACK: u16 = 0;
/// Interrupt stack table entry of the non-maskable interrupt.
pub(crate) const NMI_STACK: u16 = 1;
/// Interrupt stack table entry of the machine check.
pub(crate) const MACHINE_CHECK_STACK: u16 = 2;

/// Gives this processor its own descriptor table and task state, for good.
pub(super) fn load() {
    let mut task = TaskStateSegment::new();
    for index in [DOUBLE_FAULT_STACK, NMI_STACK, MACHINE_CHECK_STACK] {
        let top = memory::allocate_stack(memory::EXCEPTION_STACK);
        task.interrupt_stack_table[usize::from(index)] = VirtAddr::from_ptr(top);
    }
    // The processor reads both for as long as it runs.
    let task: &'static TaskStateSegment = Box::leak(Box::new(task));
    let table = Box::leak(Box::new(GlobalDescriptorTable::<8>::new()));
    let code = table.append(Descriptor::kernel_code_segment());
    let data = table.append(Descriptor::kernel_data_segment());
    let task = table.append(Descriptor::tss_segment(task));
    let table: &'static GlobalDescriptorTable<8> = table;
    table.load();
    load_selectors(code, data, task);
}

/// Makes the processor use the entries of the table that it was just given.
fn load_selectors(code: SegmentSelector, data: SegmentSelector, task: SegmentSelector) {
    // SAFETY: `code` names a 64-bit ring 0 code segment of the loaded table.
    unsafe { CS::set_reg(code) };
    // SAFETY: `data` names a writable ring 0 data segment of the loaded table.
    unsafe { SS::set_reg(data) };
    // SAFETY: As above.
    unsafe { DS::set_reg(data) };
    // SAFETY: As above. GS is left alone: loading it would clear its base.
    unsafe { ES::set_reg(data) };
    // SAFETY: `task` names a task state segment that lives for ever, and each
    // processor has its own, so it is not busy.
    unsafe { load_tss(task) };
}
