//! Hardware resources that START_DEVICE assigns. Wraps `CM_RESOURCE_LIST`.
//!
//! # Model
//!
//! The translated list maps memory and connects interrupts. A [`MemoryResource`] or
//! [`InterruptResource`] comes out of that list only, so a driver cannot map or connect what was
//! not assigned to its device. PCI devices get memory in BAR order.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | all | START_DEVICE, which has the list | none | no |
//!
//! # Soundness
//!
//! Facts 1 to 5, 10 and 12 of the crate; the list is the PnP manager's, and borrowed from the
//! request.
//!
//! # Not here
//!
//! Ports, DMA channels and bus numbers, and the raw list. See
//! "CM_PARTIAL_RESOURCE_DESCRIPTOR" and "Translated Resources".

use core::marker::PhantomData;

use crate::{status::NtError, status::Result, sys};

const TYPE_INTERRUPT: u8 = 2;
const TYPE_MEMORY: u8 = 3;
const TYPE_MEMORY_LARGE: u8 = 7;
const INTERRUPT_LATCHED: u16 = 0x1;
const SHARE_SHARED: u8 = 3;

/// A range of the device's memory. Only [`Resources`] makes one, and it lasts no
/// longer than the request that assigns it: mapping any other range would be unsound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryResource<'a> {
    start: u64,
    length: u64,
    request: PhantomData<&'a ()>,
}

impl MemoryResource<'_> {
    /// Physical address of the first byte.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The same range, at the address that processors see.
    pub(crate) const fn at(self, start: u64) -> Self {
        Self { start, ..self }
    }

    /// Length in bytes.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }
}

/// An interrupt of the device, a line or a message. As [`MemoryResource`], it cannot
/// be made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptResource<'a> {
    /// The DIRQL.
    pub(crate) level: u8,
    /// Processor group, to which `affinity` applies.
    pub(crate) group: u16,
    pub(crate) vector: u32,
    /// Processors that may take it.
    pub(crate) affinity: u64,
    /// Other devices may be on the same vector.
    pub(crate) shared: bool,
    /// Edge (latched) rather than level.
    pub(crate) latched: bool,
    request: PhantomData<&'a ()>,
}

impl InterruptResource<'_> {
    /// The same interrupt, as processors take it.
    pub(crate) const fn at(self, level: u8, vector: u32, affinity: u64) -> Self {
        Self {
            level,
            vector,
            affinity,
            ..self
        }
    }
}

/// The translated resources of one START_DEVICE request.
#[derive(Debug)]
pub struct Resources<'a> {
    list: *const sys::CM_RESOURCE_LIST,
    request: PhantomData<&'a ()>,
}

impl<'a> Resources<'a> {
    /// # Safety
    /// `list` is the translated list of a START_DEVICE request that stays alive as
    /// long as the result, or NULL.
    pub(crate) const unsafe fn new(list: *const sys::CM_RESOURCE_LIST) -> Self {
        Self {
            list,
            request: PhantomData,
        }
    }

