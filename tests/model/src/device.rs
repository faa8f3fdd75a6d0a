//! The device: what it does by itself, one step at a time, and what its registers answer.

use edu_controller::{Register, STATUS_COMPUTING, STATUS_INTERRUPT};

/// [`Register::DmaCommand`]: a transfer is under way.
const DMA_RUNNING: u32 = 1;
const CAUSE_FACTORIAL: u32 = 1;
const CAUSE_DMA: u32 = 0x100;
/// As many messages under way as make a difference.
const MOST_MESSAGES: u8 = 2;

/// How the device interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// A line, asserted as long as there is a cause.
    Line,
    /// A message whenever a cause is raised.
    Message,
}

/// What the device is given when it is started: where its registers are, and how it
/// interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resources {
    /// Number of the place of its registers.
    pub base: u8,
    /// How it interrupts.
    pub signal: Signal,
}

/// The device, as it stands between two of its steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    pub(crate) resources: Resources,
    /// What it computes the factorial of.
    operand: Option<u32>,
    /// It has computed it, and has not looked yet whether that is to interrupt: whoever polls
    /// the status sees that it is done before there is a cause.
    is_finishing: bool,
    factorial: u32,
    interrupts: bool,
    causes: u32,
    messages: u8,
    liveness: u32,
    /// Source, destination, count and command.
    dma: [u32; 4],
    /// The memory of the last transfer that has ended.
    pub(crate) last_memory: Option<u32>,
    /// It answers nothing any more.
    pub(crate) is_gone: bool,
}

/// A step that the device takes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceStep {
    /// A factorial is ready.
    Compute,
    /// The cause of that is raised, if it is to be.
    RaiseFactorial,
    /// A transfer has ended.
    Transfer,
    /// It is pulled out: every register reads as all ones from now on.
    Vanish,
}

impl Device {
    pub(crate) const fn new(resources: Resources) -> Self {
        Self {
            resources,
            operand: None,
            is_finishing: false,
            factorial: 0,
            interrupts: false,
            causes: 0,
            messages: 0,
            liveness: 0,
            dma: [0; 4],
            last_memory: None,
            is_gone: false,
        }
    }

    /// The steps that it can take now; that it is pulled out is not one of its own.
    pub(crate) fn steps(&self) -> impl Iterator<Item = DeviceStep> {
        let here = !self.is_gone;
        [
            (
                // One thread does both, in turn.
                here && self.is_computing() && !self.is_finishing,
                DeviceStep::Compute,
            ),
            (here && self.is_finishing, DeviceStep::RaiseFactorial),
            (here && self.is_transferring(), DeviceStep::Transfer),
        ]
        .into_iter()
        .filter_map(|(can, step)| can.then_some(step))
    }

    pub(crate) fn step(&mut self, step: DeviceStep) {
        match step {
            DeviceStep::Compute => {
                let n = self.operand.take().unwrap_or_default();
                self.factorial = factorial(n);
                self.is_finishing = true;
            }
            DeviceStep::RaiseFactorial => {
                self.is_finishing = false;
                if self.interrupts {
                    self.raise(CAUSE_FACTORIAL);
                }
            }
            DeviceStep::Transfer => {
                self.dma[3] &= !DMA_RUNNING;
                self.last_memory = Some(self.memory());
                self.raise(CAUSE_DMA);
            }
            DeviceStep::Vanish => self.is_gone = true,
        }
    }

    /// It has no power: it forgets what it was doing, and what it was told.
    pub(crate) const fn lose_power(&mut self) {
        let is_gone = self.is_gone;
        *self = Self::new(self.resources);
        self.is_gone = is_gone;
    }

    fn raise(&mut self, causes: u32) {
        self.causes |= causes;
        if self.resources.signal == Signal::Message && self.causes != 0 {
            self.messages = (self.messages + 1).min(MOST_MESSAGES);
        }
    }

    /// Whether a processor is interrupted. A message that is on its way comes, even if the
    /// device is gone meanwhile; a line that nobody drives is not asserted.
    pub(crate) const fn is_interrupting(&self) -> bool {
        match self.resources.signal {
            Signal::Line => self.causes != 0 && !self.is_gone,
            Signal::Message => self.messages > 0,
        }
    }

    /// A processor takes the interrupt.
    pub(crate) const fn take_interrupt(&mut self) {
        self.messages = self.messages.saturating_sub(1);
    }

    /// Whether what it does next comes at once, not after some time.
    pub(crate) const fn is_finishing(&self) -> bool {
        self.is_finishing && !self.is_gone
    }

    /// Whether the device reads or writes this memory.
    pub(crate) const fn uses(&self, memory: u32) -> bool {
        !self.is_gone && self.is_transferring() && self.memory() == memory
    }

    /// Whether a transfer is under way.
    pub(crate) const fn is_transferring(&self) -> bool {
        self.dma[3] & DMA_RUNNING != 0
    }

    /// Whether it computes a factorial.
    pub(crate) const fn is_computing(&self) -> bool {
        self.operand.is_some()
    }

    /// All transfers here are to the device: from memory, the source.
    const fn memory(&self) -> u32 {
        self.dma[0]
    }

    pub(crate) fn read(&self, register: Register) -> u32 {
        if self.is_gone {
            return u32::MAX;
        }
        match register {
            Register::Identification => 0x0100_00ed,
            Register::Liveness => !self.liveness,
            Register::Factorial => self.factorial,
            Register::Status => {
                let computing = if self.is_computing() {
                    STATUS_COMPUTING
                } else {
                    0
                };
                computing | if self.interrupts { STATUS_INTERRUPT } else { 0 }
            }
            Register::InterruptStatus => self.causes,
            Register::DmaSource => self.dma[0],
            Register::DmaDestination => self.dma[1],
            Register::DmaCount => self.dma[2],
            Register::DmaCommand => self.dma[3],
            Register::RaiseInterrupt | Register::Acknowledge => u32::MAX,
        }
    }

    pub(crate) fn write(&mut self, register: Register, value: u32) {
        if self.is_gone {
            return;
        }
        let dma = match register {
            Register::DmaSource => 0,
            Register::DmaDestination => 1,
            Register::DmaCount => 2,
            Register::DmaCommand => 3,
            Register::Factorial => {
                // Dropped without a word while it computes.
                if self.operand.is_none() {
                    self.operand = Some(value);
                }
                return;
            }
            Register::Liveness => return self.liveness = value,
            Register::Status => return self.interrupts = value & STATUS_INTERRUPT != 0,
            Register::RaiseInterrupt => return self.raise(value),
            Register::Acknowledge => return self.causes &= !value,
            Register::Identification | Register::InterruptStatus => return,
        };
        if !self.is_transferring() {
            self.dma[dma] = value;
        }
    }
}

/// `n!` modulo 2^32.
pub(crate) fn factorial(n: u32) -> u32 {
    (1..=n).fold(1, u32::wrapping_mul)
}
