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

/// What hangs at the wire.
struct End {
    device: Device,
    /// Whether the registers may be accessed.
    is_allowed: bool,
    /// What is wrong with the wire: writes to this register are lost.
    swallows: Option<Register>,
    /// An access that was not allowed.
    forbidden: Option<Register>,
    /// A step that the device takes before an access: before the first, if it is 0.
    meanwhile: Option<Meanwhile>,
    /// Accesses that were made.
    accesses: u8,
}

thread_local! {
    static END: RefCell<Option<End>> = const { RefCell::new(None) };
}

/// The registers of the device at the end of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wire;

impl Wire {
    /// Runs a transition with this device at the end of the wire. What it returns, and the
    /// first register that was accessed though that was not allowed.
    pub(crate) fn to<R>(
        device: &mut Device,
        is_allowed: bool,
        swallows: Option<Register>,
        meanwhile: Option<Meanwhile>,
        transition: impl FnOnce() -> R,
    ) -> (R, Option<Register>) {
        END.set(Some(End {
            device: device.clone(),
            is_allowed,
            swallows,
            forbidden: None,
            meanwhile,
            accesses: 0,
        }));
        let result = transition();
        let end = END.take();
        let forbidden = end.and_then(|end| {
            *device = end.device;
            end.forbidden
        });
        (result, forbidden)
    }

    fn access<R>(register: Register, otherwise: R, access: impl FnOnce(&mut End) -> R) -> R {
        END.with_borrow_mut(|end| match end {
            Some(end) => {
                if let Some(Meanwhile { step, before }) = end.meanwhile
                    && before == end.accesses
                {
                    end.device.step(step);
                }
                end.accesses = end.accesses.saturating_add(1);
                if !end.is_allowed {
                    end.forbidden.get_or_insert(register);
                }
                access(end)
            }
            None => otherwise,
        })
    }
}

impl Registers for Wire {
    fn read(&mut self, register: Register) -> u32 {
        Self::access(register, u32::MAX, |end| end.device.read(register))
    }

    fn write(&mut self, register: Register, value: u32) {
        Self::access(register, (), |end| {
            if end.swallows != Some(register) {
                end.device.write(register, value);
            }
        });
    }
}