    /// The `index`-th memory range, from zero.
    ///
    /// # IRQL
    /// Any.
    ///
    /// # Errors
    /// STATUS_DEVICE_CONFIGURATION_ERROR if there is none.
    pub fn memory(&self, index: usize) -> Result<MemoryResource<'a>> {
        self.descriptors()
            .filter_map(|descriptor| memory(&descriptor))
            .nth(index)
            .ok_or(NtError::STATUS_DEVICE_CONFIGURATION_ERROR)
    }

    /// The first interrupt.
    ///
    /// # IRQL
    /// Any.
    ///
    /// # Errors
    /// STATUS_DEVICE_CONFIGURATION_ERROR if there is none.
    pub fn interrupt(&self) -> Result<InterruptResource<'a>> {
        self.descriptors()
            .find_map(|descriptor| interrupt(&descriptor))
            .ok_or(NtError::STATUS_DEVICE_CONFIGURATION_ERROR)
    }

    /// The descriptors of the first full descriptor; a PCI function has one bus.
    fn descriptors(&self) -> impl Iterator<Item = sys::CM_PARTIAL_RESOURCE_DESCRIPTOR> {
        let (count, first) = self.partial_list();
        (0..count).map(move |index| {
            // SAFETY: (Pointer) the kernel says that `count` descriptors follow each other
            // from `first`; the layout packs them, hence the unaligned read, facts 10 and
            // 12.
            let place = unsafe { first.add(index) };
            // SAFETY: (Ready) as above; any bytes are a descriptor, facts 10 and 12.
            unsafe { place.read_unaligned() }
        })
    }

    fn partial_list(&self) -> (usize, *const sys::CM_PARTIAL_RESOURCE_DESCRIPTOR) {
        if self.list.is_null() {
            return (0, core::ptr::null());
        }
        // SAFETY: (Pointer) not NULL, so `new`'s contract says that it is alive, fact 10.
        let full_descriptors = unsafe { &raw const (*self.list).Count };
        // SAFETY: (Pointer) as above; the kernel's lists are aligned for a ULONG only, fact
        // 10.
        if unsafe { full_descriptors.read_unaligned() } == 0 {
            return (0, core::ptr::null());
        }
        // SAFETY: (Pointer) as above, and there is a first full descriptor, fact 10.
        let partial = unsafe { &raw const (*self.list).List[0].PartialResourceList };
        // SAFETY: (Pointer) a place inside that descriptor, fact 10.
        let count = unsafe { &raw const (*partial).Count };
        // SAFETY: (Pointer) as above, fact 10.
        let count = unsafe { count.read_unaligned() };
        // SAFETY: (Pointer) a place inside that descriptor, fact 10.
        let first = unsafe { &raw const (*partial).PartialDescriptors };
        (usize::try_from(count).unwrap_or(0), first.cast())
    }
}

fn memory<'a>(descriptor: &sys::CM_PARTIAL_RESOURCE_DESCRIPTOR) -> Option<MemoryResource<'a>> {
    // The large form stores the length in units of 2^8, 2^16 or 2^32 bytes.
    const LARGE_40: u16 = 0x0200;
    const LARGE_48: u16 = 0x0400;
    const LARGE_64: u16 = 0x0800;
    let kind = descriptor.Type;
    let flags = descriptor.Flags;
    let shift = match kind {
        TYPE_MEMORY => 0,
        TYPE_MEMORY_LARGE if flags & LARGE_40 != 0 => 8,
        TYPE_MEMORY_LARGE if flags & LARGE_48 != 0 => 16,
        TYPE_MEMORY_LARGE if flags & LARGE_64 != 0 => 32,
        _ => return None,
    };
    // SAFETY: (Ready) for both types the union holds start and length, in the places of
    // `Memory` (`Memory40`, 48 and 64 differ in the name of the length only), facts 10 and
    // 12.
    let memory = unsafe { descriptor.u.Memory };
    let start = memory.Start;
    // SAFETY: (Ready) all views of a LARGE_INTEGER are integers of its 8 bytes, facts 10
    // and 12.
    let start = unsafe { start.QuadPart };
    let length = memory.Length;
    Some(MemoryResource {
        start: start.cast_unsigned(),
        length: u64::from(length) << shift,
        request: PhantomData,
    })
}

fn interrupt<'a>(
    descriptor: &sys::CM_PARTIAL_RESOURCE_DESCRIPTOR,
) -> Option<InterruptResource<'a>> {
    let kind = descriptor.Type;
    if kind != TYPE_INTERRUPT {
        return None;
    }
    let flags = descriptor.Flags;
    // SAFETY: (Ready) the descriptor is an interrupt's. A translated message has level,
    // vector and affinity in the same places as a line, facts 10 and 12.
    let interrupt = unsafe { descriptor.u.Interrupt };
    // Headers without NT_PROCESSOR_GROUPS see level and group as one ULONG.
    let [level, _, group_low, group_high] = interrupt.Level.to_le_bytes();
    Some(InterruptResource {
        level,
        group: u16::from_le_bytes([group_low, group_high]),
        vector: interrupt.Vector,
        affinity: interrupt.Affinity,
        shared: descriptor.ShareDisposition == SHARE_SHARED,
        latched: flags & INTERRUPT_LATCHED != 0,
        request: PhantomData,
    })
}

#[cfg(test)]
mod tests;
