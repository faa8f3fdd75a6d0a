//! Power: the driver as the power policy owner of its device. Wraps `PoRequestPowerIrp`,
//! `PoSetPowerState`.
//!
//! # Model
//!
//! ```text
//!  power manager        this crate                                    drivers below
//!  query S3  ---------> forward -----------------------------------------> agree
//!                       query D3 <-- PoRequestPowerIrp
//!                         query_power: may refuse ------------------------> agree
//!  (done)    <--------- query S3 ends as query D3 did
//!
//!  set S3    ---------> forward -----------------------------------------> done
//!                       set D3 <-- PoRequestPowerIrp
//!                         hold packets, power_down, PoSetPowerState ------> power off
//!  (asleep)  <--------- set S3 ends as set D3 did
//!
//!  set S0    ---------> forward -----------------------------------------> done
//!  (awake)   <--------- set S0 ends at once
//!                       set D0 <-- PoRequestPowerIrp
//!                         (nothing) --------------------------------------> power on
//!                         power_up, PoSetPowerState, packets go on
//! ```
//!
//! START_DEVICE implies D0, and removal implies D3: neither sends a power IRP. Every sleeping
//! state of the system is D3 for the device, which every bus allows in all of them.
//!
//! While a device sleeps its packets are held. What its registers will have forgotten is
//! saved by [`Interrupt::suspend`](crate::interrupt::Interrupt::suspend), which belongs into
//! `power_down`; `resume` belongs into `power_up`. In between no code can reach the registers,
//! for they belong to the state that the interrupt owns and lends to nobody.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | [`Power::query_power`] | the power manager | `UpToDispatch` | no |
//! | [`Power::power_down`], [`Power::power_up`] | the power manager, a completion, a worker | `Passive` | yes, briefly |
//!
//! Power IRPs come at DISPATCH_LEVEL in a stack without DO_POWER_PAGABLE, and completion
//! routines may run there in any stack. What has to run at PASSIVE_LEVEL then moves to a
//! work item, which AddDevice has allocated, so that it cannot fail.
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 35. **Hold.** A power IRP holds the remove lock of its device from the dispatch routine
//!     until it is completed or passed on for good; so the device, its work item and its
//!     extension are there in every completion routine and in the work item's routine.
//! 36. **One at a time.** The power manager sends a device its next set-power IRP when the
//!     one before has been completed; so the work item has one user at most.
//!
//! Beside these, which memory safety rests on, `exclusive` lets one thread at a time change
//! a device's state, PnP's requests included: they may come while a device wakes up.
//!
//! # Not here
//!
//! Wake-up by the device (IRP_MN_WAIT_WAKE), idle detection, D1 and D2 as states of their
//! own choice: an IRP that asks for them is obeyed like one that asks for D3.
//!
//! See "Handling Power IRPs", "Sending a Device Set-Power IRP in Response to a System
//! Set-Power IRP" and "Handling IRP_MN_SET_POWER for Device Power States".

mod dispatch;
mod record;
mod request;
mod transition;

pub(crate) use dispatch::dispatch;
pub(crate) use record::PowerRecord;
pub(crate) use transition::started;

use crate::{
    device::Device,
    driver::Driver,
    irql::{Passive, UpToDispatch},
    start_io::Packet,
    status::Result,
    sys,
};

/// A device power state. Is `DEVICE_POWER_STATE`; see "Device Power States".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum DeviceState {
    /// Working.
    D0 = 1,
    /// Less power than D0.
    D1 = 2,
    /// Less power than D1.
    D2 = 3,
    /// Off: the device has forgotten everything.
    D3 = 4,
}

impl DeviceState {
    /// What an IRP calls so; `None` if there is no such state.
    const fn from_irp(state: sys::DEVICE_POWER_STATE) -> Option<Self> {
        match state {
            1 => Some(Self::D0),
            2 => Some(Self::D1),
            3 => Some(Self::D2),
            4 => Some(Self::D3),
            _ => None,
        }
    }

    /// The state in which a device is while the system is in this one.
    const fn for_system(state: sys::SYSTEM_POWER_STATE) -> Self {
        /// `PowerSystemWorking`.
        const WORKING: sys::SYSTEM_POWER_STATE = 1;
        if state == WORKING { Self::D0 } else { Self::D3 }
    }

    const fn as_power_state(self) -> sys::POWER_STATE {
        sys::POWER_STATE {
            DeviceState: self as sys::DEVICE_POWER_STATE,
        }
    }
}

#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how its device sleeps",
    label = "`power()` needs `{Self}: Power`",
    note = "implement `dirql::power::Power`: silence and save in `power_down`, restore in `power_up`"
)]
/// A driver whose device can sleep; named by
/// [`Routines::power`](crate::driver::Routines::power).
pub trait Power: Driver {
    /// IRP_MN_QUERY_POWER: may the device go to this state? An error refuses, and with it
    /// the system's sleep; nothing changes yet either way.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// Why the device has to stay as it is. See "Failing a System Query-Power IRP in a
    /// Filter or Function Driver".
    fn query_power(
        _device: &Device<Self>,
        _irql: &mut UpToDispatch,
        _to: DeviceState,
    ) -> Result<()> {
        Ok(())
    }

    /// IRP_MN_SET_POWER to D1, D2 or D3, before the drivers below: stop timers, silence the
    /// device, save what it will forget, suspend the interrupt. Packets are held already.
    /// Returns the packet that was in the device's hands; it is started again when the
    /// device is back in D0.
    ///
    /// Also called after a [`power_up`](Self::power_up) that failed, when nothing is left to
    /// be done.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL. See "Handling Device Power-Down IRPs".
    fn power_down(device: &Device<Self>, irql: &mut Passive, to: DeviceState) -> Option<Packet>;

    /// IRP_MN_SET_POWER to D0, after the drivers below: resume the interrupt, which restores
    /// what was saved, and start timers. Packets go on afterwards.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL. See "Handling Device Power-Up IRPs".
    ///
    /// # Errors
    /// Why the device does not work. The IRP may not fail for that, so the packets do, with
    /// this error, until the device is put to sleep and woken again, or restarted.
    fn power_up(device: &Device<Self>, irql: &mut Passive) -> Result<()>;
}
