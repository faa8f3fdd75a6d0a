//! A request's way: dispatch, StartIo, ControllerControl, and DpcForIsr for those that
//! take the hardware a while.

use dirql::{
    irp::{Dispatched, Irp},
    irql::{Dispatch, UpToDispatch},
    legacy::{AllocatedController, Allocation, Controller, KeptController, LegacyDevice},
    start_io::Packet,
    status::NtError,
};
use test_driver::{Failed, Outcome, figures, reply, request};

use crate::{UnderWay, Unit};

/// `n!`: keeps the controller until the interrupt. Answers `n!` and the unit.
const FACTORIAL: u32 = 1;
/// The complement of a value: done at once. Answers it and the unit.
const COMPLEMENT: u32 = 2;
/// What was seen so far: turns of unit 0 and 1, overlaps, results. Needs no turn.
const RECORD: u32 = 3;
/// Keeps the controller and forgets it: nobody has another turn.
const FORGET: u32 = 4;

pub(crate) fn device_control(
    device: &LegacyDevice<Unit>,
    irql: &mut UpToDispatch,
    irp: Irp,
) -> Dispatched {
    match request(&irp) {
        Ok((RECORD, _)) => test_driver::answer(irql, irp, |irql, _, _| record(device, irql)),
        Ok((FACTORIAL | COMPLEMENT | FORGET, _)) => irp.pend(|irp| device.queue_packet(irql, irp)),
        Ok(_) => irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST)),
        Err(error) => irp.complete(irql, Err(error)),
    }
}

/// It is this device's turn.
pub(crate) fn controller_control(
    device: &LegacyDevice<Unit>,
    irql: &mut Dispatch,
    controller: AllocatedController<'_>,
    packet: Packet,
) -> Allocation {
    let hardware = device.controller();
    let unit = device.number;
    let (number, [value, ..]) = match request(&packet) {
        Ok((number, arguments)) => (number, arguments.values),
        Err(error) => {
            packet.fail(irql, error);
            return controller.deallocate();
        }
    };
    let value = u32::try_from(value).unwrap_or(0);
    if number == COMPLEMENT {
        let answer = hardware
            .interrupt
            .synchronize(irql, |_, shared| shared.look(unit, value));
        packet.complete(irql, Ok(reply(answered(answer, unit))));
        return controller.deallocate();
    }
    if number == FORGET {
        packet.complete(irql, Ok(reply(Ok(figures([])))));
        return controller.keep(forget);
    }
    controller.keep(|controller| {
        let turn = UnderWay {
            controller,
            packet,
            unit,
        };
        // Before the hardware is told: DpcForIsr may come at once.
        hardware
            .under_way
            .with(irql, |_, under_way| *under_way = Some(turn));
        hardware
            .interrupt
            .synchronize(irql, |_, shared| shared.start_factorial(unit, value));
    })
}

/// Forgets a handle. Nothing of it is dropped.
#[expect(
    clippy::mem_forget,
    reason = "that it does no harm is what is tested here"
)]
fn forget(controller: KeptController) {
    core::mem::forget(controller);
}

/// DpcForIsr: the hardware has finished what the controller was kept for.
pub(crate) fn finish(controller: &Controller<Unit>, irql: &mut Dispatch) {
    let result = controller
        .interrupt
        .synchronize(irql, |_, shared| shared.take_result());
    let Some(result) = result.flatten() else {
        return;
    };
    let turn = controller
        .under_way
        .with(irql, |_, under_way| under_way.take());
    if let Some(turn) = turn {
        // The next in line has the hardware while this request is completed.
        turn.controller.free(irql);
        turn.packet
            .complete(irql, Ok(reply(answered(Some(result), turn.unit))));
    }
}

/// The answer to a request whose turn it was.
fn answered(answer: Option<u32>, unit: usize) -> Outcome {
    let answer = answer.ok_or(Failed::here())?;
    let unit = u64::try_from(unit).map_err(|_| Failed::here())?;
    Ok(figures([u64::from(answer), unit]))
}

fn record(device: &LegacyDevice<Unit>, irql: &mut UpToDispatch) -> Outcome {
    let record = device
        .controller()
        .interrupt
        .synchronize(irql, |_, shared| shared.record());
    let record = record.ok_or(Failed::here())?;
    let [first, second] = record.turns;
    Ok(figures([first, second, record.overlaps, record.results]))
}
