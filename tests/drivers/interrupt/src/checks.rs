//! The checks.

use dirql::{
    device::Device,
    irql::{AtMostDispatch, Dispatch, Passive, UpToDispatch, at_dispatch},
    status::NtError,
    wait,
};
use test_driver::{Failed, Outcome, check, figures, until};

use crate::{
    Lines,
    shared::{Drained, OTHER_CAUSE, QUIET_CAUSE},
};

pub(crate) fn run(
    device: &Device<Lines>,
    irql: &mut UpToDispatch,
    number: u32,
    arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    let [count, ..] = arguments;
    match number {
        1 => one_at_a_time(device, irql, count),
        2 => many_before_the_dpc(device, irql, count),
        3 => results(device, irql),
        4 => without_a_dpc(device, irql),
        5 => other_dpc(device, irql, count),
        6 => by_hand(device, irql, count),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// Raises `count` interrupts, each after the DPC of the one before.
fn one_at_a_time(device: &Device<Lines>, irql: &mut Passive, count: u64) -> Outcome {
    let before = total(device, irql);
    for number in 1..=count {
        raise(device, irql, 1 << 3)?;
        let wanted = before.count.wrapping_add(number);
        until(irql, |irql| total(device, irql).count == wanted)?;
    }
    let after = total(device, irql);
    check!(after.causes & 1 << 3 != 0);
    check!(after.runs.wrapping_sub(before.runs) == count);
    Ok(figures([count, after.runs.wrapping_sub(before.runs)]))
}

/// Raises `count` interrupts at DISPATCH_LEVEL, where the DPC cannot run on this
/// processor, and waits for each ISR only: the DPC must find all of them.
fn many_before_the_dpc(device: &Device<Lines>, irql: &mut Passive, count: u64) -> Outcome {
    const POLLS: u32 = 100_000_000;
    let before = total(device, irql);
    at_dispatch(irql, |irql: &mut Dispatch| {
        for number in 0..count {
            let claimed = claimed(device, irql)?;
            raise(device, irql, 1 << (number % 8))?;
            let mut polls: u32 = 0;
            while self::claimed(device, irql)? == claimed {
                polls = polls.wrapping_add(1);
                check!(polls < POLLS);
            }
        }
        Ok(())
    })?;
    let wanted = before.count.wrapping_add(count);
    until(irql, |irql| total(device, irql).count == wanted)?;
    wait::delay(irql, 20);
    let after = total(device, irql);
    check!(after.count == wanted);
    Ok(figures([count, after.runs.wrapping_sub(before.runs)]))
}

/// A critical section's closure returns whatever it likes, and takes what it likes.
fn results(device: &Device<Lines>, irql: &mut Passive) -> Outcome {
    let interrupt = &device.interrupt;
    check!(interrupt.synchronize(irql, |_, _| true) == Some(true));
    check!(interrupt.synchronize(irql, |_, _| false) == Some(false));
    check!(interrupt.synchronize(irql, |_, _| ()) == Some(()));
    let large = [0x5a_u64; 32];
    check!(interrupt.synchronize(irql, move |_, _| large) == Some(large));
    let refused: Option<Result<u8, NtError>> =
        interrupt.synchronize(irql, |_, _| Err(NtError::STATUS_DEVICE_BUSY));
    check!(refused == Some(Err(NtError::STATUS_DEVICE_BUSY)));
    Ok(figures([]))
}

/// An interrupt that the ISR deals with alone requests no DPC.
fn without_a_dpc(device: &Device<Lines>, irql: &mut Passive) -> Outcome {
    let (before, claimed_before) = (total(device, irql), claimed(device, irql)?);
    raise(device, irql, QUIET_CAUSE)?;
    until(irql, |irql| {
        claimed(device, irql) == Ok(claimed_before.wrapping_add(1))
    })?;
    wait::delay(irql, 20);
    check!(total(device, irql).count == before.count);
    Ok(figures([]))
}

/// `count` interrupts for the other DPC, and as many for both.
fn other_dpc(device: &Device<Lines>, irql: &mut Passive, count: u64) -> Outcome {
    let (before, other_before) = (total(device, irql), other_total(device, irql));
    for number in 1..=count {
        let other = other_before.count.wrapping_add(number.wrapping_mul(2));
        raise(device, irql, OTHER_CAUSE)?;
        until(irql, |irql| {
            other_total(device, irql).count.wrapping_add(1) == other
        })?;
        raise(device, irql, OTHER_CAUSE | 1)?;
        let wanted = before.count.wrapping_add(number);
        until(irql, |irql| {
            other_total(device, irql).count == other && total(device, irql).count == wanted
        })?;
    }
    Ok(figures([
        other_total(device, irql)
            .count
            .wrapping_sub(other_before.count),
        total(device, irql).count.wrapping_sub(before.count),
    ]))
}

/// Raises under the lock taken by hand: the ISR cannot come before the lock is free.
fn by_hand(device: &Device<Lines>, irql: &mut Passive, count: u64) -> Outcome {
    let before = total(device, irql);
    for number in 1..=count {
        let claimed = device.interrupt.with_lock(irql, |_, shared| {
            let claimed = shared.claimed();
            shared.raise(1);
            (claimed, shared.claimed())
        });
        let (claimed, claimed_still) = claimed.ok_or(Failed::here())?;
        check!(claimed == claimed_still);
        let wanted = before.count.wrapping_add(number);
        until(irql, |irql| total(device, irql).count == wanted)?;
    }
    Ok(figures([count]))
}

fn raise<I: AtMostDispatch>(
    device: &Device<Lines>,
    irql: &mut I,
    causes: u32,
) -> Result<(), Failed> {
    device
        .interrupt
        .synchronize(irql, |_, shared| shared.raise(causes))
        .ok_or(Failed::here())
}

fn claimed<I: AtMostDispatch>(device: &Device<Lines>, irql: &mut I) -> Result<u64, Failed> {
    device
        .interrupt
        .synchronize(irql, |_, shared| shared.claimed())
        .ok_or(Failed::here())
}

fn other_total(device: &Device<Lines>, irql: &mut Passive) -> Drained {
    device.other_total.with(irql, |_, total| *total)
}

fn total(device: &Device<Lines>, irql: &mut Passive) -> Drained {
    device.total.with(irql, |_, total| *total)
}
