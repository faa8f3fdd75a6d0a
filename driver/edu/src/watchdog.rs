//! The watchdog timer.
//!
//! It ticks from start to stop, and each tick counts down the deadline of the
//! operation under way, in the one critical section that also takes an operation
//! past its deadline away. Starting and cancelling a timer for each operation would
//! cost two calls into the kernel on the way of every request.

use dirql::{device::Device, irql::Dispatch, status::NtError, timer::CustomTimerDpc};
use edu_interface::{RecordKind, Section};

use crate::{Edu, recorder::section};

/// The routine of the watchdog timer.
#[derive(Debug)]
pub(crate) struct Watchdog;

impl CustomTimerDpc for Watchdog {
    type Extension = Edu;

    fn expired(device: &Device<Edu>, irql: &mut Dispatch) {
        let begun = device.recorder.begin();
        let late = look(device, irql);
        device
            .recorder
            .end(irql, RecordKind::Timer, begun, late.into());
    }
}

/// Takes away what is past its deadline; true if an operation was.
fn look(device: &Device<Edu>, irql: &mut Dispatch) -> bool {
    let looked = section(device, irql, Section::Timer, |_, shared| {
        (shared.0.tick(), shared.0.tick_transfer())
    });
    let Some((late, transfer_has_ended)) = looked else {
        return false;
    };
    if transfer_has_ended {
        let _queued = device.transfers.ended.queue();
    }
    let is_late = late.is_some();
    if let Some(packet) = late {
        packet.fail(irql, NtError::STATUS_IO_TIMEOUT);
    }
    is_late
}
