//! Control requests that go by scatter/gather lists.

use dirql::{
    device::Device,
    direct_io::DirectRequest,
    dma::{ListControl, Refused, ScatterGatherList},
    irp::{Buffers, Dispatched, Irp, PendingIrp},
    irql::{AtMostDispatch, Dispatch, UpToDispatch, at_dispatch},
    status::Result,
};

use crate::{
    Dma,
    channel::within_device,
    engine::{self, Job, STEP},
};

/// Where in the device's buffer a request begins, and how many bytes it has.
fn range(request: &(impl DirectRequest + Buffers)) -> Result<(u32, usize)> {
    let position: u32 = request.input()?;
    let length = request.mdl()?.length();
    within_device(position, length)?;
    Ok((position, length))
}

/// A control request with a direct method.
pub(crate) fn dispatch(device: &Device<Dma>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    match range(&irp) {
        Ok((_, 0)) => irp.complete(irql, Ok(0)),
        Ok(_) => irp.pend(|irp| at_dispatch(irql, |irql| get(device, irql, irp, 0))),
        Err(error) => irp.complete(irql, Err(error)),
    }
}

/// Asks for the list of what is left from `start` on.
fn get(device: &Device<Dma>, irql: &mut Dispatch, request: PendingIrp, start: usize) {
    let lists = device.pinned().project_ref().lists;
    if let Err(Refused { request, error }) = lists.get_list::<Lists>(device, irql, request, start) {
        request.complete(irql, Err(error));
    }
}

/// The list routine.
#[derive(Debug)]
pub(crate) struct Lists;

impl ListControl for Lists {
    type Extension = Dma;
    type Request = PendingIrp;

    fn list_control(
        device: &Device<Dma>,
        irql: &mut Dispatch,
        list: ScatterGatherList<PendingIrp>,
    ) {
        let pieces = u64::try_from(list.elements().count()).unwrap_or(u64::MAX);
        device.engine.with(irql, |_, engine| {
            engine.counts.pieces = engine.counts.pieces.saturating_add(pieces);
        });
        let position = match range(list.request()) {
            Ok((position, _)) => position,
            Err(error) => {
                let request = list.put(irql);
                return request.complete(irql, Err(error));
            }
        };
        let start = u32::try_from(list.start()).unwrap_or(u32::MAX);
        let job = Job::List {
            list,
            position: position.saturating_add(start),
            done: 0,
        };
        if let Err((job, error)) = engine::submit(device, irql, job) {
            engine::give_up(irql, job, error);
        }
    }
}

/// The engine has done a step of a list.
pub(crate) fn piece_done(
    device: &Device<Dma>,
    irql: &mut Dispatch,
    list: ScatterGatherList<PendingIrp>,
    position: u32,
    done: u32,
) -> Option<Job> {
    let done = done.saturating_add(step_at(&list, done));
    if usize::try_from(done).is_ok_and(|done| done < list.length()) {
        return Some(Job::List {
            list,
            position,
            done,
        });
    }
    let end = list.start().saturating_add(list.length());
    let request = list.put(irql);
    device.engine.with(irql, |_, engine| {
        engine.counts.lists = engine.counts.lists.saturating_add(1);
    });
    let length = request.mdl().map_or(0, |mdl| mdl.length());
    if end < length {
        get(device, irql, request, end);
    } else {
        complete(irql, request, end);
    }
    None
}

/// Bytes of the step that began after `done` others.
fn step_at(list: &ScatterGatherList<PendingIrp>, done: u32) -> u32 {
    let mut before = done;
    for element in list.elements() {
        match element.length.checked_sub(before) {
            Some(left) if left > 0 => return left.min(STEP),
            _ => before = before.saturating_sub(element.length),
        }
    }
    0
}

fn complete<I: AtMostDispatch>(irql: &mut I, request: PendingIrp, transferred: usize) {
    request.complete(irql, Ok(transferred));
}
