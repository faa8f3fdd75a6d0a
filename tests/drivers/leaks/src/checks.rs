//! The checks: each but the first forgets a handle.

use dirql::{
    device::Device,
    device_property::{Text, Texts},
    irp::{Buffers as _, Dispatched, Irp},
    irql::{Passive, UpToDispatch},
    pool::{PoolBox, PoolVec, Tag},
    status::NtError,
};
use test_driver::{Failed, Outcome, check, figures, request, until};

use crate::{AtStop, Leaks};

/// The tag of what is leaked.
const TAG: Tag = Tag::new(*b"Leak");

/// The driver works: an interrupt comes and its DPC too, pool comes and goes.
const WORKS: u32 = 0;
const POOL_BOX: u32 = 1;
const POOL_VEC: u32 = 2;
const UNICODE_STRING: u32 = 3;
const UNICODE_STRINGS: u32 = 4;
const IO_MEM: u32 = 5;
const INTERRUPT_STATE: u32 = 6;
/// Nothing is forgotten but to disconnect the interrupt at all.
const INTERRUPT: u32 = 7;
const HELD: u32 = 8;
const PENDING_IRP: u32 = 9;

/// Forgets a handle. Nothing of it is dropped.
#[expect(
    clippy::mem_forget,
    reason = "that it does no harm is what is tested here"
)]
pub(crate) fn forget<T>(handle: T) {
    core::mem::forget(handle);
}

pub(crate) fn device_control(
    device: &Device<Leaks>,
    irql: &mut UpToDispatch,
    irp: Irp,
) -> Dispatched {
    match request(&irp) {
        Ok((PENDING_IRP, _)) if irp.output_length() > 0 => irp.pend(forget),
        _ => test_driver::answer(irql, irp, |irql, number, _| run(device, irql, number)),
    }
}

fn run(device: &Device<Leaks>, irql: &mut UpToDispatch, number: u32) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    match number {
        WORKS => return works(device, irql),
        POOL_BOX => forget(PoolBox::new(irql, TAG, [0x5a_u8; 100])?),
        POOL_VEC => forget(PoolVec::copy_of(irql, TAG, &[1_u64, 2, 3])?),
        UNICODE_STRING => forget(device.text(irql, TAG, Text::LocationInformation)?),
        UNICODE_STRINGS => forget(device.texts(irql, TAG, Texts::HardwareIds)?),
        IO_MEM => forget(device.second.with(irql, |_, second| second.take())),
        INTERRUPT_STATE => at_stop(device, irql, AtStop::ForgetState),
        INTERRUPT => at_stop(device, irql, AtStop::Leave),
        HELD => forget(device.hold(irql)?),
        _ => return Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
    Ok(figures([]))
}

fn at_stop(device: &Device<Leaks>, irql: &mut Passive, what: AtStop) {
    device.at_stop.with(irql, |_, at_stop| *at_stop = what);
}

fn works(device: &Device<Leaks>, irql: &mut Passive) -> Outcome {
    let drained = |irql: &mut Passive| {
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.drained())
    };
    let before = drained(irql).ok_or(Failed::here())?;
    device
        .interrupt
        .synchronize(irql, |_, shared| shared.raise())
        .ok_or(Failed::here())?;
    until(irql, |irql| drained(irql) > Some(before))?;
    let mut array = PoolVec::new(TAG);
    for value in 0..100_u32 {
        array.push(irql, value)?;
    }
    check!(array.iter().copied().eq(0..100));
    Ok(figures([]))
}
