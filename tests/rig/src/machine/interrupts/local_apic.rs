//! The local APIC of each processor: priorities, interprocessor interrupts, clock.
//!
//! Own code instead of a crate's, because a crate's APIC is a value used through
//! `&mut`, while here an interrupt can end in the middle of anything else that the
//! same processor does with its APIC.

use core::hint;
use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use x86_64::instructions::interrupts;

use super::{CLOCK_VECTOR, DISPATCH_VECTOR, SPURIOUS_VECTOR};
use crate::machine::time::{TICKS_PER_SECOND, stall};
use crate::machine::word::{low_8, low_32};
use crate::machine::{cpu, memory, stop};

/// Registers (Intel SDM volume 3A, table 11-1), as offsets.
const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const COMMAND_LOW: usize = 0x300;
const COMMAND_HIGH: usize = 0x310;
const LVT_TIMER: usize = 0x320;
const LVT_THERMAL: usize = 0x330;
const LVT_PERFORMANCE: usize = 0x340;
const LVT_LINT0: usize = 0x350;
const LVT_LINT1: usize = 0x360;
const LVT_ERROR: usize = 0x370;
const TIMER_INITIAL: usize = 0x380;
const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;

/// Local vector table: the entry is masked.
const MASKED: u32 = 1 << 16;
/// Timer mode: periodic.
const PERIODIC: u32 = 1 << 17;
/// Spurious vector register: the APIC is on.
const APIC_ENABLED: u32 = 1 << 8;
/// Timer divisor 16.
const DIVIDE_BY_16: u32 = 0b0011;

/// Interrupt command: the delivery is still pending.
const DELIVERY_PENDING: u32 = 1 << 12;
/// Interrupt command: non-maskable interrupt.
const NMI: u32 = 0b100 << 8;
/// Interrupt command: INIT.
const INIT: u32 = 0b101 << 8;
/// Interrupt command: start-up.
const STARTUP: u32 = 0b110 << 8;
/// Interrupt command: level assert.
const ASSERT: u32 = 1 << 14;
/// Interrupt command shorthand: all but this processor.
const ALL_BUT_SELF: u32 = 0b11 << 18;

/// Time between two clock interrupts: 1 ms on processor 0, where timers are
/// looked at, and 10 ms on the others.
const CLOCK_PERIOD: [u64; 2] = [TICKS_PER_SECOND / 1000, TICKS_PER_SECOND / 100];

/// What the calibration of the timer waits: 10 ms.
const CALIBRATION_MICROSECONDS: u64 = 10_000;

/// Number of a local APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApicId(pub(crate) u8);

/// Where a message-signalled interrupt is written, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageAddress {
    /// Physical address.
    pub(crate) address: u64,
    /// Value.
    pub(crate) data: u32,
}

/// The registers, which every processor sees at the same address.
static REGISTERS: AtomicUsize = AtomicUsize::new(0);

/// Local APIC numbers by processor.
static IDS: [AtomicU8; cpu::MAX_PROCESSORS] = [const { AtomicU8::new(0) }; cpu::MAX_PROCESSORS];

/// Timer counts in a second, after division; measured once.
static TIMER_HZ: AtomicU64 = AtomicU64::new(0);

/// Maps the registers.
pub(super) fn initialize(physical: u64) {
    let Some(registers) = memory::map_device(physical, 4096) else {
        stop::refuse(format_args!(
            "The local APIC's registers at {physical:#x} could not be mapped."
        ));
    };
    REGISTERS.store(registers.expose_provenance(), Ordering::Release);
}

/// Address of a register.
fn register(offset: usize) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut(REGISTERS.load(Ordering::Relaxed) + offset)
}

/// Reads a register of this processor's APIC.
fn read(offset: usize) -> u32 {
    // SAFETY: `initialize` mapped the page before any processor gets here, it is
    // never unmapped, and `offset` is one of the aligned constants above.
    unsafe { register(offset).read_volatile() }
}

/// Writes a register of this processor's APIC.
fn write(offset: usize, value: u32) {
    // SAFETY: As for `read`. No APIC register makes the processor access memory.
    unsafe { register(offset).write_volatile(value) };
}

