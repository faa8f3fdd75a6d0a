//! Who waits for interrupts is told of each, once and in order, and of what it missed.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use edu_interface::{Event, EventsHeader, EventsRequest, FROM_NOW, WAIT_EVENTS};
use eductl::{
    Device, NtStatus, Open, PendingEvents, Transport as _,
    rig::{Rig, RigHandle},
};
use rig_protocol::{Action, Request};
use zerocopy::IntoBytes as _;

use super::{
    List,
    pending::LONG_MS,
    support::{computes, fails_with, in_rig},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// The shortest reply with an event in it.
const SHORTEST: usize = size_of::<EventsHeader>() + size_of::<Event>();
/// Long enough for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(300);
/// How long an answer may take that must come.
const LIMIT: Duration = Duration::from_secs(20);
/// The cause of a factorial's end.
const FACTORIAL: u32 = 1;
/// Keeps the device busy for longer than the driver waits for it.
const LONG: u32 = 1_000_000_000;
/// So long the driver waits for it.
const SHORT_MS: u32 = 20;

pub(super) fn add(list: &mut List) {
    list.add("events/one-waiter", one_waiter);
    list.add("events/a-slow-reader", slow_reader);
    list.add("events/several-before-one-dpc", several_before_one_dpc);
    for processors in [1, 4] {
        list.add(
            format!("events/waiting-over-all-that-happens-{processors}"),
            move |artifacts| waiting(&Machine::new(artifacts).with_processors(processors)),
        );
    }
    for (processors, interrupts) in [
        (1, Interrupts::Msi),
        (1, Interrupts::Intx),
        (4, Interrupts::Msi),
        (4, Interrupts::Intx),
    ] {
        list.add(
            format!("events/under-load-{processors}-{interrupts}"),
            move |artifacts| {
                let machine = Machine::new(artifacts)
                    .with_processors(processors)
                    .with_interrupts(interrupts);
                under_load(&machine)
            },
        );
    }
}

/// Sends a request for events with an output buffer of this length, and gives back how it
/// ended.
fn ask(
    handle: &RigHandle,
    after: u64,
    output_length: usize,
) -> Result<Vec<u8>, eductl::TransportError> {
    let request = EventsRequest { after };
    handle.device_io_control(WAIT_EVENTS.value(), request.as_bytes(), output_length)
}

/// What was there before it asked, what comes while it waits, what it asks for wrongly.
fn one_waiter(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&Machine::new(artifacts).with_processors(2), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        let mut first = device.start_wait_events(0)?;
        ensure!(!first.ends_within(A_WHILE), "there was no interrupt yet");
        ensure!(device.raise(0x30, 0)? == 0x30);
        ensure!(first.ends_within(LIMIT), "the interrupt was not told");
        let first = first.wait()?;
        let [event] = first.events[..] else {
            anyhow::bail!("one interrupt, but {first:?}");
        };
        ensure!(
            (event.sequence, event.causes, event.reserved) == (0, 0x30, 0)
                && (first.next, first.lost) == (1, 0),
            "{first:?}"
        );
        let clock = first.clock;
        ensure!(
            clock.first.stamp < event.stamp
                && event.stamp <= clock.now.stamp
                && clock.first.counter < clock.now.counter
                && clock.frequency > 0,
            "{first:?}"
        );

        // Several causes in one interrupt are one event with all of them.
        let causes = device.raise(0x8000_0202, 0)?;
        ensure!(
            causes == 0x8000_0202,
            "0x80000202 was asked for, and {causes:#x} is what the ISR found"
        );
        computes(&device, 5, 0)?;
        let both = device.wait_events(1)?;
        let causes: Vec<_> = both.events.iter().map(|event| event.causes).collect();
        ensure!(causes == [0x8000_0202, 1] && both.next == 3, "{both:?}");
        ensure!(both.events[0].stamp < both.events[1].stamp, "{both:?}");

        bad_requests(&handle)?;
        let all = device.wait_events(0)?;
        ensure!(
            (all.events.len(), all.next, all.lost) == (3, 3, 0),
            "{all:?}"
        );
        Ok(())
    })?;
    Ok(())
}

