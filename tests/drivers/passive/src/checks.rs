//! The checks.

use dirql::{
    device::Device,
    event::Waited,
    interrupt::Kind,
    irql::{Passive, UpToDispatch},
    status::NtError,
    time::Due,
    wait,
};
use test_driver::{Failed, Outcome, check, figures, until};

use crate::{Bus, sensor::Drained};

pub(crate) fn run(
    device: &Device<Bus>,
    irql: &mut UpToDispatch,
    number: u32,
    arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    let [count, ..] = arguments;
    match number {
        1 => one_at_a_time(device, irql, count),
        2 => sections(device, irql, count),
        3 => wait_inside(device, irql),
        4 => results(device, irql),
        5 => interrupts_while_inside(device, irql),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// Raises `count` interrupts, each after the work item of the one before.
fn one_at_a_time(device: &Device<Bus>, irql: &mut Passive, count: u64) -> Outcome {
    let info = device.interrupt.info().ok_or(Failed::here())?;
    check!(info.kind == Kind::FullySpecified && info.synchronize_irql == 0);
    let before = total(device, irql);
    for number in 1..=count {
        raise(device, irql)?;
        let wanted = before.count.wrapping_add(number);
        until(irql, |irql| total(device, irql).count == wanted)?;
    }
    let after = total(device, irql);
    check!(after.runs.wrapping_sub(before.runs) == count);
    check!(!device.interrupt.take_lost_work());
    Ok(figures([count]))
}

/// Runs `count` critical sections that wait, with an interrupt from inside every fourth;
/// several requests do so at once. Nobody may come in meanwhile, the ISR neither.
fn sections(device: &Device<Bus>, irql: &mut Passive, count: u64) -> Outcome {
    for number in 0..count {
        let run = device.interrupt.synchronize(irql, |irql, sensor| {
            if number.is_multiple_of(4) {
                sensor.raise(1);
            }
            sensor.use_bus(irql);
        });
        check!(run.is_some());
    }
    let intrusions = device
        .interrupt
        .synchronize(irql, |_, sensor| sensor.intrusions());
    check!(intrusions == Some(0));
    Ok(figures([count]))
}

/// Waits inside a critical section for an event that another thread sets: the work item,
/// which was queued before and needs the section only afterwards.
fn wait_inside(device: &Device<Bus>, irql: &mut Passive) -> Outcome {
    let own = device.pinned().project_ref();
    let drained = own.drained;
    until(irql, |irql| !drained.clear(irql))?;
    // Nobody sets it, so the time is over first, inside as outside.
    let soon = Some(Due::after_ms(5));
    check!(drained.wait(irql, soon) == Waited::TimedOut);
    let inside = device
        .interrupt
        .synchronize(irql, |irql, _| drained.wait(irql, soon));
    check!(inside == Some(Waited::TimedOut));
    // A signal that is there ends the wait at once.
    drained.set(irql);
    let inside = device
        .interrupt
        .synchronize(irql, |irql, _| drained.wait(irql, None));
    check!(inside == Some(Waited::Signalled));
    check!(!drained.is_set(irql));
    // The interrupt's work item sets it when it has run.
    raise(device, irql)?;
    let long = Some(Due::after_ms(5_000));
    check!(drained.wait(irql, long) == Waited::Signalled);
    Ok(figures([]))
}

/// A critical section's closure returns whatever it likes, and takes what it likes.
fn results(device: &Device<Bus>, irql: &mut Passive) -> Outcome {
    let interrupt = &device.interrupt;
    check!(interrupt.synchronize(irql, |_, _| true) == Some(true));
    check!(interrupt.synchronize(irql, |_, _| ()) == Some(()));
    let large = [0x5a_u64; 32];
    check!(interrupt.synchronize(irql, move |_, _| large) == Some(large));
    let refused: Option<Result<u8, NtError>> =
        interrupt.synchronize(irql, |_, _| Err(NtError::STATUS_DEVICE_BUSY));
    check!(refused == Some(Err(NtError::STATUS_DEVICE_BUSY)));
    Ok(figures([]))
}

/// An interrupt that comes while a critical section waits is served after it: the line
/// stays masked until the ISR has run.
fn interrupts_while_inside(device: &Device<Bus>, irql: &mut Passive) -> Outcome {
    const INSIDE_MS: u32 = 50;
    let seen = device.interrupt.synchronize(irql, |irql, sensor| {
        let before = sensor.claimed();
        sensor.raise(1 << 4);
        wait::delay(irql, INSIDE_MS);
        (before, sensor.claimed())
    });
    let (before, during) = seen.ok_or(Failed::here())?;
    check!(during == before);
    until(irql, |irql| {
        let claimed = device
            .interrupt
            .synchronize(irql, |_, sensor| sensor.claimed());
        claimed == Some(before.wrapping_add(1))
    })?;
    Ok(figures([u64::from(INSIDE_MS)]))
}

fn raise(device: &Device<Bus>, irql: &mut Passive) -> Result<(), Failed> {
    device
        .interrupt
        .synchronize(irql, |_, sensor| sensor.raise(1 << 3))
        .ok_or(Failed::here())
}

fn total(device: &Device<Bus>, irql: &mut Passive) -> Drained {
    device.total.with(irql, |_, total| *total)
}
