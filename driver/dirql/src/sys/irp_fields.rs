//! The fields of an IRP that drivers reach through inline functions and macros:
//! cancellation, the list entry, the driver's own words, the file object.

use core::{mem::offset_of, ptr::null_mut};

use crate::sync::{
    atomic::Ordering,
    field::{AtomicPtr, AtomicU8},
};

use super::{
    DEVICE_OBJECT, FILE_OBJECT, IRP, KDEVICE_QUEUE_ENTRY, LIST_ENTRY, PVOID, current_location,
};

/// A cancel routine.
pub(crate) type CancelRoutine = unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP);

/// Sets or clears the cancel routine; whether one was set. Is `IoSetCancelRoutine`.
///
/// # Safety
/// `irp` is alive. A routine that is set may be called from now on.
pub(crate) unsafe fn set_cancel_routine(irp: *mut IRP, routine: Option<CancelRoutine>) -> bool {
    // SAFETY: (Pointer) the contract, facts 4 and 12.
    let place = unsafe { &raw mut (*irp).CancelRoutine };
    // SAFETY: (Pointer) an optional function pointer has a pointer's size and alignment.
    // (Aliasing) everybody exchanges this field atomically, facts 4 and 12.
    let place = unsafe { AtomicPtr::<()>::from_ptr(place.cast()) };
    let new = routine.map_or(null_mut(), |routine| routine as *mut ());
    !place.swap(new, Ordering::AcqRel).is_null()
}

/// Whether the IRP was cancelled: `Irp->Cancel`.
///
/// # Safety
/// `irp` is alive.
pub(crate) unsafe fn is_cancelled(irp: *mut IRP) -> bool {
    // SAFETY: (Pointer) the contract, facts 4 and 12.
    let place = unsafe { &raw mut (*irp).Cancel };
    // SAFETY: (Pointer) a BOOLEAN is a byte. (Aliasing) IoCancelIrp may write it at any
    // time, hence by an atomic access, facts 4 and 12.
    unsafe { AtomicU8::from_ptr(place) }.load(Ordering::Acquire) != 0
}

/// The IRQL to which a cancel routine releases the cancel spin lock: `Irp->CancelIrql`.
///
/// # Safety
/// The cancel spin lock is held, and this is the cancel routine of `irp`.
pub(crate) unsafe fn cancel_irql(irp: *const IRP) -> u8 {
    // SAFETY: (Pointer) the contract. (Aliasing) IoCancelIrp wrote it before the call, fact
    // 4.
    unsafe { (*irp).CancelIrql }
}

/// The file object that the request was sent on; NULL if there is none.
///
/// # Safety
/// `irp` is an IRP that the driver owns.
pub(crate) unsafe fn file_object(irp: *mut IRP) -> *mut FILE_OBJECT {
    // SAFETY: (Pointer) the contract, passed on, fact 4.
    let location = unsafe { current_location(irp) };
    // SAFETY: (Pointer) a location of that IRP, fact 4.
    unsafe { (*location).FileObject }
}

/// The entry by which the IRP waits in a device queue.
///
/// # Safety
/// `irp` is alive.
pub(crate) unsafe fn device_queue_entry(irp: *mut IRP) -> *mut KDEVICE_QUEUE_ENTRY {
    // SAFETY: (Pointer) the contract. What a driver sees of the union is the overlay, facts
    // 4 and 12.
    unsafe { &raw mut (*irp).Tail.Overlay.__bindgen_anon_1.DeviceQueueEntry }
}

/// The first of the words that an IRP's owner may use while the IRP is in no device
/// queue: `Tail.Overlay.DriverContext[0]`.
///
/// # Safety
/// `irp` is alive.
unsafe fn driver_word(irp: *mut IRP) -> *mut PVOID {
    // SAFETY: (Pointer) the contract, fact 4.
    let words = unsafe {
        &raw mut (*irp)
            .Tail
            .Overlay
            .__bindgen_anon_1
            .__bindgen_anon_1
            .DriverContext
    };
    words.cast()
}

/// What [`set_word`] wrote.
///
/// # Safety
/// `irp` is alive, `set_word` was called for it, and it was in no device queue since.
pub(crate) unsafe fn word(irp: *mut IRP) -> PVOID {
    // SAFETY: (Pointer) the contract, fact 4.
    let place = unsafe { driver_word(irp) };
    // SAFETY: (Ready) the contract: it was written, fact 4.
    unsafe { place.read() }
}

/// Writes a word that goes with the IRP until its owner changes.
///
/// # Safety
/// The caller owns `irp`, which is in no device queue.
pub(crate) unsafe fn set_word(irp: *mut IRP, word: PVOID) {
    // SAFETY: (Pointer) the contract, fact 4.
    let place = unsafe { driver_word(irp) };
    // SAFETY: (Aliasing) the words are the owner's, fact 4.
    unsafe { place.write(word) };
}

/// Where an IRP's list entry is in it.
const ENTRY: usize = offset_of!(IRP, Tail.Overlay.__bindgen_anon_2.ListEntry);

