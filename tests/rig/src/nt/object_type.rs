//! The header that every object which can be waited for begins with.
//!
//! The type byte has published values only in debugger output, and drivers do
//! not look at it; the executive uses it to know what it was handed.

use core::mem::offset_of;

use wdk_sys::{DISPATCHER_HEADER, LIST_ENTRY, LONG};

/// What kind of object a dispatcher header begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectType {
    NotificationEvent = 0,
    SynchronizationEvent = 1,
    NotificationTimer = 8,
    SynchronizationTimer = 9,
}

impl ObjectType {
    /// Whether one wait takes the signal away.
    pub(crate) const fn is_synchronization(self) -> bool {
        matches!(
            self,
            Self::SynchronizationEvent | Self::SynchronizationTimer
        )
    }
}

/// What an initialised object has in its header besides the type, so that zeroed
/// memory is not taken for a notification event.
const INITIALISED: u8 = 0x4e;

/// Where the header has room for [`INITIALISED`]: the byte for sizes.
const SIZE_OFFSET: usize = 2;

/// Makes `header` that of an object of this kind, in this state.
///
/// # Safety
/// `header` is memory for a dispatcher object that nobody uses yet.
pub(crate) unsafe fn initialise_header(
    header: *mut DISPATCHER_HEADER,
    kind: ObjectType,
    state: LONG,
) {
    let bytes = header.cast::<u8>();
    // SAFETY: The type is the header's first byte; writable by the contract.
    unsafe { bytes.write(kind as u8) };
    // SAFETY: The header is 24 bytes long; writable by the contract.
    unsafe { bytes.add(SIZE_OFFSET).write(INITIALISED) };
    // SAFETY: Writable by the contract.
    unsafe { (*header).SignalState = state };
    // SAFETY: The offset is that of a field of the header.
    let list =
        unsafe { bytes.add(offset_of!(DISPATCHER_HEADER, WaitListHead)) }.cast::<LIST_ENTRY>();
    // SAFETY: Writable by the contract; an empty list points at itself.
    unsafe {
        list.write(LIST_ENTRY {
            Flink: list,
            Blink: list,
        });
    };
}

/// What kind of object `header` begins; `None` when it was never initialised.
///
/// # Safety
/// `header` can be read.
pub(crate) unsafe fn object_type(header: *const DISPATCHER_HEADER) -> Option<ObjectType> {
    if header.is_null() {
        return None;
    }
    let bytes = header.cast::<u8>();
    // SAFETY: The header is 24 bytes long; readable by the contract.
    if unsafe { bytes.add(SIZE_OFFSET).read() } != INITIALISED {
        return None;
    }
    // SAFETY: Readable by the contract.
    match unsafe { bytes.read() } {
        0 => Some(ObjectType::NotificationEvent),
        1 => Some(ObjectType::SynchronizationEvent),
        8 => Some(ObjectType::NotificationTimer),
        9 => Some(ObjectType::SynchronizationTimer),
        _ => None,
    }
}
