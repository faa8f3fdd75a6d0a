//! What the device says about its DMA engine: whether it runs, and on which memory.
//!
//! The rig reads the registers of QEMU's edu device, which tell; reading them has no
//! effect.

use crate::machine::memory;
use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::dma::arena;
use crate::nt::dma::registers::Piece;
use crate::nt::node::Node;
use crate::nt::violation::check;

/// Registers of the engine.
const SOURCE: usize = 0x80;
const DESTINATION: usize = 0x88;
const COUNT: usize = 0x90;
const COMMAND: usize = 0x98;
/// Bits of the command.
const RUN: u64 = 1;
const TO_MEMORY: u64 = 2;
/// What a device answers that is gone.
const GONE: u64 = u64::MAX;
/// Bytes of registers that are mapped.
const LENGTH: usize = 0x1000;

/// Where the registers of a device are mapped for this module, by the device's number.
static MAPPED: IrqLock<alloc::collections::BTreeMap<u32, usize>> =
    IrqLock::new(alloc::collections::BTreeMap::new());

/// What the engine was told last.
struct Engine {
    runs: bool,
    memory: u64,
    length: u64,
}

/// Reads the engine's registers; `None` when the device is gone, or was told nothing.
fn engine(node: &Node) -> Option<Engine> {
    let (physical, _) = node.memory();
    let base = MAPPED.with(|mapped| {
        if let Some(base) = mapped.get(&node.index()) {
            return Some(*base);
        }
        let base = address::of(memory::map_device(physical, LENGTH)?);
        mapped.insert(node.index(), base);
        Some(base)
    })?;
    let read = |register: usize| {
        // SAFETY: (Pointer) the registers lie in the mapping, which is never taken down;
        // the engine's have 64 bits.
        unsafe { address::to_pointer::<u64>(base + register).read_volatile() }
    };
    let command = read(COMMAND);
    let length = read(COUNT);
    if command == GONE || length == 0 {
        return None;
    }
    let memory = read(if command & TO_MEMORY == 0 {
        SOURCE
    } else {
        DESTINATION
    });
    Some(Engine {
        runs: command & RUN != 0,
        memory,
        length,
    })
}

/// Checks that the device was given logical addresses only, and that it has done with
/// `pieces`, which are about to be unmapped or freed.
pub(super) fn assert_done(operation: &str, node: &Node, pieces: &[Piece]) {
    let Some(engine) = engine(node) else { return };
    check!(
        Dma02,
        operation,
        arena::holds(engine.memory, engine.length),
        "The device was given the address {:#x}, which is no logical address of an adapter's.",
        engine.memory
    );
    let overlaps = pieces.iter().any(|piece| {
        engine.memory < piece.logical + piece.length as u64
            && piece.logical < engine.memory + engine.length
    });
    check!(
        Dma06,
        operation,
        !(engine.runs && overlaps),
        "The device still transfers {} bytes at {:#x}, which are being unmapped or freed.",
        engine.length,
        engine.memory
    );
}
