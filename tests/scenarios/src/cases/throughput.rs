//! Loads, which the rig keeps up by itself: what `cargo xtask bench` stands on.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use edu_interface::{Access, ControlCode};
use eductl::{
    NtStatus, Open, TransportError,
    rig::{Rig, RigHandle},
};
use rig_protocol::{Ask, Durations, Load, Loaded, MAX_LOAD, QUANTILES, Request};

use super::{
    List,
    support::{fails_with, in_rig, take_down},
};
use crate::{
    artifacts::Artifacts,
    load::{Mix, asks},
    machine::{Interrupts, Machine},
};

const LIMIT: Duration = Duration::from_mins(2);
/// Requests of a load here.
const REQUESTS: u32 = 300;
/// STATUS_INVALID_DEVICE_REQUEST.
const INVALID_DEVICE_REQUEST: NtStatus = NtStatus(0xc000_0010);

pub(super) fn add(list: &mut List) {
    for (processors, interrupts) in [(1, Interrupts::Intx), (4, Interrupts::Msi)] {
        list.add(
            format!("throughput/kept-up-{processors}-{interrupts}"),
            move |artifacts| {
                let machine = Machine::new(artifacts)
                    .with_processors(processors)
                    .with_interrupts(interrupts);
                in_rig(&machine, |rig| kept_up(rig, processors)).map(drop)
            },
        );
    }
    list.add("throughput/refused", refused);
    list.add("throughput/ended-by-the-end-of-the-run", ended_early);
}

/// A load does what it says, and its figures are of what it did.
fn kept_up(rig: &Rig, processors: u32) -> anyhow::Result<()> {
    let handle = rig.open_handle(&Open::read_write(0))?;
    let alone = measured(rig, &handle, Mix::Raise, 1, processors)?;
    let many = measured(rig, &handle, Mix::Raise, 64, processors)?;
    // The device does one after the other, so each of 64 waits for those before it. One
    // processor takes each one's interrupt before it can send the next.
    ensure!(
        processors == 1 || many.latency.at(500) > alone.latency.at(500),
        "a request among 64 takes no longer than one by itself: {:?}, {:?}",
        many.latency,
        alone.latency
    );
    measured(rig, &handle, Mix::Mixed, 256, processors).map(drop)
}

fn measured(
    rig: &Rig,
    handle: &RigHandle,
    mix: Mix,
    outstanding: u32,
    processors: u32,
) -> anyhow::Result<Loaded> {
    let asks = asks(mix)?;
    let before = rig.report()?;
    let loaded = handle.load(&asks, outstanding, REQUESTS, LIMIT)?;
    let after = rig.report()?;
    let whole = u64::from(REQUESTS);
    ensure!(
        loaded.completed == whole && after.device_controls - before.device_controls == whole,
        "{} of {REQUESTS} requests ended, {} were sent",
        loaded.completed,
        after.device_controls - before.device_controls
    );
    let interrupts = after.isr_claimed - before.isr_claimed;
    let wanted = match mix {
        Mix::Raise => whole,
        // Three of five.
        Mix::Mixed => whole * 3 / 5,
    };
    ensure!(
        interrupts == wanted,
        "{interrupts} interrupts, not {wanted}"
    );
    in_order(&loaded.latency)?;
    in_order(&loaded.isr_to_dpc)?;
    ensure!(
        loaded.latency.samples == whole && (1..=wanted).contains(&loaded.isr_to_dpc.samples),
        "{loaded:?}"
    );
    ensure!(
        loaded.latency.at(1000) <= Some(loaded.counts)
            && loaded.lock_wait <= loaded.counts * u64::from(processors),
        "a part took longer than the whole: {loaded:?}"
    );
    Ok(loaded)
}

/// Fails unless the quantiles ascend from more than nothing.
fn in_order(durations: &Durations) -> anyhow::Result<()> {
    let quantiles = QUANTILES.map(|each| durations.at(each));
    ensure!(
        quantiles.is_sorted() && quantiles.iter().all(|each| each.is_some_and(|it| it > 0)),
        "{durations:?}"
    );
    Ok(())
}

/// A load that cannot be kept up is refused with the reason, one whose requests fail ends
/// with their status, and the next one runs.
fn refused(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&Machine::new(artifacts), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let raise = asks(Mix::Raise)?;
        for (asks, outstanding, requests) in [
            (raise.as_slice(), 0, 1),
            (&raise, 257, 1),
            (&raise, 1, 0),
            (&raise, 1, MAX_LOAD + 1),
            (&[], 1, 1),
        ] {
            let answer = handle.load(asks, outstanding, requests, LIMIT);
            let Err(TransportError::Lost { reason, .. }) = answer else {
                anyhow::bail!("{outstanding} of {requests} requests: {answer:?}");
            };
            ensure!(reason.contains("a load is of"), "{reason}");
        }
        let unknown = Ask::Control {
            code: ControlCode::vendor(0xfff, Access::ReadWrite).value(),
            input: vec![0; 4],
            output_length: 4,
        };
        let mut some = raise.clone();
        some.push(unknown);
        fails_with(
            "a load with a code that is unknown",
            handle.load(&some, 4, REQUESTS, LIMIT),
            &[INVALID_DEVICE_REQUEST],
        )?;
        measured(rig, &handle, Mix::Raise, 4, 1).map(drop)
    })
    .map(drop)
}

/// A run that ends while a load is under way ends it, and leaves nothing behind.
fn ended_early(artifacts: &Artifacts) -> anyhow::Result<()> {
    let (running, _) = Machine::new(artifacts)
        .with_processors(2)
        .start()?
        .wait_ready()?;
    let outcome = running.connect().and_then(|rig| begin(&rig));
    let report = take_down(running, outcome)?;
    ensure!(
        report.device_controls < u64::from(MAX_LOAD),
        "the load had come to its end"
    );
    Ok(())
}

/// Begins the longest load, and waits until it is under way.
fn begin(rig: &Rig) -> anyhow::Result<()> {
    let rig_protocol::Reply::Opened { handle } = rig
        .send(Request::Open(rig_protocol::Open {
            device: 0,
            read: true,
            write: true,
            trailing_name: String::new(),
        }))?
        .wait(LIMIT)?
    else {
        anyhow::bail!("the device was not opened");
    };
    let _pending = rig.send(Request::Load(Load {
        handle,
        asks: asks(Mix::Raise)?,
        outstanding: 32,
        requests: MAX_LOAD,
    }))?;
    let end = Instant::now() + LIMIT;
    while rig.report()?.device_controls < 50 {
        ensure!(Instant::now() < end, "the load does not begin");
        thread::sleep(Duration::from_millis(1));
    }
    rig.report().map(drop).context("the rig does not answer")
}
