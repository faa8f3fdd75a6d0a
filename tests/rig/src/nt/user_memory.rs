//! Addresses of user mode, where the buffers of a request with METHOD_NEITHER lie.
//!
//! Nothing is mapped there, and no routine is exported that would probe an address
//! (ProbeForRead, ProbeForWrite and MmProbeAndLockPages raise exceptions, which the rig
//! does not carry to a handler). So whoever touches such an address has not probed it.

use wdk_sys::PVOID;

use crate::nt::address;
use crate::nt::rule::Rule;

/// Where the addresses begin: in the half that belongs to user mode, above all that is
/// mapped where it lies.
const BASE: usize = 0x0000_7000_0000_0000;
/// How many there are.
const LENGTH: usize = 1 << 32;
/// From the input buffer's address to the output buffer's.
const OUTPUT: usize = LENGTH / 2;

/// The address of an input buffer of so many bytes; null for an empty one.
pub(crate) fn input(length: usize) -> PVOID {
    at(BASE, length)
}

/// The address of an output buffer of so many bytes; null for an empty one.
pub(crate) fn output(length: usize) -> PVOID {
    at(BASE + OUTPUT, length)
}

fn at(address: usize, length: usize) -> PVOID {
    if length == 0 {
        core::ptr::null_mut()
    } else {
        address::to_pointer(address)
    }
}

/// Whether an address is one of user mode's.
pub(crate) fn contains(address: usize) -> bool {
    (BASE..BASE + LENGTH).contains(&address)
}

/// What is wrong with an access that faulted at this address, if it is one of user mode's.
pub(crate) fn explain_fault(address: u64) -> Option<Rule> {
    contains(usize::try_from(address).ok()?).then_some(Rule::Sec04)
}
