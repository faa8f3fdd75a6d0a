//! What the executive itself sees of a device: whether it could interrupt now.
//!
//! A driver lets its device interrupt only while somebody listens, and silences it
//! before nobody does. The executive looks into the device's registers at those
//! moments, through a mapping of its own. It also makes a device forget what it was
//! told when its power goes, which the emulated device by itself does not.
//!
//! # Soundness
//! 1. A mapping that [`Registers::map`] made is never unmapped, and what lies there
//!    is reached by volatile access alone. Reading these registers changes nothing; they are
//!    written when the device loses its power, and those of a device that is the rig's own.

use crate::machine::memory;
use crate::machine::time::{SpinLimit, stall};
use crate::nt::node::Node;
use crate::nt::violation::check;

/// Bytes of the range that hold the registers that are read here.
const LENGTH: usize = 0xa0;
const LIVENESS: usize = 0x04;
/// Bit 7: interrupt when a factorial is ready.
const STATUS: usize = 0x20;
/// Causes that were not acknowledged.
const INTERRUPT_STATUS: usize = 0x24;

const INTERRUPT_RAISE: usize = 0x60;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
/// Source, destination and count of a DMA transfer, which a running one ignores.
const DMA_ADDRESSES: [usize; 3] = [0x80, 0x88, 0x90];

/// Bit 0: a transfer is under way.
const DMA_COMMAND: usize = 0x98;
const DMA_RUNNING: u32 = 0x01;

/// What stands in a register whose contents are lost.
const FORGOTTEN: u32 = 0x6c6f_7374;
const STATUS_INTERRUPT: u32 = 0x80;
const STATUS_COMPUTING: u32 = 0x01;
/// The one cause that can come a moment after its enable bit was cleared: the device
/// looks at the bit before it raises the cause.
const CAUSE_FACTORIAL: u32 = 0x01;
/// What the registers of a device read as that does not answer.
const ABSENT: u32 = u32::MAX;
/// Microseconds from the device's look at its enable bit to its interrupt, and many more.
const SETTLING_US: u64 = 20_000;

/// The executive's own mapping of a device's registers.
#[derive(Clone, Copy)]
pub(crate) struct Registers(*const u32);

// SAFETY: Fact 1: a mapping is the whole system's and stays.
unsafe impl Send for Registers {}
// SAFETY: As above.
unsafe impl Sync for Registers {}

impl Registers {
    /// Maps the registers of the device whose memory begins here.
    pub(crate) fn map(physical: u64) -> Option<Self> {
        memory::map_device(physical, LENGTH).map(|base| Self(base.cast_const().cast()))
    }

    /// What the device had been told is lost, as when its power goes: it interrupts no
    /// more, and what can be read back reads as something else.
    pub(crate) fn lose_context(self) {
        if self.read(STATUS) == ABSENT {
            return;
        }
        self.write(STATUS, 0);
        self.write(INTERRUPT_ACKNOWLEDGE, u32::MAX);
        self.write(LIVENESS, FORGOTTEN);
        for register in DMA_ADDRESSES {
            self.write(register, FORGOTTEN);
        }
    }

    /// Waits until the device has done what it still does, and has it forget that and
    /// what it was told.
    pub(crate) fn come_to_rest(self) {
        let mut limit = SpinLimit::new("the end of what a device still does");
        while self.is_busy() {
            limit.spin();
        }
        self.lose_context();
    }

    /// Whether the device is there and does something.
    fn is_busy(self) -> bool {
        let status = self.read(STATUS);
        status != ABSENT
            && (status & STATUS_COMPUTING != 0 || self.read(DMA_COMMAND) & DMA_RUNNING != 0)
    }

    /// Keeps the device from interrupting when a factorial is ready, and waits until one
    /// that was ready already has.
    pub(crate) fn forbid_interrupts(self) {
        self.write(STATUS, 0);
        stall(SETTLING_US);
    }

    fn write(self, offset: usize, value: u32) {
        // SAFETY: As in `read`.
        let register = unsafe { self.0.byte_add(offset) };
        // SAFETY: As in `read`; what the registers held is lost, which is what the callers
        // are there for.
        unsafe { register.cast_mut().write_volatile(value) };
    }

    fn read(self, offset: usize) -> u32 {
        // SAFETY: The offset is one of the constants above, inside the mapping.
        let register = unsafe { self.0.byte_add(offset) };
        // SAFETY: Fact 1; the constants are multiples of four.
        unsafe { register.read_volatile() }
    }

    /// The causes that were not acknowledged; `None` when the device is not there.
    pub(crate) fn causes(self) -> Option<u32> {
        Some(self.read(INTERRUPT_STATUS)).filter(|causes| *causes != ABSENT)
    }

    /// Has the device interrupt.
    pub(crate) fn raise(self, causes: u32) {
        self.write(INTERRUPT_RAISE, causes);
    }

    /// Ends these causes.
    pub(crate) fn acknowledge(self, causes: u32) {
        self.write(INTERRUPT_ACKNOWLEDGE, causes);
    }

    /// Why the device could interrupt now; `None` if it could not, or is not there.
    fn unsilenced(self) -> Option<(u32, u32)> {
        let (status, causes) = (self.read(STATUS), self.read(INTERRUPT_STATUS));
        let is_there = status != ABSENT;
        let may_interrupt = status & STATUS_INTERRUPT != 0 || causes & !CAUSE_FACTORIAL != 0;
        (is_there && may_interrupt).then_some((status, causes))
    }
}

/// Checks, when an interrupt is connected or made active, that its device does not
/// interrupt yet.
pub(crate) fn assert_not_enabled_yet(routine: &str, node: &Node) {
    let found = node.registers().and_then(Registers::unsilenced);
    let (status, causes) = found.unwrap_or_default();
    check!(
        Int04,
        routine,
        found.is_none(),
        "Device {} may interrupt already (status {status:#x}, causes {causes:#x}), while its interrupt is not active yet.",
        node.index()
    );
}

/// Checks, when an interrupt is disconnected or made inactive, that its device was
/// silenced.
pub(crate) fn assert_silenced(routine: &str, node: &Node) {
    let found = node.registers().and_then(Registers::unsilenced);
    let (status, causes) = found.unwrap_or_default();
    check!(
        Int05,
        routine,
        found.is_none(),
        "Device {} may still interrupt (status {status:#x}, causes {causes:#x}), and its interrupt is to be active no more.",
        node.index()
    );
}
