//! Writing events: EtwWrite, EtwWriteEx, EtwWriteTransfer, EtwWriteString.
//!
//! An event is copied while the call lasts. What the driver's descriptors point to is read at
//! the caller's IRQL, so pageable data faults above APC_LEVEL as on Windows, and is named.

use alloc::vec::Vec;

use rig_protocol::{MAX_TRANSFER, TracedEvent, TracedItem};
use wdk_sys::{
    EVENT_DESCRIPTOR, GUID, LPCGUID, NTSTATUS, PCEVENT_DESCRIPTOR, PCWSTR, PEVENT_DATA_DESCRIPTOR,
    REGHANDLE, UCHAR, ULONG, ULONGLONG,
};

use crate::machine::cpu;
use crate::machine::time::system_time_100ns;
use crate::nt::etw::{bytes_of, provider, session};
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use crate::nt::violation::check;
use crate::nt::{address, unicode, user_memory};

/// Descriptors that an event may have (`MAX_EVENT_DATA_DESCRIPTORS`).
const MOST_ITEMS: usize = 128;
/// Bytes of an event's data that are kept.
const MOST_BYTES: usize = MAX_TRANSFER;

/// What the driver says of an event, as it passes it.
struct Parts {
    activity: LPCGUID,
    related: LPCGUID,
    count: ULONG,
    data: PEVENT_DATA_DESCRIPTOR,
}

/// EtwWrite.
pub(crate) unsafe extern "C" fn etw_write(
    handle: REGHANDLE,
    descriptor: PCEVENT_DESCRIPTOR,
    activity: LPCGUID,
    count: ULONG,
    data: PEVENT_DATA_DESCRIPTOR,
) -> NTSTATUS {
    let parts = Parts {
        activity,
        related: core::ptr::null(),
        count,
        data,
    };
    // SAFETY: The driver passes what the routine's page asks for.
    unsafe { write(Routine::EtwWrite, handle, descriptor, &parts) }
}

/// EtwWriteTransfer.
pub(crate) unsafe extern "C" fn etw_write_transfer(
    handle: REGHANDLE,
    descriptor: PCEVENT_DESCRIPTOR,
    activity: LPCGUID,
    related: LPCGUID,
    count: ULONG,
    data: PEVENT_DATA_DESCRIPTOR,
) -> NTSTATUS {
    let parts = Parts {
        activity,
        related,
        count,
        data,
    };
    // SAFETY: As above.
    unsafe { write(Routine::EtwWriteTransfer, handle, descriptor, &parts) }
}

