//! What stands in the header and in the capability lists of PCI functions that a driver
//! drives: the executive knows, because it alone writes there.
//!
//! A driver can write there past everybody, by the two ports. So what the executive has
//! written is compared with what stands there.

use alloc::collections::BTreeMap;
use core::ops::RangeInclusive;

use crate::machine::pci::PciFunction;
use crate::machine::sync::IrqLock;

/// Bytes of the header.
const HEADER: u8 = 0x40;
/// Where the command is.
pub(super) const COMMANDS: RangeInclusive<u8> = COMMAND..=COMMAND;
/// Where the addresses of memory are.
pub(super) const BARS: RangeInclusive<u8> = 0x10..=0x24;
/// Where capabilities are.
pub(super) const CAPABILITY: RangeInclusive<u8> = HEADER..=u8::MAX;
/// Command in the low half, status in the high one; the device changes that by itself.
const COMMAND: u8 = 0x04;
/// Bit of the command: the function answers accesses to its memory.
const MEMORY_SPACE: u32 = 1 << 1;
/// Where the first capability is.
const FIRST_CAPABILITY: u8 = 0x34;
/// Identification of the capability to send messages, and of its bits those that make it
/// longer (PCI Local Bus specification 3.0, 6.8.1).
const MESSAGES: u32 = 0x05;
const MESSAGES_64_BITS: u32 = 1 << 23;
const MESSAGES_MASKED: u32 = 1 << 24;

/// What stands at each offset, by function.
static KNOWN: IrqLock<BTreeMap<PciFunction, BTreeMap<u8, u32>>> = IrqLock::new(BTreeMap::new());

/// A place that holds something else than was written there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Where.
    pub(crate) offset: u8,
    /// What was written there.
    pub(crate) wanted: u32,
    /// What stands there.
    pub(crate) found: u32,
}

/// Makes a change of the executive's somewhere in `range`, and knows what stands there
/// then. Any IRQL.
pub(super) fn changing<R>(
    function: PciFunction,
    range: RangeInclusive<u8>,
    change: impl FnOnce() -> R,
) -> R {
    KNOWN.with(|known| {
        let Some(known) = known.get_mut(&function) else {
            return change();
        };
        let before = contents(function, &range);
        let result = change();
        // What somebody else has changed before stays unknown.
        for (offset, value) in contents(function, &range) {
            if before.get(&offset) != Some(&value) {
                known.insert(offset, value);
            }
        }
        result
    })
}

/// From now on what stands in this function's configuration space is known.
pub(crate) fn watch(function: PciFunction) {
    KNOWN.with(|known| known.insert(function, contents(function, &(0..=u8::MAX))));
}

/// Whether the executive has a function answer accesses to its memory. Any IRQL.
pub(crate) fn decodes_memory(function: PciFunction) -> bool {
    KNOWN.with(|known| {
        let command = known.get(&function).and_then(|known| known.get(&COMMAND));
        command.is_none_or(|command| command & MEMORY_SPACE != 0)
    })
}

/// The first change that the executive did not make, if the function is there.
pub(crate) fn changed(function: PciFunction) -> Option<Change> {
    KNOWN.with(|known| {
        let known = known.get(&function)?;
        if !function.is_there() {
            return None;
        }
        known.iter().find_map(|(offset, wanted)| {
            let found = read(function, *offset);
            (found != *wanted).then_some(Change {
                offset: *offset,
                wanted: *wanted,
                found,
            })
        })
    })
}

/// What stands in a range of the header and of the capabilities.
fn contents(function: PciFunction, range: &RangeInclusive<u8>) -> BTreeMap<u8, u32> {
    offsets(function)
        .filter(|offset| range.contains(offset))
        .map(|offset| (offset, read(function, offset)))
        .collect()
}

/// What stands there, without what the device changes by itself.
fn read(function: PciFunction, offset: u8) -> u32 {
    let value = function.read32(offset);
    if offset == COMMAND {
        value & 0xffff
    } else {
        value
    }
}

/// The offsets of the header and of the capabilities.
fn offsets(function: PciFunction) -> impl Iterator<Item = u8> {
    let header = (0..HEADER).step_by(4);
    let mut next = function.read32(FIRST_CAPABILITY).to_le_bytes()[0];
    let capabilities = core::iter::from_fn(move || {
        let at = next & !3;
        if at < HEADER {
            return None;
        }
        let first = function.read32(at);
        next = first.to_le_bytes()[1];
        Some((at, length(first)))
    });
    // A list that is a ring has no end.
    let capabilities = capabilities.take(usize::from(HEADER));
    header.chain(capabilities.flat_map(|(at, length)| (at..at.saturating_add(length)).step_by(4)))
}

/// Bytes of the capability that begins with this.
const fn length(first: u32) -> u8 {
    if first & 0xff != MESSAGES {
        return 4;
    }
    let address = if first & MESSAGES_64_BITS != 0 { 8 } else { 4 };
    let masks = if first & MESSAGES_MASKED != 0 { 8 } else { 0 };
    4 + address + 4 + masks
}