/// Nothing that is wrong with a request makes it pend, and the shortest buffer is enough.
fn bad_requests(handle: &RigHandle) -> anyhow::Result<()> {
    let code = WAIT_EVENTS.value();
    let too_short = &[0; size_of::<EventsRequest>() - 1];
    fails_with(
        "an input that is too short",
        handle.device_io_control(code, too_short, SHORTEST),
        &[NtStatus::INFO_LENGTH_MISMATCH],
    )?;
    for length in [0, size_of::<EventsHeader>(), SHORTEST - 1] {
        for after in [0, FROM_NOW] {
            fails_with(
                "an output that is too short",
                ask(handle, after, length),
                &[NtStatus::BUFFER_TOO_SMALL],
            )?;
        }
    }
    for after in [4, FROM_NOW - 1] {
        fails_with(
            "an event after the next one",
            ask(handle, after, SHORTEST),
            &[NtStatus::INVALID_PARAMETER],
        )?;
    }
    for length in [SHORTEST, SHORTEST + size_of::<Event>() - 1] {
        ensure!(
            ask(handle, 0, length)?.len() == SHORTEST,
            "there is room for one event in {length} bytes"
        );
    }
    Ok(())
}

/// Three handles read all events while four others have the device interrupt: each sees
/// every interrupt that the driver counted, once and in order, and what it saw is what was
/// asked for.
fn under_load(machine: &Machine) -> anyhow::Result<()> {
    const READERS: usize = 3;
    const WORKERS: u32 = 4;
    const RAISES: u32 = 25;
    in_rig(machine, |rig| {
        let open = || rig.open_handle(&Open::read_write(0));
        let handles: Vec<_> = (0..READERS).map(|_| open()).collect::<Result<_, _>>()?;
        let worker = open()?;
        let device = Device::new(&worker);
        // Each waits before anything happens.
        let mut waiting = Vec::new();
        for handle in &handles {
            waiting.push(Device::new(handle).start_wait_events(FROM_NOW)?);
        }
        for pending in &mut waiting {
            ensure!(!pending.ends_within(A_WHILE), "nothing has happened yet");
        }
        let interrupts = u64::from(WORKERS * RAISES);
        let seen = thread::scope(|scope| {
            let readers: Vec<_> = handles
                .iter()
                .zip(waiting)
                .map(|(handle, first)| {
                    scope.spawn(move || {
                        let device = Device::new(handle);
                        let mut events = Vec::new();
                        let mut reply = first.wait()?;
                        loop {
                            ensure!(reply.lost == 0, "nobody was slow, but {reply:?}");
                            ensure!(!reply.events.is_empty(), "an answer without events");
                            events.append(&mut reply.events);
                            ensure!(
                                events.last().map(|event| event.sequence + 1) == Some(reply.next),
                                "the next one after {:?} is {}",
                                events.last(),
                                reply.next
                            );
                            if reply.next >= interrupts {
                                return anyhow::Ok(events);
                            }
                            reply = device.wait_events(reply.next)?;
                        }
                    })
                })
                .collect();
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    scope.spawn(move || {
                        (0..RAISES).try_for_each(|round| {
                            let mask = mask(worker, round);
                            ensure!(device.raise(mask, 0)? == mask, "another's interrupt");
                            Ok(())
                        })
                    })
                })
                .collect();
            for worker in workers {
                worker.join().ok().context("a thread panicked")??;
            }
            readers
                .into_iter()
                .map(|reader| reader.join().ok().context("a thread panicked")?)
                .collect::<anyhow::Result<Vec<_>>>()
        })?;
        let statistics = device.statistics()?;
        ensure!(
            (statistics.interrupts_claimed, statistics.events_lost) == (interrupts, 0),
            "{interrupts} interrupts were asked for, and {statistics:?}"
        );
        let mut wanted: Vec<_> = (0..WORKERS)
            .flat_map(|worker| (0..RAISES).map(move |round| mask(worker, round)))
            .collect();
        wanted.sort_unstable();
        for events in &seen {
            ensure!(
                events.iter().map(|event| event.sequence).eq(0..interrupts),
                "not every event once and in order: {events:?}"
            );
            let mut causes: Vec<_> = events.iter().map(|event| event.causes).collect();
            causes.sort_unstable();
            ensure!(causes == wanted, "the causes are not those asked for");
            ensure!(
                events.is_sorted_by_key(|event| event.stamp),
                "the stamps go back: {events:?}"
            );
            ensure!(*events == seen[0], "two readers saw different events");
        }
        Ok(())
    })?;
    Ok(())
}

