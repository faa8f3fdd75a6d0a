//! A short life with a driver: everything that a program and the system ask of it, once.

use anyhow::ensure;
use eductl::{
    Device, DeviceError, NtStatus, Open, Transport as _, TransportError,
    rig::{Rig, RigHandle},
};
use rig_protocol::Action;

use crate::cases::{
    pending::{LONG_MS, expect_factorial, start_factorial},
    support::{computes, fails_with},
    transfers::{pattern, read, write},
};

/// Bytes of a transfer: over the end of a page.
const LENGTH: usize = 3_000;

/// What opening a device answers that is gone.
const GONE: [NtStatus; 2] = [NtStatus::NO_SUCH_DEVICE, NtStatus::DELETE_PENDING];

/// A life in which things may fail, each with one of these statuses; it goes on then, and
/// the device may be gone at its end.
pub(super) struct Life<'a> {
    pub(super) rig: &'a Rig,
    pub(super) may_fail: &'a [NtStatus],
}

impl Life<'_> {
    /// Lives it, with numbers of its own.
    pub(super) fn live(&self, number: u32) -> anyhow::Result<()> {
        let handle = match self.rig.open_handle(&Open::read_write(0)) {
            Ok(handle) => handle,
            Err(error) => return self.tolerate("opening it", Err(error)),
        };
        self.ask(&handle, number)?;
        for action in [
            Action::Sleep,
            Action::Wake,
            // One whose driver was refused the power IRP sleeps until somebody asks.
            Action::DeviceWake,
            Action::Stop,
            Action::Start,
        ] {
            self.act(action)?;
        }
        self.ask(&handle, number + 1)?;
        Box::new(handle).close()?;
        Ok(())
    }

    /// One action, if it is possible now.
    fn act(&self, action: Action) -> anyhow::Result<()> {
        self.tolerate(&format!("{action:?}"), if_possible(self.rig, action))
    }

    /// One request of each kind, and two at the same time.
    fn ask(&self, handle: &RigHandle, number: u32) -> anyhow::Result<()> {
        let device = Device::new(handle);
        let both = [number, number + 1].map(|n| start_factorial(handle, n % 13));
        for (pending, n) in both.into_iter().zip([number, number + 1]) {
            let done = pending.and_then(|pending| expect_factorial(pending, n % 13));
            self.tolerate_any("a factorial", done)?;
        }
        let raised = device.raise(2 << (number % 8), LONG_MS);
        self.tolerate("a raised interrupt", raised.map(drop))?;
        self.tolerate("STATISTICS", device.statistics().map(drop))?;
        self.tolerate_any("a transfer", move_bytes(handle, number))
    }

    fn tolerate<E: Into<DeviceError>>(
        &self,
        what: &str,
        answer: Result<(), E>,
    ) -> anyhow::Result<()> {
        match answer {
            Ok(()) => Ok(()),
            Err(error) => fails_with::<(), _>(what, Err(error.into()), self.may_fail),
        }
    }

    /// As [`tolerate`](Self::tolerate), for what may also be wrong.
    fn tolerate_any(&self, what: &str, answer: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = answer else { return Ok(()) };
        let failure = match error.downcast::<TransportError>() {
            Ok(failure) => DeviceError::from(failure),
            Err(error) => error.downcast()?,
        };
        self.tolerate(what, Err(failure))
    }
}

/// Writes, and reads what was written.
fn move_bytes(handle: &RigHandle, number: u32) -> anyhow::Result<()> {
    let bytes = pattern(number, LENGTH);
    write(handle, 0, &bytes)?;
    let found = read(handle, 0, LENGTH)?;
    ensure!(found == bytes, "what was read is not what was written");
    Ok(())
}

/// Has the device go through an action, if that is possible in the state that it is in when
/// its turn comes.
pub(in crate::cases) fn if_possible(rig: &Rig, action: Action) -> Result<(), TransportError> {
    match rig.pnp(0, action) {
        Err(TransportError::Lost { reason, .. }) if reason.contains("not possible") => Ok(()),
        done => done,
    }
}

/// The device does what it is asked; one that is gone is started again first.
pub(in crate::cases) fn is_well(rig: &Rig) -> anyhow::Result<()> {
    let handle = match rig.open_handle(&Open::read_write(0)) {
        Ok(handle) => handle,
        Err(error) => {
            fails_with::<(), _>("opening it", Err(error), &GONE)?;
            rig.pnp(0, Action::Start)?;
            rig.open_handle(&Open::read_write(0))?
        }
    };
    computes(&Device::new(&handle), 6, LONG_MS)?;
    Box::new(handle).close()?;
    Ok(())
}
