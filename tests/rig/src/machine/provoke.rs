//! Faults on purpose, so that a test can see that each is reported.
//!
//! Reached by the option `self-test=NAME`.

use alloc::boxed::Box;
use core::arch::asm;
use core::hint::black_box;

use crate::machine::cpu::{self, SpinLimit};
use crate::machine::memory;

/// The option's value, and what does it and does not come back.
const FAULTS: [(&str, fn()); 10] = [
    ("machine-null-read", read_null),
    ("machine-code-write", write_code),
    ("machine-constant-write", write_constant),
    ("machine-data-execute", execute_data),
    ("machine-unmapped-device", read_unmapped_device),
    ("machine-stack-overflow", overflow_stack),
    ("machine-invalid-instruction", run_invalid_instruction),
    ("machine-spin", spin),
    ("machine-panic", fail),
    ("machine-fault-at-dispatch", fault_at_dispatch),
];

/// Names of the faults that [`provoke`] knows.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().map(|(name, _)| *name)
}

/// Provokes the fault of that name; does nothing when there is none. Comes back
/// only when the machine did not notice.
pub(crate) fn provoke(name: &str) {
    if let Some((_, routine)) = FAULTS.iter().find(|(known, _)| *known == name) {
        routine();
    }
}

/// Reads from address 16.
fn read_null() {
    let address = core::ptr::without_provenance::<u64>(black_box(16));
    // SAFETY: Page 0 is not mapped: the access faults, and the run ends there.
    black_box(unsafe { address.read_volatile() });
}

/// Writes to the rig's own code.
fn write_code() {
    let address = black_box(write_code as *const u8).cast_mut();
    // SAFETY: Code is not writable: the access faults, and the run ends there.
    unsafe { address.write_volatile(0xcc) };
}

/// Lies among the rig's constants.
static CONSTANT: [u8; 16] = *b"never to change ";

/// Writes to a constant of the rig.
fn write_constant() {
    let address = black_box((&raw const CONSTANT).cast::<u8>()).cast_mut();
    // SAFETY: Constants are not writable: the access faults, and the run ends there.
    unsafe { address.write_volatile(0) };
}

/// Runs a return instruction that lies in the heap.
fn execute_data() {
    let code = Box::new([0xc3_u8; 16]);
    // SAFETY: The heap is not executable: the call faults before an instruction
    // runs, and the run ends there. (If it did run, it would only return.)
    let routine = unsafe { core::mem::transmute::<*const u8, extern "C" fn()>(code.as_ptr()) };
    black_box(routine)();
}

/// Reads a device register after its mapping is gone.
fn read_unmapped_device() {
    /// The event timer block of a PC: any device does.
    const PHYSICAL: u64 = 0xfed0_0000;
    if let Some(registers) = memory::map_device(PHYSICAL, memory::PAGE) {
        memory::unmap_device(registers, memory::PAGE);
        // SAFETY: The page was unmapped and its address is not used again: the
        // access faults, and the run ends there.
        black_box(unsafe { registers.read_volatile() });
    }
}

/// Calls itself until the stack is used up.
fn overflow_stack() {
    fn deeper(depth: usize) -> usize {
        let frame = black_box([depth; 64]);
        if frame[0] == usize::MAX {
            return frame[1];
        }
        deeper(frame[0] + 1) + frame[1]
    }
    black_box(deeper(0));
}

/// Runs an instruction that no processor has.
fn run_invalid_instruction() {
    // SAFETY: The instruction raises an exception, and the run ends there.
    unsafe { asm!("ud2") };
}

/// Waits for what never comes.
fn spin() {
    let mut limit = SpinLimit::new("something that never comes, on purpose");
    loop {
        limit.spin();
    }
}

/// Fails in the rig's own code.
fn fail() {
    panic!("on purpose");
}

/// Reads from address 16 at `DISPATCH_LEVEL`, on the last processor's turn.
fn fault_at_dispatch() {
    cpu::set_irql(2);
    read_null();
}
