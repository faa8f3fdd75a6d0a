//! Map registers: pages of the logical address space, and what they map.
//!
//! A register that maps nothing holds a pattern, and so does the rest of one that
//! maps a part of a page: what the device writes there is found when the mapping is
//! flushed.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::nt::dma::arena::{PAGE, Pages};
use crate::nt::mdl::LockedBuffer;
use crate::nt::violation::check;

/// What registers hold that map nothing.
const POISON: u8 = 0xdb;

/// A buffer, or a part of one, that registers map.
pub(super) struct Mapping {
    buffer: Arc<LockedBuffer>,
    /// Where in the buffer it begins.
    start: usize,
    length: usize,
    to_device: bool,
}

impl Mapping {
    /// Where in its first register it begins.
    fn skew(&self) -> usize {
        (self.buffer.offset() + self.start) % PAGE
    }

    /// Registers that it needs.
    fn count(&self) -> usize {
        (self.skew() + self.length).div_ceil(PAGE)
    }
}

/// Registers that belong together, and what they map.
pub(super) struct Allocation {
    /// Their numbers, in the order in which they map pages.
    registers: Vec<usize>,
    mapping: Option<Mapping>,
}

/// An adapter's registers.
pub(super) struct Registers {
    pages: Pages,
    taken: Vec<bool>,
    allocations: Vec<(usize, Allocation)>,
    /// The handle of the next allocation: an address at which nothing is mapped.
    next: usize,
}

/// Where handles begin.
const FIRST_HANDLE: usize = 0x7fe0_0000_0000;

/// A piece that a device can take in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) logical: u64,
    pub(super) length: usize,
}

