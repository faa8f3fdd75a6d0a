//! Processors, and a thread that goes from one to another.

use super::{current, level};
use crate::interleavings::mistake::{self, Mistake};
use crate::sys::{GROUP_AFFINITY, NTSTATUS, PROCESSOR_NUMBER, PVOID};

const STATUS_INVALID_PARAMETER: NTSTATUS = 0xC000_000D_u32.cast_signed();

pub(crate) unsafe fn KeGetCurrentProcessorNumberEx(_: PVOID) -> u32 {
    u32::try_from(level::processor()).unwrap_or(u32::MAX)
}

pub(crate) unsafe fn KeQueryActiveProcessorCountEx(_: u16) -> u32 {
    u32::try_from(current().processors.len()).unwrap_or(u32::MAX)
}

pub(crate) unsafe fn KeGetProcessorNumberFromIndex(
    index: u32,
    number: *mut PROCESSOR_NUMBER,
) -> NTSTATUS {
    let Some(index) = u8::try_from(index)
        .ok()
        .filter(|index| usize::from(*index) < current().processors.len())
    else {
        return STATUS_INVALID_PARAMETER;
    };
    let found = PROCESSOR_NUMBER {
        Group: 0,
        Number: index,
    };
    // SAFETY: the caller's variable, fact 10.
    unsafe { number.write(found) };
    0
}

/// Below DISPATCH_LEVEL the change takes effect at once: the thread runs there when nobody is
/// at DISPATCH_LEVEL or above, and no threaded DPC runs.
pub(crate) unsafe fn KeSetSystemGroupAffinityThread(
    there: *mut GROUP_AFFINITY,
    before: *mut GROUP_AFFINITY,
) {
    assert!(level::get() < level::DISPATCH_LEVEL);
    let was_on = GROUP_AFFINITY {
        Mask: 1 << level::processor(),
        ..GROUP_AFFINITY::default()
    };
    // SAFETY: the caller's variable, fact 10.
    unsafe { before.write(was_on) };
    // SAFETY: the caller's variable, fact 10.
    let number = go(unsafe { there.read() });
    if !mistake::is_made(Mistake::NoVisit) {
        let processor = &current().processors[number];
        current().dpcs().pass_by(number);
        processor.acquire();
        processor.release();
    }
}

pub(crate) unsafe fn KeRevertToUserGroupAffinityThread(before: *mut GROUP_AFFINITY) {
    // SAFETY: the caller's variable, fact 10.
    let _back = go(unsafe { before.read() });
}

fn go(there: GROUP_AFFINITY) -> usize {
    let processor = usize::try_from(there.Mask.trailing_zeros()).unwrap_or(usize::MAX);
    level::be_on(processor);
    processor
}
