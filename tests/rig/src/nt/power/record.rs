//! What the power manager knows of one device.

use alloc::collections::VecDeque;

use wdk_sys::DEVICE_POWER_STATE;

use crate::machine::sync::IrqLock;
use crate::nt::irp::Irp;
use crate::nt::power::{D0, UNSPECIFIED};

/// The record; a part of the device's node.
pub(crate) struct Record(IrqLock<Inner>);

struct Inner {
    /// The state that the bus driver has put the device into.
    hardware: DEVICE_POWER_STATE,
    /// What the function driver said last, by PoSetPowerState.
    reported: DEVICE_POWER_STATE,
    /// A device set-power IRP is under way.
    is_busy: bool,
    /// Device set-power IRPs that wait for that one.
    waiting: VecDeque<Irp>,
    /// Device set-power IRPs that were asked for, ever.
    requested: u64,
}

impl Record {
    /// Of a device that was never started.
    pub(crate) const fn new() -> Self {
        Self(IrqLock::new(Inner {
            hardware: D0,
            reported: UNSPECIFIED,
            is_busy: false,
            waiting: VecDeque::new(),
            requested: 0,
        }))
    }

    /// The state that the bus driver has put the device into.
    pub(crate) fn hardware(&self) -> DEVICE_POWER_STATE {
        self.0.with(|inner| inner.hardware)
    }

    pub(super) fn set_hardware(&self, state: DEVICE_POWER_STATE) {
        self.0.with(|inner| inner.hardware = state);
    }

    /// What the function driver said last.
    pub(super) fn reported(&self) -> DEVICE_POWER_STATE {
        self.0.with(|inner| inner.reported)
    }

    /// The function driver says in which state its device is; what it said before.
    pub(super) fn report(&self, state: DEVICE_POWER_STATE) -> DEVICE_POWER_STATE {
        self.0
            .with(|inner| core::mem::replace(&mut inner.reported, state))
    }

    /// Whether a device set-power IRP is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.0.with(|inner| inner.is_busy)
    }

    /// How many device set-power IRPs were asked for.
    pub(super) fn requested(&self) -> u64 {
        self.0.with(|inner| inner.requested)
    }

    /// A device set-power IRP was asked for; it comes back if it may be sent now.
    pub(super) fn begin(&self, irp: Irp) -> Option<Irp> {
        self.0.with(|inner| {
            inner.requested += 1;
            if inner.is_busy {
                inner.waiting.push_back(irp);
                None
            } else {
                inner.is_busy = true;
                Some(irp)
            }
        })
    }

    /// A device set-power IRP has ended; the next one, which may be sent now.
    pub(super) fn end(&self) -> Option<Irp> {
        self.0.with(|inner| {
            let next = inner.waiting.pop_front();
            inner.is_busy = next.is_some();
            next
        })
    }

    /// The device is being started, which puts it into D0, or was removed.
    pub(crate) fn reset(&self) {
        self.0.with(|inner| {
            inner.hardware = D0;
            inner.reported = UNSPECIFIED;
        });
    }
}
