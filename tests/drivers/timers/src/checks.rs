//! The checks.

use dirql::{
    device::Device,
    irql::{AtMostDispatch, Passive, UpToDispatch, at_dispatch},
    status::NtError,
    time::{Due, SystemTime100ns, Ticks100ns},
    timer::WasPending,
    wait,
};
use test_driver::{Failed, Outcome, check, figures, until};

use crate::{
    Timers,
    operation::Operation,
    shared::{Counted, Shared},
};

/// Far enough away never to come.
const NEVER: Due = Due::after_ms(3_600_000);
/// Long enough for a timer that should not expire to expire.
const A_WHILE_MS: u32 = 30;

pub(crate) fn run(
    device: &Device<Timers>,
    irql: &mut UpToDispatch,
    number: u32,
    arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    let [argument, ..] = arguments;
    match number {
        1 => once(device, irql),
        2 => cancelled(device, irql),
        3 => periodic(device, irql),
        4 => coalescable(device, irql),
        5 => from_its_own_routine(device, irql, argument),
        6 => operation(device, irql, argument),
        7 => io_timer_stops(device, irql),
        8 => stopped(device, irql),
        9 => leave_running(device, irql),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// A timer expires when it is due, not before, for a span and for a point in time, set at
/// either IRQL.
fn once(device: &Device<Timers>, irql: &mut Passive) -> Outcome {
    const SPAN: Ticks100ns = Ticks100ns::from_ms(15);
    let mut elapsed = [0; 3];
    for (number, elapsed) in elapsed.iter_mut().enumerate() {
        let before = expired(device, irql, Counted::Once)?;
        let began = SystemTime100ns::now();
        let was_pending = match number {
            0 => device.once.start_once(irql, Due::After(SPAN))?,
            1 => device.once.start_once(irql, Due::At(began.later(SPAN)))?,
            _ => at_dispatch(irql, |irql| device.once.start_once(irql, Due::After(SPAN)))?,
        };
        check!(was_pending == WasPending::No);
        until(irql, |irql| {
            expired(device, irql, Counted::Once) != Ok(before)
        })?;
        *elapsed = SystemTime100ns::now().0.saturating_sub(began.0);
        check!(*elapsed >= SPAN.0);
        wait::delay(irql, A_WHILE_MS);
        check!(expired(device, irql, Counted::Once)? == before.wrapping_add(1));
    }
    Ok(figures(elapsed))
}

/// A timer that is cancelled does not expire; one that is started anew expires once.
fn cancelled(device: &Device<Timers>, irql: &mut Passive) -> Outcome {
    let timer = &device.once;
    let before = expired(device, irql, Counted::Once)?;
    check!(timer.cancel(irql) == WasPending::No);
    check!(timer.start_once(irql, Due::after_ms(10))? == WasPending::No);
    check!(timer.cancel(irql) == WasPending::Yes);
    check!(timer.cancel(irql) == WasPending::No);
    wait::delay(irql, A_WHILE_MS);
    check!(expired(device, irql, Counted::Once)? == before);
    check!(timer.start_once(irql, NEVER)? == WasPending::No);
    check!(timer.start_once(irql, Due::after_ms(1))? == WasPending::Yes);
    wait::delay(irql, A_WHILE_MS);
    check!(expired(device, irql, Counted::Once)? == before.wrapping_add(1));
    check!(timer.cancel(irql) == WasPending::No);
    Ok(figures([]))
}

/// A periodic timer goes on until it is cancelled.
fn periodic(device: &Device<Timers>, irql: &mut Passive) -> Outcome {
    const PERIOD_MS: u32 = 5;
    let timer = &device.periodic;
    let refused = timer.start_periodic(irql, NEVER, 0);
    check!(refused == Err(NtError::STATUS_INVALID_PARAMETER));
    let before = expired(device, irql, Counted::Periodic)?;
    let began = SystemTime100ns::now();
    timer.start_periodic(irql, Due::after_ms(PERIOD_MS), PERIOD_MS)?;
    let wanted = before.wrapping_add(10);
    until(irql, |irql| {
        expired(device, irql, Counted::Periodic).is_ok_and(|expired| expired >= wanted)
    })?;
    let elapsed = SystemTime100ns::now().0.saturating_sub(began.0);
    check!(elapsed >= Ticks100ns::from_ms(PERIOD_MS).0.saturating_mul(10));
    check!(timer.cancel(irql) == WasPending::Yes);
    // One that was about to run when it was cancelled may still do so.
    wait::delay(irql, A_WHILE_MS);
    let at_rest = expired(device, irql, Counted::Periodic)?;
    wait::delay(irql, A_WHILE_MS);
    check!(expired(device, irql, Counted::Periodic)? == at_rest);
    Ok(figures([elapsed]))
}

/// A timer with a tolerable delay expires when it is due or later, and goes on.
fn coalescable(device: &Device<Timers>, irql: &mut Passive) -> Outcome {
    const DUE_MS: u32 = 10;
    const DELAY_MS: u32 = 40;
    let timer = &device.coalescable;
    let before = expired(device, irql, Counted::Coalescable)?;
    let began = SystemTime100ns::now();
    timer.start_once_coalescable(irql, Due::after_ms(DUE_MS), DELAY_MS)?;
    until(irql, |irql| {
        expired(device, irql, Counted::Coalescable) != Ok(before)
    })?;
    let elapsed = SystemTime100ns::now().0.saturating_sub(began.0);
    check!(elapsed >= Ticks100ns::from_ms(DUE_MS).0);
    wait::delay(irql, DELAY_MS);
    check!(expired(device, irql, Counted::Coalescable)? == before.wrapping_add(1));
    timer.start_periodic_coalescable(irql, Due::after_ms(1), DUE_MS, DELAY_MS)?;
    until(irql, |irql| {
        expired(device, irql, Counted::Coalescable)
            .is_ok_and(|expired| expired >= before.wrapping_add(4))
    })?;
    check!(timer.cancel(irql) == WasPending::Yes);
    Ok(figures([elapsed]))
}

/// A timer may start itself again.
fn from_its_own_routine(device: &Device<Timers>, irql: &mut Passive, times: u64) -> Outcome {
    let before = expired(device, irql, Counted::Rearming)?;
    shared(device, irql, |shared| shared.set_again(times))?;
    device.rearming.start_once(irql, Due::after_ms(1))?;
    let wanted = before.wrapping_add(times).wrapping_add(1);
    until(irql, |irql| {
        expired(device, irql, Counted::Rearming) == Ok(wanted)
    })?;
    wait::delay(irql, A_WHILE_MS);
    check!(expired(device, irql, Counted::Rearming)? == wanted);
    Ok(figures([times]))
}

/// An operation of which so many interrupts are lost: it is done, or done after a reset, or
/// given up.
fn operation(device: &Device<Timers>, irql: &mut Passive, to_lose: u64) -> Outcome {
    let expected = match to_lose {
        0 => Operation::Done { is_again: false },
        1 => Operation::Done { is_again: true },
        _ => Operation::Failed,
    };
    let ticks = expired(device, irql, Counted::IoTimer)?;
    shared(device, irql, |shared| shared.begin(to_lose))?;
    until(irql, |irql| {
        shared(device, irql, |shared| shared.operation()) == Ok(expected)
    })?;
    let ticks = expired(device, irql, Counted::IoTimer)?.wrapping_sub(ticks);
    Ok(figures([ticks]))
}

/// The IoTimer can be stopped, and started again up to DISPATCH_LEVEL.
fn io_timer_stops(device: &Device<Timers>, irql: &mut Passive) -> Outcome {
    device.stop_io_timer(irql);
    device.stop_io_timer(irql);
    // One that was about to run when it was stopped may still do so.
    wait::delay(irql, A_WHILE_MS);
    let before = expired(device, irql, Counted::IoTimer)?;
    wait::delay(irql, 1_500);
    check!(expired(device, irql, Counted::IoTimer)? == before);
    at_dispatch(irql, |irql| device.start_io_timer(irql))?;
    until(irql, |irql| {
        expired(device, irql, Counted::IoTimer) != Ok(before)
    })?;
    Ok(figures([]))
}

/// A timer that was stopped is refused, does not expire, and comes back when initialised;
/// so is one that starts itself again just then.
fn stopped(device: &Device<Timers>, irql: &mut Passive) -> Outcome {
    let pinned = device.pinned().project_ref();
    shared(device, irql, |shared| shared.set_again(u64::MAX))?;
    for round in 0..10 {
        device.rearming.start_once(irql, Due::after_ms(1))?;
        device.periodic.start_periodic(irql, Due::after_ms(1), 1)?;
        wait::delay(irql, round % 4);
        device.rearming.stop(irql);
        device.periodic.stop(irql);
        let before = both(device, irql)?;
        let refused = device.rearming.start_once(irql, Due::after_ms(1));
        check!(refused == Err(NtError::STATUS_DEVICE_NOT_READY));
        check!(device.rearming.cancel(irql) == WasPending::No);
        wait::delay(irql, 5);
        check!(both(device, irql)? == before);
        pinned.rearming.initialize(device, irql)?;
        pinned.periodic.initialize(device, irql)?;
    }
    shared(device, irql, |shared| shared.set_again(0))?;
    Ok(figures([]))
}

/// Leaves every timer pending, for whoever removes the device.
fn leave_running(device: &Device<Timers>, irql: &mut Passive) -> Outcome {
    shared(device, irql, |shared| shared.set_again(u64::MAX))?;
    device.once.start_once(irql, NEVER)?;
    device.periodic.start_periodic(irql, Due::after_ms(1), 1)?;
    device.rearming.start_once(irql, Due::after_ms(1))?;
    device
        .coalescable
        .start_periodic_coalescable(irql, Due::after_ms(1), 2, 40)?;
    device.start_io_timer(irql)?;
    Ok(figures([]))
}

fn both(device: &Device<Timers>, irql: &mut Passive) -> Result<(u64, u64), Failed> {
    shared(device, irql, |shared| {
        (
            shared.expired(Counted::Rearming),
            shared.expired(Counted::Periodic),
        )
    })
}

fn expired(device: &Device<Timers>, irql: &mut Passive, timer: Counted) -> Result<u64, Failed> {
    shared(device, irql, |shared| shared.expired(timer))
}

fn shared<I: AtMostDispatch, R>(
    device: &Device<Timers>,
    irql: &mut I,
    section: impl FnOnce(&mut Shared) -> R,
) -> Result<R, Failed> {
    device
        .interrupt
        .synchronize(irql, |_, shared| section(shared))
        .ok_or(Failed::here())
}
