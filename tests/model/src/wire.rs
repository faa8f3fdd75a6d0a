//! The registers as the controller reaches them.
//!
//! The controller owns its registers, and the device takes steps of its own: so the
//! controller's are a wire to the device, which is at its end while a transition runs.

use std::cell::RefCell;

use edu_controller::{Register, Registers};

use crate::device::{Device, DeviceStep};

/// What the device does between two accesses of one critical section: the interrupt's lock
/// keeps processors out, not the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meanwhile {
    /// The step.
    pub step: DeviceStep,
    /// How many accesses come before it.
    pub before: u8,
}

/// What hangs at the wire while a transition runs.
pub(crate) struct Rules {
    /// Whether the registers may be accessed.
    pub(crate) is_allowed: bool,
    /// What is wrong with the wire: writes to this register are lost.
    pub(crate) swallows: Option<Register>,
    /// A step that the device takes between two accesses.
    pub(crate) meanwhile: Option<Meanwhile>,
}

/// What a transition has seen of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// The first register that was accessed though that was not allowed.
    pub(crate) forbidden: Option<Register>,
    /// The interrupt status, as it was read first.
    pub(crate) causes: Option<u32>,
    /// Causes that were pending, and were acknowledged before they were read.
    pub(crate) unseen: u32,
    /// Causes that were acknowledged.
    pub(crate) acknowledged: u32,
    /// Causes that were read.
    read: u32,
    /// Accesses that were made.
    pub(crate) accesses: u8,
}

/// The device at the end, and what has happened.
struct End {
    device: Device,
    rules: Rules,
    seen: Seen,
}

thread_local! {
    static END: RefCell<Option<End>> = const { RefCell::new(None) };
}

/// The registers of the device at the end of the wire, mapped where they were at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wire {
    /// The place; the device's may be another one by now.
    pub(crate) base: u8,
}

impl Wire {
    /// Runs a transition with this device at the end of the wire. What it returns, and what it
    /// has seen.
    pub(crate) fn to<R>(
        device: &mut Device,
        rules: Rules,
        transition: impl FnOnce() -> R,
    ) -> (R, Seen) {
        END.set(Some(End {
            device: device.clone(),
            rules,
            seen: Seen::default(),
        }));
        let result = transition();
        let end = END.take();
        let seen = end.map(|end| {
            *device = end.device;
            end.seen
        });
        (result, seen.unwrap_or_default())
    }

    fn access<R>(self, register: Register, nobody: R, access: impl FnOnce(&mut End) -> R) -> R {
        END.with_borrow_mut(|end| {
            let Some(end) = end else { return nobody };
            if let Some(Meanwhile { step, before }) = end.rules.meanwhile
                && before == end.seen.accesses
            {
                end.device.step(step);
            }
            end.seen.accesses = end.seen.accesses.saturating_add(1);
            if !end.rules.is_allowed {
                end.seen.forbidden.get_or_insert(register);
            }
            if end.device.resources.base != self.base {
                end.seen.forbidden.get_or_insert(register);
                return nobody;
            }
            access(end)
        })
    }
}

impl Registers for Wire {
    fn read(&mut self, register: Register) -> u32 {
        self.access(register, u32::MAX, |end| {
            let value = end.device.read(register);
            if register == Register::InterruptStatus {
                end.seen.causes.get_or_insert(value);
                end.seen.read |= value;
            }
            value
        })
    }

    fn write(&mut self, register: Register, value: u32) {
        self.access(register, (), |end| {
            if register == Register::Acknowledge {
                let pending = end.device.read(Register::InterruptStatus);
                end.seen.unseen |= pending & value & !end.seen.read;
            }
            if end.rules.swallows == Some(register) {
                return;
            }
            if register == Register::Acknowledge {
                end.seen.acknowledged |= value;
            }
            end.device.write(register, value);
        });
    }
}
