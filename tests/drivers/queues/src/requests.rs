//! What the control codes do. Requests that pend are answered with their tag and with
//! the number of requests that ended before, so that their order can be seen.

use core::sync::atomic::Ordering;

use dirql::{
    device::Device,
    irp::{Buffers, Dispatched, Irp, PendingIrp},
    irp_queue::Refused,
    irql::{AtMostDispatch, UpToDispatch},
    status::NtError,
};
use test_driver::{Arguments, Failed, Findings, Outcome, figures};

use crate::{Counts, Queues};

// Requests that pend; the first argument is the tag.
const START: u32 = 1;
const START_BY_KEY: u32 = 2;
const START_AND_END: u32 = 3;
const QUEUE: u32 = 10;
const QUEUE_WITH_CONTEXT: u32 = 11;
const WAIT_IN_SLOT: u32 = 12;

// Requests that do something to those.
const FINISH: u32 = 4;
const FINISH_BY_KEY: u32 = 5;
const AUTOMATIC: u32 = 6;
const COUNTS: u32 = 7;
const TAKE_NEXT: u32 = 13;
const TAKE_OWN: u32 = 14;
const TAKE_BY_CONTEXT: u32 = 15;
const TAKE_FROM_SLOT: u32 = 16;

/// IRP_MJ_DEVICE_CONTROL.
pub(crate) fn device_control(
    device: &Device<Queues>,
    irql: &mut UpToDispatch,
    irp: Irp,
) -> Dispatched {
    let (number, arguments) = match test_driver::request(&irp) {
        Ok(request) => request,
        Err(error) => return irp.complete(irql, Err(error)),
    };
    match number {
        START | START_BY_KEY | START_AND_END | QUEUE | QUEUE_WITH_CONTEXT | WAIT_IN_SLOT => {
            let dispatched = irp.pend(|irp| pend(device, irql, irp, number, arguments));
            Counts::count(&device.counts.arrived);
            dispatched
        }
        _ => {
            let file = irp.file();
            test_driver::answer(irql, irp, |irql, number, [argument, ..]| match number {
                TAKE_OWN => {
                    let file = file.ok_or(Failed::here())?;
                    Ok(end(device, irql, |irql| {
                        device.queue.remove_next_of(irql, file)
                    }))
                }
                _ => act(device, irql, number, argument),
            })
        }
    }
}

/// Has a request wait.
fn pend(
    device: &Device<Queues>,
    irql: &mut UpToDispatch,
    irp: PendingIrp,
    number: u32,
    arguments: Arguments,
) {
    let [_tag, key, ..] = arguments.values;
    let queued = match number {
        QUEUE => device.queue.insert(irql, irp),
        QUEUE_WITH_CONTEXT => {
            let context = device.pinned().project_ref().context;
            device.queue.insert_with(irql, irp, context)
        }
        WAIT_IN_SLOT => device.slot.put(irql, irp),
        START_BY_KEY => match u32::try_from(key) {
            Ok(key) => {
                device.start_packet_by_key(irql, irp, key);
                Ok(())
            }
            Err(_) => Err(Refused {
                irp,
                error: NtError::STATUS_INVALID_PARAMETER,
            }),
        },
        _ => {
            device.start_packet(irql, irp);
            Ok(())
        }
    };
    if let Err(refused) = queued {
        refused.complete(irql);
    }
}

/// Does something to the requests that wait.
fn act(device: &Device<Queues>, irql: &mut UpToDispatch, number: u32, argument: u64) -> Outcome {
    let key = u32::try_from(argument).map_err(|_| NtError::STATUS_INVALID_PARAMETER)?;
    match number {
        FINISH => finish(device, irql, None),
        FINISH_BY_KEY => finish(device, irql, Some(key)),
        AUTOMATIC => {
            let is_on = argument != 0;
            device
                .interrupt
                .synchronize(irql, |_, shared| shared.set_automatic(is_on))
                .ok_or(Failed::here())?;
            Ok(figures([]))
        }
        COUNTS => {
            let counts = &device.counts;
            let counts = [
                &counts.arrived,
                &counts.started,
                &counts.ended,
                &counts.taken_back,
            ];
            Ok(figures(counts.map(|count| count.load(Ordering::Relaxed))))
        }
        TAKE_NEXT => Ok(end(device, irql, |irql| device.queue.remove_next(irql))),
        TAKE_BY_CONTEXT => Ok(end(device, irql, |irql| device.context.remove(irql))),
        TAKE_FROM_SLOT => Ok(end(device, irql, |irql| device.slot.take(irql))),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// Has the device finish what it works on; 1 if it worked on something.
fn finish(device: &Device<Queues>, irql: &mut UpToDispatch, next_key: Option<u32>) -> Outcome {
    let was_busy = device
        .interrupt
        .synchronize(irql, |_, shared| shared.finish(next_key))
        .ok_or(Failed::here())?;
    Ok(figures([u64::from(was_busy)]))
}

/// Completes what `take` takes, if it is something: 1 and its tag, or zeros.
fn end(
    device: &Device<Queues>,
    irql: &mut UpToDispatch,
    take: impl FnOnce(&mut UpToDispatch) -> Option<PendingIrp>,
) -> [u64; 8] {
    match take(irql) {
        Some(irp) => figures([1, complete(device, irql, irp)]),
        None => figures([]),
    }
}

/// Completes a request; its tag.
fn complete<I: AtMostDispatch>(device: &Device<Queues>, irql: &mut I, mut irp: PendingIrp) -> u64 {
    let reply = reply(device, &irp);
    // Before the reply is written, which goes to where the request came from.
    let tag = tag(&irp);
    let written = irp.write_output(&reply);
    irp.complete(irql, written);
    tag
}

/// What a request that has ended is answered.
pub(crate) fn reply(device: &Device<Queues>, irp: &impl Buffers) -> Findings {
    let number = Counts::count(&device.counts.ended);
    test_driver::reply(Ok(figures([tag(irp), number])))
}

/// The tag of a request, which was looked at when it came.
fn tag(irp: &impl Buffers) -> u64 {
    test_driver::request(irp).map_or(0, |(_, arguments)| {
        let [tag, ..] = arguments.values;
        tag
    })
}

/// Whether a packet ends in StartIo.
pub(crate) fn ends_in_start_io(irp: &impl Buffers) -> bool {
    test_driver::request(irp).is_ok_and(|(number, _)| number == START_AND_END)
}
