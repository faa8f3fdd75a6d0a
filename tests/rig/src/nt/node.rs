//! Device nodes: a PCI function, its PDO, its resources, its PnP state.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rig_protocol::IrqKind;
use wdk_sys::PDEVICE_OBJECT;

use crate::machine::log::log;
use crate::machine::pci::PciFunction;
use crate::machine::sync::IrqLock;
use crate::nt::device::Device;
use crate::nt::device_state::Registers;
use crate::nt::interrupt::target;
use crate::nt::irql::PASSIVE_LEVEL;
use crate::nt::legacy;
use crate::nt::pnp::State;
use crate::nt::power::record::Record;

/// Most messages that a device is granted.
pub(crate) const MAX_MESSAGES: usize = 8;

/// The interrupt that a device was assigned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InterruptResource {
    pub(crate) kind: IrqKind,
    /// The processors' vector; its class is the IRQL. Of several messages, the first's.
    pub(crate) vector: u8,
    /// The vectors of the messages after the first, and zeros.
    pub(crate) more: [u8; MAX_MESSAGES - 1],
    /// Its ISRs run at PASSIVE_LEVEL, in a thread.
    pub(crate) is_passive: bool,
    /// The interrupt controller's input, for a line.
    pub(crate) line: Option<u32>,
    /// The processor that takes it, or the first one of those that take turns.
    pub(crate) processor: usize,
}

impl InterruptResource {
    /// The vectors of its messages, or that of its line.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = u8> {
        let more = self.more.into_iter().take_while(|vector| *vector != 0);
        core::iter::once(self.vector).chain(more)
    }

    /// The IRQL at which its ISRs run: the highest of its vectors'.
    pub(crate) fn irql(&self) -> u8 {
        if self.is_passive {
            return PASSIVE_LEVEL;
        }
        self.vectors().map(|vector| vector >> 4).max().unwrap_or(0)
    }

    /// The processors that take it, as a mask.
    pub(crate) fn affinity(&self) -> u64 {
        target::affinity(self.processor)
    }
}

/// A device.
pub(crate) struct Node {
    index: u32,
    function: PciFunction,
    pdo: Device,
    power: Record,
    state: IrqLock<Dynamic>,
}

/// What changes about a device.
struct Dynamic {
    state: State,
    memory: (u64, usize),
    interrupt: InterruptResource,
    registers: Option<Registers>,
    open_files: usize,
    /// PnP actions and IRPs that are under way, one inside the other.
    changing: usize,
    /// Those that were, which changed the state or not.
    changes: u64,
}

/// A PnP state at rest, and which one it is of those that the device has been in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    /// The state.
    pub(crate) state: State,
    changes: u64,
}

/// A shared reference to a device; nodes are never freed.
pub(crate) type NodeRef = Arc<Node>;

/// All devices, in the order in which they were found.
static NODES: IrqLock<Vec<NodeRef>> = IrqLock::new(Vec::new());

/// Adds a device and says what it is.
pub(crate) fn add(
    index: u32,
    function: PciFunction,
    pdo: Device,
    memory: (u64, usize),
    interrupt: InterruptResource,
) -> NodeRef {
    let node = Arc::new(Node {
        index,
        function,
        pdo,
        power: Record::new(),
        state: IrqLock::new(Dynamic {
            state: State::Enumerated,
            memory,
            interrupt,
            registers: Registers::map(memory.0),
            open_files: 0,
            changing: 0,
            changes: 0,
        }),
    });
    NODES.with(|nodes| nodes.push(node.clone()));
    node
}

/// All devices.
pub(crate) fn all() -> Vec<NodeRef> {
    NODES.with(|nodes| nodes.clone())
}

/// How many devices have a driver.
pub(crate) fn count_assigned() -> usize {
    let all = all();
    all.iter()
        .filter(|node| !node.state().is_unassigned())
        .count()
}

/// The device with this number.
pub(crate) fn by_index(index: u32) -> Option<NodeRef> {
    NODES.with(|nodes| nodes.iter().find(|node| node.index == index).cloned())
}

/// The device whose PDO this is.
pub(crate) fn of_pdo(pdo: PDEVICE_OBJECT) -> Option<NodeRef> {
    NODES.with(|nodes| nodes.iter().find(|node| node.pdo.pointer() == pdo).cloned())
}

/// The device in whose stack this device object is.
pub(crate) fn of_stack(device: Device) -> Option<NodeRef> {
    all().into_iter().find(|node| {
        let mut at = Some(node.pdo);
        while let Some(object) = at {
            if object == device {
                return true;
            }
            at = Device::find(object.attached());
        }
        false
    })
}