/// The list entry of an IRP; NULL for NULL.
///
/// # Safety
/// `irp` is alive or NULL.
unsafe fn entry_of(irp: *mut IRP) -> *mut LIST_ENTRY {
    if irp.is_null() {
        return null_mut();
    }
    // SAFETY: (Pointer) the offset of a field of the IRP, facts 4 and 12.
    unsafe { irp.byte_add(ENTRY) }.cast()
}

/// The IRP of a list entry; NULL for NULL.
///
/// # Safety
/// `entry` is the list entry of an IRP that is alive, or NULL.
unsafe fn irp_of(entry: *mut LIST_ENTRY) -> *mut IRP {
    if entry.is_null() {
        return null_mut();
    }
    // SAFETY: (Pointer) back to the beginning of the IRP that the entry is a field of,
    // facts 4 and 12.
    unsafe { entry.byte_sub(ENTRY) }.cast()
}

/// The IRPs that an IRP is linked to: the next and the previous one.
///
/// # Safety
/// `irp` is alive and was linked by the functions here.
pub(crate) unsafe fn links(irp: *mut IRP) -> (*mut IRP, *mut IRP) {
    // SAFETY: (Pointer) the contract, fact 4.
    let entry = unsafe { entry_of(irp) };
    // SAFETY: (Ready) the contract: it was linked, fact 4.
    let links = unsafe { entry.read() };
    // SAFETY: (Pointer) `set_links` put the entry of an IRP there, or NULL, fact 4.
    let next = unsafe { irp_of(links.Flink) };
    // SAFETY: as above, fact 4.
    (next, unsafe { irp_of(links.Blink) })
}

/// Links an IRP to its neighbours.
///
/// # Safety
/// The caller owns `irp`; the neighbours are alive or NULL.
pub(crate) unsafe fn set_links(irp: *mut IRP, next: *mut IRP, previous: *mut IRP) {
    // SAFETY: (Pointer) the contract, fact 4.
    let entry = unsafe { entry_of(irp) };
    // SAFETY: (Pointer) the contract, fact 4.
    let next = unsafe { entry_of(next) };
    // SAFETY: (Pointer) the contract, fact 4.
    let previous = unsafe { entry_of(previous) };
    let links = LIST_ENTRY {
        Flink: next,
        Blink: previous,
    };
    // SAFETY: (Aliasing) the entry is the owner's, fact 4.
    unsafe { entry.write(links) };
}

/// Links an IRP to another next one.
///
/// # Safety
/// As [`set_links`], for an IRP that is linked.
pub(crate) unsafe fn set_next(irp: *mut IRP, next: *mut IRP) {
    // SAFETY: (Pointer) the contract, fact 4.
    let (_, previous) = unsafe { links(irp) };
    // SAFETY: (Pointer) the contract, fact 4.
    unsafe { set_links(irp, next, previous) };
}

/// Links an IRP to another previous one.
///
/// # Safety
/// As [`set_links`], for an IRP that is linked.
pub(crate) unsafe fn set_previous(irp: *mut IRP, previous: *mut IRP) {
    // SAFETY: (Pointer) the contract, fact 4.
    let (next, _) = unsafe { links(irp) };
    // SAFETY: (Pointer) the contract, fact 4.
    unsafe { set_links(irp, next, previous) };
}

/// The second of the words that [`word`] is the first of. The packet in StartIo's hands is
/// numbered by the first.
///
/// # Safety
/// As [`word`]; [`set_second_word`] was called.
pub(crate) unsafe fn second_word(irp: *mut IRP) -> PVOID {
    // SAFETY: (Pointer) the contract, fact 4.
    let words = unsafe { driver_word(irp) };
    // SAFETY: (Pointer) there are four words, fact 12.
    let place = unsafe { words.add(1) };
    // SAFETY: (Ready) the contract: it was written, fact 4.
    unsafe { place.read() }
}

/// Writes what [`second_word`] reads.
///
/// # Safety
/// As [`set_word`].
pub(crate) unsafe fn set_second_word(irp: *mut IRP, word: PVOID) {
    // SAFETY: (Pointer) the contract, fact 4.
    let words = unsafe { driver_word(irp) };
    // SAFETY: (Pointer) there are four words, fact 12.
    let place = unsafe { words.add(1) };
    // SAFETY: (Aliasing) the words are the owner's, fact 4.
    unsafe { place.write(word) };
}

/// What [`set_information`] wrote.
///
/// # Safety
/// As [`word`].
pub(crate) unsafe fn information(irp: *mut IRP) -> usize {
    // SAFETY: (Pointer) the contract, fact 4.
    let information = unsafe { (*irp).IoStatus.Information };
    usize::try_from(information).unwrap_or(0)
}

/// Keeps a number in the IRP until it is completed: `IoStatus.Information`.
///
/// # Safety
/// As [`set_word`].
pub(crate) unsafe fn set_information(irp: *mut IRP, information: usize) {
    // SAFETY: (Aliasing) the IRP is its owner's until it is completed, fact 4.
    unsafe { (*irp).IoStatus.Information = information as u64 };
}
