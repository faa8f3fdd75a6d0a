//! Starting the other processors, one at a time, by INIT and start-up interrupts.

use core::arch::naked_asm;
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use x86_64::instructions::interrupts as processor_interrupts;

use super::block::{MAX_PROCESSORS, count_processor, install_block, processor_count};
use super::idle::{wait_for_interrupt_unless, wake};
use super::trampoline::{self, NEXT_INDEX, NEXT_STACK, Parameters};
use super::{descriptors, features};
use crate::machine::interrupts::{self, ApicId};
use crate::machine::log::log;
use crate::machine::time::{TICKS_PER_SECOND, counter, stall, system_time_100ns};
use crate::machine::word::low_32;
use crate::machine::{memory, stop};

/// How long a processor may take to start.
const START_LIMIT: u64 = 10 * TICKS_PER_SECOND;

/// Processors that have set themselves up.
static STARTED: AtomicUsize = AtomicUsize::new(1);

/// Processor 0 has prepared the work for the others.
static RELEASED: AtomicBool = AtomicBool::new(false);

/// Processor 0's time-stamp counter before it starts another processor.
static COUNTER_BEFORE: AtomicU64 = AtomicU64::new(0);

/// The time-stamp counter of the processor that has started last.
static COUNTER_THERE: AtomicU64 = AtomicU64::new(0);

/// Descriptor tables, interrupts and clock of the processor that calls. Its
/// block and features are set already; its interrupts are disabled.
pub(crate) fn initialize_this_processor() {
    descriptors::load();
    interrupts::load_this_processor();
}

/// Goes on with `next(argument)` on the stack that ends at `top`, which is empty
/// but for a return address of zero: a stack that is shown ends there.
///
/// # Safety
/// `top` is aligned to 16 and ends a stack that nothing uses.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn continue_on(
    top: *mut u8,
    argument: usize,
    next: extern "C" fn(usize) -> !,
) -> ! {
    naked_asm!(
        "mov rsp, rcx",
        "mov rcx, rdx",
        "xor ebp, ebp",
        "sub rsp, 40",
        "mov qword ptr [rsp], 0",
        "jmp r8",
    )
}

/// Starts all processors of `apic_ids` but this one, which is the first.
pub(crate) fn start_others(apic_ids: &[ApicId]) {
    if apic_ids.len() > MAX_PROCESSORS {
        stop::refuse(format_args!(
            "The machine has {} processors and the rig runs at most {MAX_PROCESSORS}: start QEMU with -smp {MAX_PROCESSORS} or less.",
            apic_ids.len()
        ));
    }
    if apic_ids.len() < 2 {
        return;
    }
    let page = install_trampoline();
    for (index, apic_id) in apic_ids.iter().enumerate().skip(1) {
        start(index, *apic_id, page);
    }
    // SAFETY: Each of them has said from the rig's own code that it has started,
    // and this is the only place that starts any.
    unsafe { memory::remove_low_page(page) };
}

/// Lets the other processors go to work.
pub(crate) fn release_others() {
    RELEASED.store(true, Ordering::Release);
    for processor in 1..processor_count() {
        wake(processor);
    }
}

/// Where a processor that has started stays until [`release_others`].
pub(crate) fn wait_until_released() {
    while !RELEASED.load(Ordering::Acquire) {
        wait_for_interrupt_unless(|| RELEASED.load(Ordering::Acquire));
    }
}

/// Copies the trampoline to a page below 1 MiB; returns its address.
fn install_trampoline() -> u64 {
    let offset_of = |symbol: &u8| {
        (&raw const *symbol).addr() - (&raw const trampoline::rig_trampoline_begin).addr()
    };
    let length = offset_of(&trampoline::rig_trampoline_end);
    // SAFETY: The two symbols enclose the code, which is read-only data.
    let code =
        unsafe { core::slice::from_raw_parts(&raw const trampoline::rig_trampoline_begin, length) };
    let page_table = memory::page_table_root();
    memory::install_low_page(|page, address| {
        page[..length].copy_from_slice(code);
        let parameters = Parameters {
            page_table,
            far_jump: address + low_32(offset_of(&trampoline::rig_trampoline_long) as u64),
            far_selector: 8,
            table_limit: 15,
            table_address: address + low_32(offset_of(&trampoline::rig_trampoline_table) as u64),
            entry: trampoline::processor_entry as *const () as u64,
        };
        // SAFETY: `Parameters` is 24 bytes of plain integers without padding.
        let bytes = unsafe { mem::transmute::<Parameters, [u8; 24]>(parameters) };
        let at = offset_of(&trampoline::rig_trampoline_parameters);
        page[at..at + bytes.len()].copy_from_slice(&bytes);
    })
}

/// Starts one processor and waits until it runs.
fn start(index: usize, apic_id: ApicId, page: u64) {
    let stack = memory::allocate_stack(memory::PROCESSOR_STACK);
    NEXT_INDEX.store(index, Ordering::Relaxed);
    NEXT_STACK.store(stack.addr(), Ordering::Relaxed);
    COUNTER_BEFORE.store(counter(), Ordering::Release);
    // Intel SDM volume 3A, 9.4.4.1: INIT, 10 ms, start-up, 200 us, start-up.
    interrupts::send_init(apic_id);
    stall(10_000);
    // SAFETY: The page holds the trampoline, and its parameters are set.
    unsafe { interrupts::send_startup(apic_id, page) };
    stall(200);
    if STARTED.load(Ordering::Acquire) == index {
        // SAFETY: As above; a processor that has started already ignores it.
        unsafe { interrupts::send_startup(apic_id, page) };
    }
    let limit = system_time_100ns() + START_LIMIT;
    while STARTED.load(Ordering::Acquire) <= index {
        if system_time_100ns() > limit {
            stop::refuse(format_args!(
                "Processor {index} (local APIC {apic_id:?}) did not start within 10 seconds."
            ));
        }
        core::hint::spin_loop();
    }
    check_order(
        index,
        COUNTER_BEFORE.load(Ordering::Acquire),
        COUNTER_THERE.load(Ordering::Acquire),
    );
    check_order(index, COUNTER_THERE.load(Ordering::Acquire), counter());
}

/// What is read later must not be less: time must not run backwards for anyone.
fn check_order(index: usize, earlier: u64, later: u64) {
    if later < earlier {
        stop::refuse(format_args!(
            "The time-stamp counters of processors 0 and {index} differ by {} counts: time would run backwards.",
            earlier - later
        ));
    }
}

/// First Rust code of a processor that was started; `processor_entry` calls it.
pub(super) extern "C" fn processor_started() -> ! {
    let index = NEXT_INDEX.load(Ordering::Relaxed);
    install_block(index);
    features::enable_features();
    initialize_this_processor();
    COUNTER_THERE.store(counter(), Ordering::Release);
    count_processor();
    STARTED.fetch_add(1, Ordering::AcqRel);
    log!("Processor {index} runs.");
    processor_interrupts::enable();
    crate::processor_main(index)
}