/// Interrupts that end nothing, while nobody waits for any, cost no DPC. The DPC of the next
/// one that does finds them all, and whoever asks then is told of each.
fn several_before_one_dpc(artifacts: &Artifacts) -> anyhow::Result<()> {
    const ROUNDS: u32 = 3;
    const LAST: u32 = 0x40;
    in_rig(&Machine::new(artifacts), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        // The first event after a start has a DPC in any case.
        ensure!(device.raise(LAST, 0)? == LAST, "another's interrupt");
        let next = device.wait_events(0)?.next;
        let already = device.statistics()?.dpc_runs;
        for round in 1..=ROUNDS {
            fails_with(
                "a factorial that is given up",
                device.factorial(LONG, SHORT_MS),
                &[NtStatus::IO_TIMEOUT],
            )?;
            // Its end interrupts all the same, and nobody asks for that any more.
            let began = Instant::now();
            while device.statistics()?.interrupts_unasked < u64::from(round) {
                ensure!(began.elapsed() < LIMIT, "the device never ended it");
            }
        }
        let before = device.statistics()?.dpc_runs - already;
        ensure!(
            before == 0,
            "{before} DPCs had results before there was one"
        );
        ensure!(device.raise(LAST, 0)? == LAST, "another's interrupt");
        let told = device.wait_events(next)?;
        let causes: Vec<_> = told.events.iter().map(|event| event.causes).collect();
        ensure!(
            causes == [FACTORIAL, FACTORIAL, FACTORIAL, LAST] && told.lost == 0,
            "four interrupts came before one DPC, and these were told: {told:?}"
        );
        Ok(())
    })?;
    Ok(())
}

/// Who comes late learns how much it has missed, and gets all the rest.
fn slow_reader(artifacts: &Artifacts) -> anyhow::Result<()> {
    /// Interrupts that the driver keeps.
    const KEPT: u32 = 256;
    const MISSED: u32 = 20;
    const WORKERS: u32 = 4;
    let machine = Machine::new(artifacts).with_processors(2);
    in_rig(&machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    scope.spawn(move || {
                        (0..(KEPT + MISSED) / WORKERS).try_for_each(|round| {
                            device.raise(mask(worker, round), LONG_MS).map(|_causes| ())
                        })
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| {
                anyhow::Ok(worker.join().ok().context("a thread panicked")??)
            })
        })?;
        let mut sequence = u64::from(MISSED);
        let mut after = 0;
        while after < u64::from(KEPT + MISSED) {
            let reply = device.wait_events(after)?;
            let missed = if after == 0 { MISSED } else { 0 };
            ensure!(reply.lost == u64::from(missed), "{} are lost", reply.lost);
            for event in reply.events {
                ensure!(event.sequence == sequence, "{sequence} is missing");
                sequence += 1;
            }
            ensure!(reply.next == sequence, "the next is not {}", reply.next);
            after = reply.next;
        }
        ensure!(
            device.statistics()?.events_lost == 0,
            "none was lost before"
        );
        Ok(())
    })?;
    Ok(())
}

/// Who comes while the device is stopped or asleep can leave no wish with the ISR, and is told all
/// the same.
fn come_while_down<'a>(
    rig: &Rig,
    device: &Device<'a>,
    mut kept: PendingEvents<'a>,
) -> anyhow::Result<PendingEvents<'a>> {
    for (down, up) in [(Action::Stop, Action::Start), (Action::Sleep, Action::Wake)] {
        device.raise(0x800, LONG_MS)?;
        ensure!(kept.ends_within(LIMIT), "it was not told before {down:?}");
        let next = kept.wait()?.next;
        rig.pnp(0, down)?;
        kept = device.start_wait_events(next)?;
        ensure!(!kept.ends_within(A_WHILE), "nothing has happened: {down:?}");
        rig.pnp(0, up)?;
        fails_with(
            "a factorial that is given up",
            device.factorial(LONG, SHORT_MS),
            &[NtStatus::IO_TIMEOUT],
        )?;
        ensure!(
            kept.ends_within(LIMIT),
            "it came while the device was down, and was not told after {up:?}"
        );
        kept = device.start_wait_events(kept.wait()?.next)?;
    }
    Ok(kept)
}

