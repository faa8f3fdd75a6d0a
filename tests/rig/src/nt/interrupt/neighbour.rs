//! `neighbour=SEED`: another device shares the driver's line, and storms.
//!
//! The last `edu` device of the machine is the executive's own then. By the clock, by
//! chance, it begins a burst: it interrupts, and as often as the burst is long it does so
//! again as soon as it was served. Its ISR is the last of the line's chain, so the driver's
//! is called for each of these interrupts.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rig_protocol::IrqKind;

use crate::machine::log::log;
use crate::machine::pci::PciFunction;
use crate::machine::stop::refuse;
use crate::machine::sync::IrqLock;
use crate::nt::chance::{self, Choice};
use crate::nt::device_state::Registers;
use crate::nt::{REGISTERS_BAR, node, options};

/// Of so many clock interrupts one begins a burst, on average.
const ONE_IN: u64 = 16;
/// The longest burst.
const LONGEST: u64 = 8;
/// What it interrupts for: any cause does.
const CAUSE: u32 = 1;

/// Off unless the run asks for it.
static IS_ON: AtomicBool = AtomicBool::new(false);
/// How often the device interrupts again in this burst.
static BURST: AtomicU64 = AtomicU64::new(0);
/// Its registers, and the vector of the line.
static DEVICE: IrqLock<Option<(Registers, u8)>> = IrqLock::new(None);

/// Begins, with the seed that the text says; `false` when it says none.
pub(crate) fn choose(text: &str) -> bool {
    let is_seed = chance::begin_with(text);
    IS_ON.store(is_seed, Ordering::Relaxed);
    is_seed
}

/// Takes the last device away from those that the driver gets, if the run asks for it.
pub(crate) fn take(functions: &mut Vec<PciFunction>) -> Option<PciFunction> {
    if !IS_ON.load(Ordering::Relaxed) {
        return None;
    }
    if options::get().irq != IrqKind::Intx || functions.len() < 2 {
        refuse(format_args!(
            "The option 'neighbour' needs lines, irq=intx, and one edu device more than the driver is to have."
        ));
    }
    functions.pop()
}

/// The neighbour begins to interrupt, beside a device that was started.
pub(crate) fn begin(function: PciFunction) {
    let line = function.line_gsi();
    let shared = node::all()
        .into_iter()
        .find(|node| line.is_some() && node.interrupt().line == line);
    let memory = function.memory_bar(REGISTERS_BAR);
    function.set_memory_space(true);
    let registers = memory.and_then(|(base, _)| Registers::map(base));
    let (Some(node), Some(registers)) = (shared, registers) else {
        refuse(format_args!(
            "The last edu device cannot be a neighbour: it shares its line with no device of the driver's, or has no registers."
        ));
    };
    let vector = node.interrupt().vector;
    DEVICE.with(|device| *device = Some((registers, vector)));
    log!(
        "Device {} has a neighbour on its line, vector {vector:#x}.",
        node.index()
    );
}

/// The neighbour's ISR: whether it was its interrupt. At the vector's IRQL.
pub(super) fn serve(vector: u8) -> bool {
    let device = DEVICE.with(|device| device.filter(|(_, own)| *own == vector));
    let Some((registers, _)) = device else {
        return false;
    };
    let causes = registers.causes().unwrap_or(0);
    if causes == 0 {
        return false;
    }
    registers.acknowledge(causes);
    let goes_on = BURST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |burst| {
        burst.checked_sub(1)
    });
    if goes_on.is_ok() {
        registers.raise(CAUSE);
    }
    true
}

/// Perhaps a burst begins. Each processor's clock.
pub(super) fn clock() {
    let Some((registers, _)) = DEVICE.with(|device| *device) else {
        return;
    };
    let number = chance::number(Choice::Neighbour);
    if !number.is_multiple_of(ONE_IN) {
        return;
    }
    if BURST.load(Ordering::Relaxed) == 0 {
        BURST.store(number / ONE_IN % LONGEST, Ordering::Relaxed);
        registers.raise(CAUSE);
    }
}