/// Turns this processor's APIC on, with its clock.
pub(super) fn load_this_processor() {
    let processor = cpu::current_processor();
    IDS[processor].store(low_8(read(ID) >> 24), Ordering::Release);
    for entry in [
        LVT_TIMER,
        LVT_THERMAL,
        LVT_PERFORMANCE,
        LVT_LINT0,
        LVT_LINT1,
        LVT_ERROR,
    ] {
        write(entry, MASKED);
    }
    write(TASK_PRIORITY, 0);
    write(SPURIOUS, APIC_ENABLED | u32::from(SPURIOUS_VECTOR));
    start_clock(CLOCK_PERIOD[processor.min(1)]);
}

/// Starts the periodic timer.
fn start_clock(period: u64) {
    write(TIMER_DIVIDE, DIVIDE_BY_16);
    if TIMER_HZ.load(Ordering::Acquire) == 0 {
        TIMER_HZ.store(measure_timer(), Ordering::Release);
    }
    let counts = TIMER_HZ.load(Ordering::Acquire) * period / TICKS_PER_SECOND;
    let Ok(counts) = u32::try_from(counts.max(1)) else {
        stop::refuse(format_args!(
            "The local APIC's timer is too fast: {counts} counts in a clock period."
        ));
    };
    write(LVT_TIMER, PERIODIC | u32::from(CLOCK_VECTOR));
    write(TIMER_INITIAL, counts);
}

/// Timer counts in a second.
fn measure_timer() -> u64 {
    write(LVT_TIMER, MASKED);
    write(TIMER_INITIAL, u32::MAX);
    stall(CALIBRATION_MICROSECONDS);
    let counts = u32::MAX - read(TIMER_CURRENT);
    write(TIMER_INITIAL, 0);
    if counts == 0 {
        stop::refuse(format_args!("The local APIC's timer does not count."));
    }
    u64::from(counts) * 1_000_000 / CALIBRATION_MICROSECONDS
}

/// This processor has handled the interrupt of the highest priority in service.
pub(super) fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Sends one interrupt command. With interrupts disabled, because it takes two writes.
fn command(destination: u32, command: u32) {
    interrupts::without_interrupts(|| {
        while read(COMMAND_LOW) & DELIVERY_PENDING != 0 {
            hint::spin_loop();
        }
        write(COMMAND_HIGH, destination << 24);
        write(COMMAND_LOW, command);
    });
}

/// Sends an interrupt to a processor, which may be this one. Any IRQL.
pub(crate) fn send_interrupt(processor: usize, vector: u8) {
    let id = IDS[processor].load(Ordering::Acquire);
    command(u32::from(id), ASSERT | u32::from(vector));
}

/// Software interrupt at `DISPATCH_LEVEL` on a processor, which may be this one:
/// it comes as soon as that processor's IRQL is below. Any IRQL.
pub(crate) fn request_dispatch_interrupt(processor: usize) {
    send_interrupt(processor, DISPATCH_VECTOR);
}

/// Stops the other processors for good, whatever they are doing; the end of the
/// run is being reported.
pub(crate) fn halt_others() {
    if REGISTERS.load(Ordering::Acquire) != 0 && cpu::processor_count() > 1 {
        command(0, ALL_BUT_SELF | ASSERT | NMI);
    }
}

/// INIT: the processor waits for a start-up interrupt.
pub(crate) fn send_init(id: ApicId) {
    command(u32::from(id.0), INIT | ASSERT);
}

/// Start-up: the processor begins at `page`, in real mode.
///
/// # Safety
/// The page holds code that takes a processor to where Rust code may run.
pub(crate) unsafe fn send_startup(id: ApicId, page: u64) {
    let number = low_32(page >> 12) & 0xff;
    command(u32::from(id.0), STARTUP | ASSERT | number);
}

/// What a device writes to interrupt a processor (Intel SDM volume 3A, 11.11):
/// fixed delivery, physical destination, edge.
pub(crate) fn message_for(vector: u8, processor: usize) -> MessageAddress {
    let id = IDS[processor].load(Ordering::Acquire);
    MessageAddress {
        address: 0xfee0_0000 | u64::from(id) << 12,
        data: u32::from(vector),
    }
}

/// Local APIC number of a processor.
pub(super) fn id_of(processor: usize) -> u8 {
    IDS[processor].load(Ordering::Acquire)
}
