//! EtwActivityIdControl: the activity that each thread is in.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU64, Ordering};

use wdk_sys::{
    EVENT_ACTIVITY_CTRL_CREATE_ID, EVENT_ACTIVITY_CTRL_CREATE_SET_ID, EVENT_ACTIVITY_CTRL_GET_ID,
    EVENT_ACTIVITY_CTRL_GET_SET_ID, EVENT_ACTIVITY_CTRL_SET_ID, GUID, LPGUID, NTSTATUS, ULONG,
};

use crate::machine::cpu;
use crate::machine::sync::IrqLock;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use crate::nt::thread;
use crate::nt::violation::check;

/// Activities by the key of their thread. A thread without one is in that of all zeros.
static ACTIVITIES: IrqLock<BTreeMap<usize, GUID>> = IrqLock::new(BTreeMap::new());
/// Identifiers that were made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A new identifier: unlike all others of this boot.
fn create() -> GUID {
    let number = MADE.fetch_add(1, Ordering::Relaxed) + 1;
    GUID {
        Data4: number.to_be_bytes(),
        ..GUID::default()
    }
}

/// EtwActivityIdControl.
pub(crate) unsafe extern "C" fn etw_activity_id_control(code: ULONG, activity: LPGUID) -> NTSTATUS {
    let routine = Routine::EtwActivityIdControl;
    routine.enter();
    let irql = cpu::irql();
    check!(
        Irql01,
        routine,
        irql < DISPATCH_LEVEL || code == EVENT_ACTIVITY_CTRL_CREATE_ID,
        "{routine:?} was called at IRQL {irql} with the control code {code}, which may be used below DISPATCH_LEVEL."
    );
    if activity.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: The driver passes a variable of its own, for input and output.
    let given = unsafe { activity.read() };
    let thread = thread::current().key();
    let current = ACTIVITIES
        .with(|activities| activities.get(&thread).copied())
        .unwrap_or_default();
    let (answer, new) = match code {
        EVENT_ACTIVITY_CTRL_GET_ID => (current, None),
        EVENT_ACTIVITY_CTRL_SET_ID => (given, Some(given)),
        EVENT_ACTIVITY_CTRL_CREATE_ID => (create(), None),
        EVENT_ACTIVITY_CTRL_GET_SET_ID => (current, Some(given)),
        EVENT_ACTIVITY_CTRL_CREATE_SET_ID => (current, Some(create())),
        _ => return STATUS_INVALID_PARAMETER,
    };
    if let Some(new) = new {
        ACTIVITIES.with(|activities| activities.insert(thread, new));
    }
    // SAFETY: As above.
    unsafe { activity.write(answer) };
    STATUS_SUCCESS
}
