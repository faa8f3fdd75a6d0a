//! The buffer of a METHOD_BUFFERED request: input first, then output in the same
//! place.
//!
//! What lies beyond the input is not zero on Windows, so it is filled with a
//! pattern here; output that still shows the pattern was never written. A guard
//! behind the buffer shows what was written past its end.
//!
//! # Soundness
//! 1. The memory belongs to this value, and the driver owns its contents while
//!    the IRP has not ended; the executive reads them afterwards.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::UnsafeCell;

use wdk_sys::PVOID;

/// What memory beyond the input is filled with.
const FRESH_BYTE: u8 = 0xa5;
/// Bytes of guard behind the buffer, and what they are filled with.
const GUARD: usize = 64;
const GUARD_BYTE: u8 = 0xfd;
/// So many bytes of pattern in a row are no coincidence.
const RUN: usize = 8;

/// The buffer.
pub(crate) struct SystemBuffer {
    memory: Box<[UnsafeCell<u8>]>,
    input_length: usize,
    output_length: usize,
}

// SAFETY: Fact 1: the IRP that holds the buffer has one owner at a time.
unsafe impl Send for SystemBuffer {}
// SAFETY: As above; `contents` is called once the IRP has ended.
unsafe impl Sync for SystemBuffer {}

impl SystemBuffer {
    /// A buffer for this input and so much output; `None` when both are empty.
    pub(crate) fn new(input: &[u8], output_length: usize) -> Option<Self> {
        let length = input.len().max(output_length);
        if length == 0 {
            return None;
        }
        let mut bytes = vec![FRESH_BYTE; length];
        bytes
            .iter_mut()
            .zip(input)
            .for_each(|(to, from)| *to = *from);
        bytes.resize(length + GUARD, GUARD_BYTE);
        Some(Self {
            memory: bytes.into_iter().map(UnsafeCell::new).collect(),
            input_length: input.len(),
            output_length,
        })
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
        UnsafeCell::raw_get(self.memory.as_ptr()).cast()
    }

    /// The contents, once the IRP has ended.
    fn contents(&self) -> impl Iterator<Item = u8> + '_ {
        // SAFETY: Fact 1: the driver has given the buffer up.
        self.memory.iter().map(|byte| unsafe { byte.get().read() })
    }

    /// The first `length` bytes of output, as many as there are.
    pub(crate) fn output(&self, length: usize) -> Vec<u8> {
        self.contents()
            .take(length.min(self.output_length))
            .collect()
    }

    /// Whether the guard behind the buffer is as it was.
    pub(crate) fn is_guard_intact(&self) -> bool {
        self.contents()
            .skip(self.memory.len() - GUARD)
            .all(|byte| byte == GUARD_BYTE)
    }

    /// Whether the first `length` bytes of output hold memory that was never written.
    pub(crate) fn has_fresh_bytes(&self, length: usize) -> bool {
        let mut run = 0;
        self.contents()
            .take(length)
            .skip(self.input_length)
            .any(|byte| {
                run = if byte == FRESH_BYTE { run + 1 } else { 0 };
                run >= RUN
            })
    }
}
