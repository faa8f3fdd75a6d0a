//! The header that every object which can be waited for begins with.
//!
//! The type byte has published values only in debugger output, and drivers do
//! not look at it; the executive uses it to know what it was handed.

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

/// The bytes at the beginning of a header, which the headers give a dozen names.
#[repr(C)]
struct Beginning {
    kind: u8,
    signalling: u8,
    /// Where [`INITIALISED`] goes: the byte for the object's size.
    size: u8,
}

/// Makes `header` that of an object of this kind, in this state.
///
/// # Safety
/// `header` is memory for a dispatcher object that nobody uses yet.
pub(crate) unsafe fn initialise_header(
    header: *mut DISPATCHER_HEADER,
    kind: ObjectType,
    state: LONG,
) {
    // SAFETY: A header begins so; writable by the contract.
    unsafe {
        header.cast::<Beginning>().write(Beginning {
            kind: kind as u8,
            signalling: 0,
            size: INITIALISED,
        });
    };
    // SAFETY: Writable by the contract.
    unsafe { (*header).SignalState = state };
    // SAFETY: Within the header, by the contract.
    let list = unsafe { &raw mut (*header).WaitListHead };
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
    // SAFETY: A header begins so; readable by the contract.
    let beginning = unsafe { header.cast::<Beginning>().read() };
    if beginning.size != INITIALISED {
        return None;
    }
    match beginning.kind {
        0 => Some(ObjectType::NotificationEvent),
        1 => Some(ObjectType::SynchronizationEvent),
        8 => Some(ObjectType::NotificationTimer),
        9 => Some(ObjectType::SynchronizationTimer),
        _ => None,
    }
}
