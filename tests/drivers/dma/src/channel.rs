//! Reads and writes: StartIo, AdapterControl, and what follows each interrupt.

use dirql::{
    device::Device,
    direct_io::DirectRequest,
    dma::{Action, AdapterControl, Grant, MapRegisters, Mapped, Refused},
    irp::{Dispatched, Irp},
    irql::{Dispatch, UpToDispatch},
    start_io::{Packet, Start},
    status::{NtError, Result},
};

use crate::{
    DEVICE_BUFFER, Dma,
    engine::{self, Job, STEP},
};

/// What a read or a write asks for: where in the device's buffer, and how many bytes.
fn range(request: &impl DirectRequest) -> Result<(u32, usize)> {
    let length = request.mdl()?.length();
    let position = request
        .byte_offset()
        .and_then(|offset| u32::try_from(offset).ok());
    let position = position.ok_or(NtError::STATUS_INVALID_PARAMETER)?;
    within_device(position, length)?;
    Ok((position, length))
}

/// Whether the device's buffer has such a range: outside it, the device does not check.
pub(crate) fn within_device(position: u32, length: usize) -> Result<()> {
    let end = usize::try_from(position)
        .ok()
        .and_then(|position| position.checked_add(length));
    if end.is_some_and(|end| end <= DEVICE_BUFFER) {
        Ok(())
    } else {
        Err(NtError::STATUS_INVALID_PARAMETER)
    }
}

/// IRP_MJ_READ, IRP_MJ_WRITE.
pub(crate) fn dispatch(device: &Device<Dma>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    match range(&irp) {
        Ok((_, 0)) => irp.complete(irql, Ok(0)),
        Ok(_) => irp.pend(|irp| device.start_packet(irql, irp)),
        Err(error) => irp.complete(irql, Err(error)),
    }
}

/// StartIo.
pub(crate) fn start(device: &Device<Dma>, irql: &mut Dispatch, packet: Packet) -> Start {
    let channel = device.pinned().project_ref().channel;
    match channel.allocate_channel::<Channel>(device, irql, packet) {
        Ok(()) => Start::Accepted,
        Err(Refused {
            request,
            error: NtError::STATUS_DEVICE_NOT_READY,
        }) => Start::Refused(request),
        Err(Refused { request, error }) => {
            request.fail(irql, error);
            Start::Accepted
        }
    }
}

/// The AdapterControl routine.
#[derive(Debug)]
pub(crate) struct Channel;

impl AdapterControl for Channel {
    type Extension = Dma;
    type Request = Packet;

    fn adapter_control(device: &Device<Dma>, irql: &mut Dispatch, grant: Grant<Packet>) -> Action {
        let Ok((position, _)) = range(grant.request()) else {
            let (packet, action) = grant.release();
            packet.fail(irql, NtError::STATUS_INVALID_PARAMETER);
            return action;
        };
        let (registers, action) = grant.keep();
        if let Some(job) = map_next(device, irql, registers, position)
            && let Err((job, error)) = engine::submit(device, irql, job)
        {
            not_taken(device, irql, job, error);
        }
        action
    }
}

/// A job that the engine does not take: one that is being stopped starts anew later.
fn not_taken(device: &Device<Dma>, irql: &mut Dispatch, job: Job, error: NtError) {
    match job {
        Job::Part { mapped, .. } if error == NtError::STATUS_DEVICE_NOT_READY => {
            let packet = mapped.abort(irql).free(irql);
            engine::return_packet(device, irql, packet);
        }
        job => engine::give_up(irql, job, error),
    }
}

/// Maps what comes next, as much as one step of the engine takes; completes the packet if
/// nothing does.
fn map_next(
    device: &Device<Dma>,
    irql: &mut Dispatch,
    registers: MapRegisters<Packet>,
    start: u32,
) -> Option<Job> {
    let step = usize::try_from(STEP).unwrap_or(usize::MAX);
    match registers.map(irql, step) {
        Ok(mapped) => {
            device.engine.with(irql, |_, engine| {
                engine.counts.parts = engine.counts.parts.saturating_add(1);
            });
            let before = u32::try_from(mapped.transferred_before()).unwrap_or(u32::MAX);
            Some(Job::Part {
                mapped,
                position: start.saturating_add(before),
            })
        }
        Err((registers, _)) => {
            let transferred = registers.transferred();
            let packet = registers.free(irql);
            device.engine.with(irql, |_, engine| {
                engine.counts.packets = engine.counts.packets.saturating_add(1);
            });
            packet.complete_transfer(irql, Ok(transferred));
            None
        }
    }
}

/// The engine has done a part.
pub(crate) fn part_done(
    device: &Device<Dma>,
    irql: &mut Dispatch,
    mapped: Mapped<Packet>,
    position: u32,
) -> Option<Job> {
    let before = u32::try_from(mapped.transferred_before()).unwrap_or(u32::MAX);
    let start = position.saturating_sub(before);
    let (registers, flushed) = mapped.flush(irql);
    match flushed {
        Ok(()) => map_next(device, irql, registers, start),
        Err(error) => {
            registers.free(irql).fail(irql, error);
            None
        }
    }
}