/// EtwWriteEx. Of one session none can be filtered out by its number: it has none.
pub(crate) unsafe extern "C" fn etw_write_ex(
    handle: REGHANDLE,
    descriptor: PCEVENT_DESCRIPTOR,
    _filter: ULONGLONG,
    flags: ULONG,
    activity: LPCGUID,
    related: LPCGUID,
    count: ULONG,
    data: PEVENT_DATA_DESCRIPTOR,
) -> NTSTATUS {
    let parts = Parts {
        activity,
        related,
        count,
        data,
    };
    if flags != 0 {
        Routine::EtwWriteEx.enter();
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: As above.
    unsafe { write(Routine::EtwWriteEx, handle, descriptor, &parts) }
}

/// EtwWriteString.
pub(crate) unsafe extern "C" fn etw_write_string(
    handle: REGHANDLE,
    level: UCHAR,
    keyword: ULONGLONG,
    activity: LPCGUID,
    string: PCWSTR,
) -> NTSTATUS {
    let routine = Routine::EtwWriteString;
    routine.enter();
    let Some(provider) = provider::find(routine, handle) else {
        return STATUS_INVALID_HANDLE;
    };
    assert_in_system(routine, address::of(string));
    if !session::is_on() {
        return STATUS_SUCCESS;
    }
    let descriptor = EVENT_DESCRIPTOR {
        Level: level,
        Keyword: keyword,
        ..EVENT_DESCRIPTOR::default()
    };
    // SAFETY: The driver passes a string that a zero ends.
    let text = unsafe { unicode::zero_terminated(string) };
    let mut bytes: Vec<u8> = unicode::to_utf16(&text)
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect();
    bytes.truncate(MOST_BYTES);
    // SAFETY: The driver passes null or a GUID.
    let activity = unsafe { activity.as_ref() };
    let items = Vec::from([TracedItem { kind: 0, bytes }]);
    session::keep(event(&provider, &descriptor, activity, None, items));
    STATUS_SUCCESS
}

/// What all but EtwWriteString do.
///
/// # Safety
/// The pointers are as EtwWriteTransfer takes them from a driver.
unsafe fn write(
    routine: Routine,
    handle: REGHANDLE,
    descriptor: PCEVENT_DESCRIPTOR,
    parts: &Parts,
) -> NTSTATUS {
    routine.enter();
    let Some(provider) = provider::find(routine, handle) else {
        return STATUS_INVALID_HANDLE;
    };
    let count = usize::try_from(parts.count).unwrap_or(usize::MAX);
    // SAFETY: By the contract: null, or the driver's descriptor.
    let descriptor = unsafe { descriptor.as_ref() };
    let is_complete = count == 0 || !parts.data.is_null();
    let Some(descriptor) = descriptor.filter(|_| count <= MOST_ITEMS && is_complete) else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: By the contract, and checked: `count` descriptors.
    let items = unsafe { items(routine, parts.data, count) };
    if session::is_on() {
        // SAFETY: By the contract: null or a GUID.
        let activity = unsafe { parts.activity.as_ref() };
        // SAFETY: As above.
        let related = unsafe { parts.related.as_ref() };
        session::keep(event(&provider, descriptor, activity, related, items));
    }
    STATUS_SUCCESS
}

/// Copies what an event is made of, up to what is kept.
///
/// # Safety
/// There are `count` descriptors at `data`, each of memory that the driver may read.
unsafe fn items(routine: Routine, data: PEVENT_DATA_DESCRIPTOR, count: usize) -> Vec<TracedItem> {
    let mut room = MOST_BYTES;
    (0..count)
        .map(|index| {
            // SAFETY: By the contract: there are so many.
            let descriptor = unsafe { data.add(index) };
            // SAFETY: As above; the driver's array is aligned as its type is.
            let descriptor = unsafe { descriptor.read() };
            let size = usize::try_from(descriptor.Size).unwrap_or(usize::MAX);
            let start = usize::try_from(descriptor.Ptr).unwrap_or(usize::MAX);
            if size != 0 {
                assert_in_system(routine, start);
            }
            let length = size.min(room);
            room -= length;
            let mut bytes = alloc::vec![0; length];
            // SAFETY: By the contract; the vector has just so many bytes, and is new.
            unsafe {
                core::ptr::copy_nonoverlapping(
                    address::to_pointer::<u8>(start),
                    bytes.as_mut_ptr(),
                    length,
                );
            }
            let [kind, ..] = descriptor.Reserved.to_le_bytes();
            TracedItem { kind, bytes }
        })
        .collect()
}

fn assert_in_system(routine: Routine, start: usize) {
    check!(
        Etw02,
        routine,
        start != 0 && !user_memory::contains(start),
        "The event's data at {start:#x} is no system memory."
    );
}

/// The event as the session keeps it.
fn event(
    provider: &GUID,
    descriptor: &EVENT_DESCRIPTOR,
    activity: Option<&GUID>,
    related: Option<&GUID>,
    items: Vec<TracedItem>,
) -> TracedEvent {
    TracedEvent {
        provider: bytes_of(provider),
        id: descriptor.Id,
        version: descriptor.Version,
        channel: descriptor.Channel,
        level: descriptor.Level,
        opcode: descriptor.Opcode,
        task: descriptor.Task,
        keyword: descriptor.Keyword,
        time_100ns: system_time_100ns(),
        processor: u32::try_from(cpu::current_processor()).unwrap_or(u32::MAX),
        irql: cpu::irql(),
        activity: activity.map(bytes_of),
        related: related.map(bytes_of),
        items,
    }
}
