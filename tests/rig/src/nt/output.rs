//! What a program may find in the buffer that a driver has filled for it: as much as was
//! written, nothing that nobody wrote, and no address of the kernel's.

use crate::machine::memory;
use crate::nt::interrupt;
use crate::nt::poison::{self, Form};
use crate::nt::violation::check;

/// Checks what is about to be given to a program: `bytes`, of which the first `own` held
/// what the program had put there, and the rest was poisoned.
pub(crate) fn assert_fit(routine: &str, bytes: &[u8], form: Form, own: usize) {
    let untouched = poison::BUFFER
        .untouched(bytes, form, own)
        .unwrap_or_default();
    check!(
        Irp14,
        routine,
        untouched.is_empty() || untouched.end != bytes.len(),
        "A request was completed with Information {}, but from byte {} on nothing was written to its buffer.",
        bytes.len(),
        untouched.start
    );
    check!(
        Pool05,
        routine,
        untouched.is_empty(),
        "Bytes {} to {} of the {} that a request says it returns were never written.",
        untouched.start,
        untouched.end,
        bytes.len()
    );
    let copied = poison::POOL.copied(bytes, form);
    check!(
        Pool05,
        routine,
        copied.is_none(),
        "Byte {} of the {} that a request returns was copied from pool that nobody had written to.",
        copied.unwrap_or_default(),
        bytes.len()
    );
    let address = first_address(bytes);
    let (place, value) = address.unwrap_or_default();
    check!(
        Sec06,
        routine,
        address.is_none(),
        "Byte {place} of the {} that a request returns begins an address of the kernel's: {value:#x}, {}.",
        bytes.len(),
        memory::Place(value)
    );
}

/// The first address of the kernel's among the bytes, with its place: where fields lie, so
/// that the end of one number and the beginning of the next are not taken for one.
fn first_address(bytes: &[u8]) -> Option<(usize, u64)> {
    bytes
        .windows(size_of::<u64>())
        .map(|window| {
            window
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes))
        })
        .enumerate()
        .step_by(4)
        .find(|(_, value)| memory::is_kernels(*value) || interrupt::opaque::is_object(*value))
}
