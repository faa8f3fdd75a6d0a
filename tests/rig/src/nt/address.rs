//! Addresses as numbers.
//!
//! Ledgers shared between processors hold addresses, not pointers: they compare
//! and look up, and never reach through. Whoever does reach through turns the
//! number back into a pointer here.

/// The address of a pointer, which may be turned back into one.
pub(crate) fn of<T>(pointer: *const T) -> usize {
    pointer.expose_provenance()
}

/// The pointer with this address.
pub(crate) fn to_pointer<T>(address: usize) -> *mut T {
    core::ptr::with_exposed_provenance_mut(address)
}
