//! Where a thread may run: KeSetSystemGroupAffinityThread,
//! KeRevertToUserGroupAffinityThread, KeGetProcessorNumberFromIndex. The rig has one
//! group.

use wdk_sys::{
    GROUP_AFFINITY, NTSTATUS, PGROUP_AFFINITY, PPROCESSOR_NUMBER, PROCESSOR_NUMBER, ULONG,
};

use crate::machine::cpu;
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use crate::nt::thread::{self, ANY_PROCESSOR};

/// What stands for the affinity that a thread has of itself: all zeroes.
const USER_AFFINITY: u64 = 0;

/// One bit for each processor.
fn active_processors() -> u64 {
    (1 << cpu::processor_count()) - 1
}

/// KeSetSystemGroupAffinityThread.
pub(crate) unsafe extern "C" fn ke_set_system_group_affinity_thread(
    affinity: PGROUP_AFFINITY,
    previous: PGROUP_AFFINITY,
) {
    Routine::KeSetSystemGroupAffinityThread.enter();
    // SAFETY: (Pointer) the driver's structure, which it does not change meanwhile.
    let wanted = unsafe { affinity.read() };
    let is_valid = wanted.Group == 0
        && wanted.Mask & !active_processors() == 0
        && wanted.Mask & active_processors() != 0;
    let before = if is_valid {
        thread::set_affinity(wanted.Mask)
    } else {
        ANY_PROCESSOR
    };
    if previous.is_null() {
        return;
    }
    let mask = if before == ANY_PROCESSOR {
        USER_AFFINITY
    } else {
        before
    };
    // SAFETY: (Pointer) not null, so it is a variable of the driver's.
    unsafe {
        previous.write(GROUP_AFFINITY {
            Mask: mask,
            ..Default::default()
        });
    };
}

/// KeRevertToUserGroupAffinityThread.
pub(crate) unsafe extern "C" fn ke_revert_to_user_group_affinity_thread(previous: PGROUP_AFFINITY) {
    Routine::KeRevertToUserGroupAffinityThread.enter();
    // SAFETY: (Pointer) the driver's structure, which it does not change meanwhile.
    let previous = unsafe { previous.read() };
    let mask = if previous.Mask == USER_AFFINITY {
        ANY_PROCESSOR
    } else {
        previous.Mask
    };
    thread::set_affinity(mask);
}

/// KeGetProcessorNumberFromIndex.
pub(crate) unsafe extern "C" fn ke_get_processor_number_from_index(
    index: ULONG,
    number: PPROCESSOR_NUMBER,
) -> NTSTATUS {
    Routine::KeGetProcessorNumberFromIndex.enter();
    let in_group = u8::try_from(index)
        .ok()
        .filter(|index| usize::from(*index) < cpu::processor_count());
    let Some(in_group) = in_group else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: (Pointer) a variable of the driver's for the result.
    unsafe {
        number.write(PROCESSOR_NUMBER {
            Group: 0,
            Number: in_group,
            Reserved: 0,
        });
    };
    STATUS_SUCCESS
}
