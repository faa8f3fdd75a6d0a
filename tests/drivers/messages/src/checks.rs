//! The checks.

use dirql::{
    device::Device,
    irql::{AtMostDispatch, Passive, UpToDispatch},
    status::NtError,
};
use test_driver::{Failed, Outcome, check, figures, until};

use crate::{Messages, WANTED, message::Message};

pub(crate) fn run(
    device: &Device<Messages>,
    irql: &mut UpToDispatch,
    number: u32,
    arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    let [first, second, ..] = arguments;
    match number {
        1 => Ok(figures([connected(device, irql)])),
        2 => counts(device, irql),
        3 => raise(device, irql, first),
        4 => count_beside_the_isr(device, irql, first, second),
        5 => by_hand(device, irql),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// Runs `routine` on a message's state, whichever way it is connected.
fn with<I: AtMostDispatch, R>(
    device: &Device<Messages>,
    irql: &mut I,
    message: usize,
    routine: impl FnOnce(&mut Message) -> R,
) -> Result<R, Failed> {
    if connected(device, irql) > 1 {
        let result = device
            .each
            .synchronize(message, irql, |_, state| routine(state));
        return result.ok_or(Failed::here());
    }
    device
        .all
        .synchronize(irql, |_, all| all.message(message).map(routine))
        .flatten()
        .ok_or(Failed::here())
}

/// Locks that the driver has: one for each message, or one.
fn connected<I: AtMostDispatch>(device: &Device<Messages>, irql: &mut I) -> u64 {
    let each =
        (0..WANTED).filter(|message| device.each.synchronize(*message, irql, |_, _| ()).is_some());
    match each.count() {
        0 => 1,
        count => count as u64,
    }
}

/// What each message has counted; and no message was given another's number.
fn counts(device: &Device<Messages>, irql: &mut Passive) -> Outcome {
    let mut values = [0; 8];
    for (message, place) in values.iter_mut().enumerate().take(WANTED) {
        let (count, number) = with(device, irql, message, |state| {
            (state.count(), state.number())
        })?;
        check!(number.is_none_or(|number| usize::try_from(number) == Ok(message)));
        *place = count;
    }
    // A message that the driver has no state for is nobody's.
    check!(device.each.synchronize(WANTED, irql, |_, _| ()).is_none());
    Ok(values)
}

/// Has the device itself interrupt `count` times.
fn raise(device: &Device<Messages>, irql: &mut Passive, count: u64) -> Outcome {
    let before = with(device, irql, 0, |state| state.count())?;
    for number in 1..=count {
        with(device, irql, 0, |state| state.raise(1))?;
        let wanted = before.wrapping_add(number);
        until(irql, |irql| {
            with(device, irql, 0, |state| state.count()) == Ok(wanted)
        })?;
    }
    Ok(figures([count]))
}

/// Counts on message `message` in `count` critical sections, while its ISR counts too.
fn count_beside_the_isr(
    device: &Device<Messages>,
    irql: &mut Passive,
    message: u64,
    count: u64,
) -> Outcome {
    let message = usize::try_from(message).map_err(|_| Failed::here())?;
    for _ in 0..count {
        with(device, irql, message, Message::count_slowly)?;
    }
    Ok(figures([count]))
}

/// The lock taken by hand keeps everybody out as a critical section does.
fn by_hand(device: &Device<Messages>, irql: &mut Passive) -> Outcome {
    let counted = device.all.with_lock(irql, |_, all| {
        let state = all.message(1)?;
        state.count_slowly();
        Some(state.count())
    });
    let count = counted.flatten().ok_or(Failed::here())?;
    Ok(figures([count]))
}