/// Waiters end when they are cancelled, with their handle and with the device, and with
/// nothing else: those of another handle, and those of a device that is stopped or asleep for
/// a while, are told of the next interrupt.
fn waiting(machine: &Machine) -> anyhow::Result<()> {
    /// Requests of a device that may wait.
    const MOST: usize = 64;
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        let other = rig.open_handle(&Open::read_write(0))?;
        let request = EventsRequest { after: FROM_NOW };
        let code = WAIT_EVENTS.value();
        let mut waiting = (0..=MOST)
            .map(|_| other.start_control(code, request.as_bytes(), SHORTEST))
            .collect::<Result<Vec<_>, _>>()?;
        // One too many: whichever came last. So the others wait now.
        let began = Instant::now();
        let refused = loop {
            let refused = waiting
                .iter_mut()
                .position(|pending| pending.answers_within(Duration::from_millis(1)));
            if let Some(refused) = refused {
                break waiting.swap_remove(refused);
            }
            ensure!(began.elapsed() < LIMIT, "{} wait", waiting.len());
        };
        fails_with("one too many", refused.wait(), &[NtStatus::DEVICE_BUSY])?;
        let mut cancelled = waiting.pop().context("many wait")?;
        let number = cancelled.number();
        rig.send(Request::Cancel { number })?.wait(LIMIT)?;
        ensure!(
            cancelled.answers_within(LIMIT),
            "cancelled, and it waits on"
        );
        fails_with("cancelled", cancelled.wait(), &[NtStatus::CANCELLED])?;

        let mut kept = device.start_wait_events(FROM_NOW)?;
        ensure!(!kept.ends_within(A_WHILE), "nothing has happened");
        Box::new(other).close()?;
        for mut pending in waiting {
            ensure!(pending.answers_within(LIMIT), "its handle is closed");
            fails_with("a closed handle's", pending.wait(), &[NtStatus::CANCELLED])?;
        }
        let changes = [
            None,
            Some((Action::Stop, Action::Start)),
            Some((Action::Sleep, Action::Wake)),
            Some((Action::DeviceSleep, Action::DeviceWake)),
        ];
        for (number, change) in (0..).zip(changes) {
            if let Some((down, up)) = change {
                rig.pnp(0, down)?;
                ensure!(!kept.ends_within(A_WHILE), "it ended by {down:?}");
                rig.pnp(0, up)?;
            }
            ensure!(!kept.ends_within(A_WHILE), "it ended by {change:?}");
            // One that ends no operation, so that only the wish for it brings a DPC, and one
            // that does.
            fails_with(
                "a factorial that is given up",
                device.factorial(LONG, SHORT_MS),
                &[NtStatus::IO_TIMEOUT],
            )?;
            for (sequence, causes) in [(2 * number, FACTORIAL), (2 * number + 1, 0x40 << number)] {
                if causes != FACTORIAL {
                    device.raise(causes, LONG_MS)?;
                }
                ensure!(
                    kept.ends_within(LIMIT),
                    "it was not told of {causes:#x} after {change:?}"
                );
                let reply = kept.wait()?;
                let told: Vec<_> = reply
                    .events
                    .iter()
                    .map(|event| (event.sequence, event.causes))
                    .collect();
                ensure!(told == [(sequence, causes)] && reply.lost == 0, "{reply:?}");
                kept = device.start_wait_events(reply.next)?;
            }
        }
        let mut kept = come_while_down(rig, &device, kept)?;
        rig.pnp(0, Action::SurpriseRemoval)?;
        ensure!(kept.ends_within(LIMIT), "its device has gone");
        fails_with(
            "a device that has gone",
            kept.wait(),
            &[NtStatus::DELETE_PENDING],
        )?;
        fails_with(
            "one that comes later",
            device.wait_events(0),
            &[NtStatus::DELETE_PENDING],
        )?;
        Box::new(handle).close()?;
        Ok(())
    })?;
    Ok(())
}

/// What a worker raises in a round: no two are the same, and none is a cause of the device's.
const fn mask(worker: u32, round: u32) -> u32 {
    0x8000_0000 | worker << 24 | (round + 1) << 16
}