impl Registers {
    /// The registers of a new adapter.
    pub(super) fn new(pages: Pages, count: usize) -> Self {
        pages.fill(0..count * PAGE, POISON);
        Self {
            pages,
            taken: vec![false; count],
            allocations: Vec::new(),
            next: FIRST_HANDLE,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.taken.len()
    }

    /// Takes `count` registers, in a row if the device wants them so; their handle.
    pub(super) fn take(&mut self, count: usize, in_a_row: bool) -> Option<usize> {
        let free: Vec<usize> = (0..self.count())
            .filter(|index| !self.is_taken(*index))
            .collect();
        let chosen = if in_a_row {
            free.windows(count)
                .find(|window| {
                    window
                        .last()
                        .zip(window.first())
                        .is_some_and(|(last, first)| last - first + 1 == count)
                })?
                .to_vec()
        } else {
            // From the far end, so that neighbours in the buffer are none for the device.
            let chosen: Vec<usize> = free.into_iter().rev().take(count).collect();
            (chosen.len() == count).then_some(chosen)?
        };
        for index in &chosen {
            if let Some(taken) = self.taken.get_mut(*index) {
                *taken = true;
            }
        }
        let handle = self.next;
        self.next += PAGE;
        self.allocations.push((
            handle,
            Allocation {
                registers: chosen,
                mapping: None,
            },
        ));
        Some(handle)
    }

    fn is_taken(&self, index: usize) -> bool {
        self.taken.get(index).copied().unwrap_or(true)
    }

    /// Whether nothing is taken.
    pub(super) fn is_free(&self) -> bool {
        self.allocations.is_empty()
    }

    /// Whether registers map this buffer.
    pub(super) fn maps(&self, buffer: &Arc<LockedBuffer>) -> bool {
        self.allocations.iter().any(|(_, allocation)| {
            allocation
                .mapping
                .as_ref()
                .is_some_and(|mapping| Arc::ptr_eq(&mapping.buffer, buffer))
        })
    }

    fn find(&mut self, handle: usize) -> Option<&mut Allocation> {
        self.allocations
            .iter_mut()
            .find(|(known, _)| *known == handle)
            .map(|(_, allocation)| allocation)
    }

    /// How many registers an allocation has, and whether they map something.
    pub(super) fn look(&mut self, handle: usize) -> Option<(usize, bool)> {
        self.find(handle)
            .map(|allocation| (allocation.registers.len(), allocation.mapping.is_some()))
    }

    /// Maps a part of a buffer, from `start` on; a device that takes pieces may map what
    /// follows with the registers that are left. The pieces for the device.
    pub(super) fn map(
        &mut self,
        operation: &str,
        handle: usize,
        buffer: &Arc<LockedBuffer>,
        start: usize,
        length: usize,
        to_device: bool,
    ) -> Vec<Piece> {
        let Some(allocation) = self.find(handle) else {
            return Vec::new();
        };
        let earlier = allocation.mapping.take();
        let is_continued = earlier.as_ref().is_none_or(|earlier| {
            Arc::ptr_eq(&earlier.buffer, buffer)
                && earlier.start + earlier.length == start
                && earlier.to_device == to_device
        });
        check!(
            Dma05,
            operation,
            is_continued,
            "Map registers that map a transfer were given another before they were flushed."
        );
        check!(
            Dma08,
            operation,
            length != 0 && start + length <= buffer.length(),
            "{length} bytes at {start} of a buffer of {} bytes were to be mapped.",
            buffer.length()
        );
        let done = earlier.map_or(0, |earlier| earlier.length);
        let mapping = Mapping {
            buffer: buffer.clone(),
            start: start - done,
            length: done + length,
            to_device,
        };
        let available = allocation.registers.len();
        check!(
            Dma08,
            operation,
            mapping.count() <= available,
            "A transfer that needs {} map registers was mapped with {available}.",
            mapping.count()
        );
        let skew = mapping.skew();
        let registers = allocation.registers.clone();
        allocation.mapping = Some(mapping);
        let places = places(&registers, skew + done..skew + done + length);
        let mut at = start;
        let mut pieces = Vec::new();
        for place in places {
            let logical = self.pages.logical(place.start);
            if to_device {
                self.pages
                    .write(place.start, &buffer.copy_out(at, place.len()));
            }
            at += place.len();
            pieces.push(Piece {
                logical,
                length: place.len(),
            });
        }
        pieces
    }

    /// What is mapped, as `(start, length, to_device)`, and where, if it is.
    pub(super) fn mapped(&mut self, handle: usize) -> Option<(usize, usize, bool, Vec<Piece>)> {
        let allocation = self.find(handle)?;
        let mapping = allocation.mapping.as_ref()?;
        let (start, length, to_device) = (mapping.start, mapping.length, mapping.to_device);
        let skew = mapping.skew();
        let registers = allocation.registers.clone();
        let pieces = places(&registers, skew..skew + length)
            .into_iter()
            .map(|place| Piece {
                logical: self.pages.logical(place.start),
                length: place.len(),
            })
            .collect();
        Some((start, length, to_device, pieces))
    }

    /// Copies what came from the device into the buffer, and unmaps it.
    pub(super) fn flush(&mut self, operation: &str, handle: usize) {
        let Some(allocation) = self.find(handle) else {
            return;
        };
        let Some(mapping) = allocation.mapping.take() else {
            return;
        };
        let registers = allocation.registers.clone();
        let skew = mapping.skew();
        let end = skew + mapping.length;
        let mut at = mapping.start;
        for place in places(&registers, skew..end) {
            if !mapping.to_device {
                let bytes: Vec<u8> = self.pages.read(place.clone()).collect();
                mapping.buffer.copy_in(at, &bytes);
            }
            at += place.len();
        }
        let around = [0..skew, end..registers.len() * PAGE];
        let is_intact = around.into_iter().all(|range| {
            places(&registers, range)
                .into_iter()
                .all(|place| self.pages.read(place).all(|byte| byte == POISON))
        });
        check!(
            Dma02,
            operation,
            is_intact,
            "The device wrote to map registers outside the transfer that they map."
        );
        for place in places(&registers, 0..registers.len() * PAGE) {
            self.pages.fill(place, POISON);
        }
    }

    /// Gives registers back, which map nothing.
    pub(super) fn give_back(&mut self, handle: usize) {
        let Some(index) = self
            .allocations
            .iter()
            .position(|(known, _)| *known == handle)
        else {
            return;
        };
        let (_, allocation) = self.allocations.swap_remove(index);
        for register in allocation.registers {
            if let Some(taken) = self.taken.get_mut(register) {
                *taken = false;
            }
        }
    }
}

/// Where in an adapter's pages a range lies that runs over these registers in order:
/// one piece for registers that adjoin.
fn places(registers: &[usize], range: Range<usize>) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    for (index, register) in registers.iter().enumerate() {
        let page = index * PAGE..(index + 1) * PAGE;
        let start = page.start.max(range.start);
        let end = page.end.min(range.end);
        if start >= end {
            continue;
        }
        let place = register * PAGE + (start - page.start)..register * PAGE + (end - page.start);
        match places.last_mut() {
            Some(last) if last.end == place.start => last.end = place.end,
            _ => places.push(place),
        }
    }
    places
}
