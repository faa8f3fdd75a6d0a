//! The system buffer of a request: input first, then output in the same place.
//!
//! What lies beyond the input is not zero on Windows, so it is filled with a
//! pattern here ([`poison`]); output that still shows the pattern was never written. The buffer
//! ends where its page ends, behind which none is mapped: a driver that goes by a
//! length that the request does not have faults there. It begins at a multiple of 16,
//! as pool does; what that leaves at its end, and some bytes before it, is a guard that
//! shows what was written there.
//!
//! # Soundness
//! 1. A page is taken from the guarded allocations for good, and belongs to one value at
//!    a time. The driver owns a buffer's contents while its IRP has not ended; the
//!    executive reads them afterwards, by value.

use alloc::vec::Vec;

use rig_protocol::MAX_TRANSFER;
use wdk_sys::PVOID;

use crate::machine::memory::{self, PAGE};
use crate::machine::stop::refuse;
use crate::machine::sync::IrqLock;
use crate::nt::poison::{self, Form};
use crate::nt::rule::Rule;
use crate::nt::{address, output};

/// What the guard is filled with.
const GUARD_BYTE: u8 = 0xfd;
/// Bytes of guard before the buffer, where its page has so many.
const GUARD: usize = 64;
/// Where a buffer begins is a multiple of this.
const ALIGNMENT: usize = 16;

const _: () = assert!(MAX_TRANSFER <= PAGE);

/// The pages that there are.
struct Pages {
    all: Vec<usize>,
    free: Vec<usize>,
}

static PAGES: IrqLock<Pages> = IrqLock::new(Pages {
    all: Vec::new(),
    free: Vec::new(),
});

/// The buffer.
pub(crate) struct SystemBuffer {
    page: usize,
    /// Where in its page it begins.
    start: usize,
    length: usize,
    input_length: usize,
    output_length: usize,
}

impl SystemBuffer {
    /// A buffer for this input and so much output; `None` when both are empty.
    pub(crate) fn new(input: &[u8], output_length: usize) -> Option<Self> {
        let length = input.len().max(output_length);
        if length == 0 {
            return None;
        }
        assert!(length <= PAGE, "a system buffer of {length} bytes");
        let buffer = Self {
            page: take_page(),
            start: (PAGE - length) / ALIGNMENT * ALIGNMENT,
            length,
            input_length: input.len(),
            output_length,
        };
        buffer
            .guard()
            .for_each(|index| buffer.write(index, GUARD_BYTE));
        let fresh = (input.len()..length).map(|place| poison::BUFFER.at(place));
        let contents = input.iter().copied().chain(fresh);
        (buffer.start..buffer.start + length)
            .zip(contents)
            .for_each(|(index, byte)| buffer.write(index, byte));
        Some(buffer)
    }

    /// Indices in the page of the bytes around the buffer.
    fn guard(&self) -> impl Iterator<Item = usize> + use<> {
        let end = self.start + self.length;
        (self.start.saturating_sub(GUARD)..self.start).chain(end..PAGE)
    }

    fn write(&self, index: usize, value: u8) {
        let byte = address::to_pointer::<u8>(self.page + index);
        // SAFETY: Fact 1; every index is one of the page's.
        unsafe { byte.write_volatile(value) };
    }

    fn read(&self, index: usize) -> u8 {
        let byte = address::to_pointer::<u8>(self.page + index);
        // SAFETY: Fact 1; every index is one of the page's.
        unsafe { byte.read_volatile() }
    }

    /// How long the caller's output buffer is.
    pub(crate) fn output_length(&self) -> usize {
        self.output_length
    }

    /// How long the caller's input is.
    pub(crate) fn input_length(&self) -> usize {
        self.input_length
    }

    /// What the driver is given.
    pub(crate) fn pointer(&self) -> PVOID {
        address::to_pointer(self.page + self.start)
    }

    /// The contents, once the IRP has ended.
    fn contents(&self) -> impl Iterator<Item = u8> + '_ {
        (self.start..self.start + self.length).map(|index| self.read(index))
    }

    /// The first `length` bytes of output, as many as there are, for the program that
    /// asked for them; they are of this form.
    pub(crate) fn output(&self, routine: &str, form: Form, length: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self
            .contents()
            .take(length.min(self.output_length))
            .collect();
        output::assert_fit(routine, &bytes, form, self.input_length);
        bytes
    }

    /// Whether the guard around the buffer is as it was.
    pub(crate) fn is_guard_intact(&self) -> bool {
        self.guard().all(|index| self.read(index) == GUARD_BYTE)
    }
}

impl Drop for SystemBuffer {
    fn drop(&mut self) {
        PAGES.with(|pages| pages.free.push(self.page));
    }
}

/// A page that no other buffer has.
fn take_page() -> usize {
    if let Some(page) = PAGES.with(|pages| pages.free.pop()) {
        return page;
    }
    let Some(page) = memory::allocate_guarded(PAGE) else {
        refuse(format_args!(
            "The machine has no memory left for the buffers of requests: give QEMU -m 512 or more."
        ));
    };
    let page = address::of(page);
    PAGES.with(|pages| pages.all.push(page));
    page
}

/// What is wrong with an access that faulted at this address, if it was just behind a
/// system buffer's page or before it.
pub(crate) fn explain_fault(address: u64) -> Option<Rule> {
    let address = usize::try_from(address).ok()?;
    let is_beside = PAGES.with_unless_held(|pages| {
        pages
            .all
            .iter()
            .any(|page| (page - PAGE..page + 2 * PAGE).contains(&address))
    });
    is_beside?.then_some(Rule::Sec03)
}