/// The device in whose memory a physical range lies, if it has its resources.
pub(crate) fn owner_of_memory(physical: u64, length: u64) -> Option<NodeRef> {
    all().into_iter().find(|node| {
        let (base, size) = node.memory();
        let end = base + size as u64;
        (node.state().has_resources() || legacy::hardware::is_claimed(node.index))
            && physical >= base
            && physical.checked_add(length).is_some_and(|last| last <= end)
    })
}

impl Node {
    /// The device's number.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The PCI function.
    pub(crate) fn function(&self) -> PciFunction {
        self.function
    }

    /// The physical device object.
    pub(crate) fn pdo(&self) -> Device {
        self.pdo
    }

    /// Base and length of its memory range.
    pub(crate) fn memory(&self) -> (u64, usize) {
        self.state.with(|dynamic| dynamic.memory)
    }

    /// Its interrupt.
    pub(crate) fn interrupt(&self) -> InterruptResource {
        self.state.with(|dynamic| dynamic.interrupt)
    }

    /// The executive's own view of its registers.
    pub(crate) fn registers(&self) -> Option<Registers> {
        self.state.with(|dynamic| dynamic.registers)
    }

    /// What it interrupts for now; `None` when it does not answer.
    pub(crate) fn causes(&self) -> Option<u32> {
        self.registers().and_then(Registers::causes)
    }

    /// Assigns it other resources, while its driver uses none.
    pub(crate) fn assign(&self, memory: (u64, usize), interrupt: InterruptResource) {
        let registers = Registers::map(memory.0);
        self.state.with(|dynamic| {
            dynamic.memory = memory;
            dynamic.interrupt = interrupt;
            dynamic.registers = registers;
        });
    }

    /// What the power manager knows of it.
    pub(crate) fn power(&self) -> &Record {
        &self.power
    }

    /// Its PnP state.
    pub(crate) fn state(&self) -> State {
        self.state.with(|dynamic| dynamic.state)
    }

    /// Changes its PnP state.
    pub(crate) fn set_state(&self, state: State) {
        self.state.with(|dynamic| dynamic.state = state);
    }

    /// Runs `change`, in which the device may come to another state.
    pub(crate) fn while_changing<R>(&self, change: impl FnOnce() -> R) -> R {
        self.state.with(|dynamic| dynamic.changing += 1);
        let result = change();
        self.state.with(|dynamic| {
            dynamic.changing -= 1;
            dynamic.changes += 1;
        });
        result
    }

    /// The state that the device and its driver are in; none during a PnP action, which
    /// may have brought the driver to the next one already.
    pub(crate) fn rest(&self) -> Option<Rest> {
        self.state.with(|dynamic| {
            (dynamic.changing == 0).then_some(Rest {
                state: dynamic.state,
                changes: dynamic.changes,
            })
        })
    }

    /// Files that are open on it.
    pub(crate) fn open_files(&self) -> usize {
        self.state.with(|dynamic| dynamic.open_files)
    }

    /// A file is being opened; `false` when the device does not take any more.
    pub(crate) fn begin_open(&self) -> bool {
        self.state.with(|dynamic| {
            let may_open = dynamic.state.takes_opens();
            dynamic.open_files += usize::from(may_open);
            may_open
        })
    }

    /// A file is gone; says how many are left.
    pub(crate) fn end_open(&self) -> usize {
        self.state.with(|dynamic| {
            dynamic.open_files = dynamic.open_files.saturating_sub(1);
            dynamic.open_files
        })
    }

    /// The device instance path.
    pub(crate) fn instance_path(&self) -> String {
        format!(
            r"PCI\VEN_1234&DEV_11E8&SUBSYS_11001AF4&REV_10\0&{:02X}{:02X}",
            self.function.bus,
            u32::from(self.function.device) << 3 | u32::from(self.function.function)
        )
    }

    /// Where it sits, for people.
    pub(crate) fn location(&self) -> String {
        format!(
            "PCI bus {}, device {}, function {}",
            self.function.bus, self.function.device, self.function.function
        )
    }

    /// The PDO's name in the object manager.
    pub(crate) fn object_name(&self) -> String {
        format!(r"\Device\NTPNP_PCI{:04}", self.index)
    }

    /// The bus's number.
    pub(crate) fn bus_number(&self) -> u32 {
        u32::from(self.function.bus)
    }

    /// The address on the bus: device in the high half, function in the low.
    pub(crate) fn bus_address(&self) -> u32 {
        u32::from(self.function.device) << 16 | u32::from(self.function.function)
    }
}

/// Writes every device's state to the log, for a run that hangs.
pub(crate) fn describe() {
    for node in all() {
        log!(
            "Device {} (PDO {:p}, above it {:p}) is {:?}, with {} files open.",
            node.index,
            node.pdo.pointer(),
            node.pdo.attached(),
            node.state(),
            node.open_files()
        );
    }
}
