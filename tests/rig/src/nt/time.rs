//! Time and place: performance counter, interrupt time, delays, processors, IRQL.

use wdk_sys::{
    BOOLEAN, KIRQL, LARGE_INTEGER, LONGLONG, NTSTATUS, PLARGE_INTEGER, PROCESSOR_NUMBER, PULONG64,
    ULONG, ULONG64, USHORT,
};

use crate::machine::cpu;
use crate::machine::time::system_time_100ns;
use crate::nt::dispatcher::due_time;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::routine::Routine;
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::violation::check;
use crate::nt::{address, thread};

/// The performance counter counts 100 ns, as on current Windows.
const TICKS_PER_SECOND: LONGLONG = 10_000_000;

/// The group number that means every group.
const ALL_PROCESSOR_GROUPS: USHORT = 0xffff;

/// The performance counter's value.
fn ticks() -> LONGLONG {
    LONGLONG::try_from(system_time_100ns()).unwrap_or(LONGLONG::MAX)
}

/// KeQueryPerformanceCounter.
pub(crate) unsafe extern "C" fn ke_query_performance_counter(
    frequency: PLARGE_INTEGER,
) -> LARGE_INTEGER {
    Routine::KeQueryPerformanceCounter.enter();
    if !frequency.is_null() {
        // SAFETY: (Pointer) not null, so it is a variable of the driver's for
        // the frequency.
        unsafe { frequency.cast::<LONGLONG>().write(TICKS_PER_SECOND) };
    }
    LARGE_INTEGER { QuadPart: ticks() }
}

/// KeQueryInterruptTimePrecise.
pub(crate) unsafe extern "C" fn ke_query_interrupt_time_precise(counter: PULONG64) -> ULONG64 {
    Routine::KeQueryInterruptTimePrecise.enter();
    let now = system_time_100ns();
    // SAFETY: The driver passes a variable for the counter's value at that moment.
    unsafe { counter.write(now) };
    now
}

/// KeQuerySystemTimePrecise. The rig has no calendar: its system time is zero when it boots.
pub(crate) unsafe extern "C" fn ke_query_system_time_precise(time: PLARGE_INTEGER) {
    Routine::KeQuerySystemTimePrecise.enter();
    // SAFETY: The driver passes a variable of its own.
    unsafe { time.cast::<LONGLONG>().write(ticks()) };
}

/// KeDelayExecutionThread.
pub(crate) unsafe extern "C" fn ke_delay_execution_thread(
    _mode: i8,
    _alertable: BOOLEAN,
    interval: PLARGE_INTEGER,
) -> NTSTATUS {
    let routine = Routine::KeDelayExecutionThread;
    routine.enter();
    let irql = cpu::irql();
    check!(
        Irql05,
        routine,
        irql < DISPATCH_LEVEL,
        "KeDelayExecutionThread was called at IRQL {irql}."
    );
    // SAFETY: The driver passes its interval; every LARGE_INTEGER is an i64.
    let interval = unsafe { interval.cast::<LONGLONG>().read() };
    let own = address::of(core::ptr::from_ref(&interval));
    // Nobody knows this key: nothing ends a delay early.
    let _over = thread::block_at_work(routine.name(), own, Some(due_time(interval)), || false);
    STATUS_SUCCESS
}

/// KeQueryActiveProcessorCountEx. The rig has one group.
pub(crate) extern "C" fn ke_query_active_processor_count_ex(group: USHORT) -> ULONG {
    Routine::KeQueryActiveProcessorCountEx.enter();
    if group == 0 || group == ALL_PROCESSOR_GROUPS {
        ULONG::try_from(cpu::processor_count()).unwrap_or(ULONG::MAX)
    } else {
        0
    }
}

/// KeGetCurrentProcessorNumberEx. The rig has one group.
pub(crate) unsafe extern "C" fn ke_get_current_processor_number_ex(
    number: *mut PROCESSOR_NUMBER,
) -> ULONG {
    Routine::KeGetCurrentProcessorNumberEx.enter();
    let processor = cpu::current_processor();
    if !number.is_null() {
        // SAFETY: (Pointer) not null, so it is a variable of the driver's.
        unsafe {
            number.write(PROCESSOR_NUMBER {
                Group: 0,
                Number: u8::try_from(processor).unwrap_or(u8::MAX),
                Reserved: 0,
            });
        };
    }
    ULONG::try_from(processor).unwrap_or(ULONG::MAX)
}

/// KeGetCurrentIrql.
pub(crate) extern "C" fn ke_get_current_irql() -> KIRQL {
    Routine::KeGetCurrentIrql.enter();
    cpu::irql()
}

/// Longest stall that Windows's guidance lets a driver ask for, in microseconds.
const LONGEST_STALL: u32 = 100;

/// KeStallExecutionProcessor.
pub(crate) extern "C" fn ke_stall_execution_processor(microseconds: u32) {
    let routine = Routine::KeStallExecutionProcessor;
    routine.enter();
    check!(
        Dpc06,
        routine,
        microseconds <= LONGEST_STALL,
        "The processor is stalled for {microseconds} us; {LONGEST_STALL} is the most."
    );
    cpu::stall(u64::from(microseconds));
}
