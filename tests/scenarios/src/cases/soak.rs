//! A soak: requests of all kinds, and by chance everything that may happen to a driver,
//! for as long as somebody likes.
//!
//! Each round sends requests from several threads and has one thing happen meanwhile. What
//! a request says must be right, or it must fail as what happened allows; the device
//! must work afterwards. The rig ends the run at the first rule that is broken, and says
//! at the end whether anything was left behind or lost.

use std::{
    collections::BTreeMap,
    fmt, thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use eductl::{NtStatus, Open, Transport as _, rig::Rig};
use fastrand::Rng;
use rig_protocol::{Action, Calls, Event};

use super::{
    faults::{at_call, fail_call, if_possible, is_well},
    load::Load,
    pending::LONG_MS,
    support::fails_with,
};

/// How long a round takes in which nothing happens.
const PAUSE: Duration = Duration::from_millis(150);
/// The latest call at which something happens.
const LATEST: u32 = 150;
/// The latest call that fails.
const LATEST_FAILING: u32 = 30;
/// As above, while the device is at work: it makes few such calls then.
const LATEST_FAILING_AT_WORK: u32 = 5;
/// How often a request is cancelled in a round that does this.
const CANCELLATIONS: u32 = 8;

/// What a request may end with when something happens.
const MAY_FAIL: [NtStatus; 5] = [
    NtStatus::CANCELLED,
    NtStatus::DELETE_PENDING,
    NtStatus::NO_SUCH_DEVICE,
    NtStatus::INSUFFICIENT_RESOURCES,
    NtStatus::DEVICE_NOT_READY,
];

/// What happens in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Nothing,
    FailedCall,
    Cancellations,
    SurpriseRemoval,
    StopAndStart,
    StartThatFails,
    Sleep,
    SleepThatFails,
    Queries,
}

const KINDS: [Kind; 9] = [
    Kind::Nothing,
    Kind::FailedCall,
    Kind::Cancellations,
    Kind::SurpriseRemoval,
    Kind::StopAndStart,
    Kind::StartThatFails,
    Kind::Sleep,
    Kind::SleepThatFails,
    Kind::Queries,
];

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    rounds: BTreeMap<Kind, u32>,
    done: u64,
    failed: u64,
    happened: u32,
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds: u32 = self.rounds.values().sum();
        write!(
            formatter,
            "{rounds} rounds, {} requests done, {} failed as they may, {} things happened at a call:",
            self.done, self.failed, self.happened
        )?;
        for (kind, count) in &self.rounds {
            write!(formatter, " {kind:?} {count}")?;
        }
        Ok(())
    }
}

/// Soaks the first device for `length`, with the choices of `seed`; `report` hears what has
/// been done after each round.
///
/// # Errors
/// When an answer is wrong, none comes, or the rig has stopped.
pub(crate) fn run(
    rig: &Rig,
    length: Duration,
    seed: u64,
    report: &mut dyn FnMut(&Totals),
) -> anyhow::Result<Totals> {
    let mut random = Rng::with_seed(seed);
    let mut totals = Totals::default();
    let began = Instant::now();
    while began.elapsed() < length {
        let kind = *random.choice(&KINDS).unwrap_or(&Kind::Nothing);
        round(rig, kind, &mut random, &mut totals)
            .with_context(|| format!("in a round with {kind:?}, after {totals}"))?;
        *totals.rounds.entry(kind).or_default() += 1;
        report(&totals);
    }
    Ok(totals)
}

/// One round.
fn round(rig: &Rig, kind: Kind, random: &mut Rng, totals: &mut Totals) -> anyhow::Result<()> {
    is_well(rig)?;
    let handle = rig.open_handle(&Open::read_write(0))?;
    let load = Load::new(&handle, LONG_MS, &MAY_FAIL);
    totals.happened += load.during(|| {
        let happened = happen(rig, &load, kind, random)?;
        set_right(rig)?;
        Ok(happened)
    })?;
    totals.done += load.done();
    totals.failed += load.failed();
    Box::new(handle).close()?;
    Ok(())
}

/// Has it happen; how often something did at a call.
fn happen(rig: &Rig, load: &Load<'_>, kind: Kind, random: &mut Rng) -> anyhow::Result<u32> {
    let mut happened = 0;
    match kind {
        Kind::Nothing => thread::sleep(PAUSE),
        Kind::FailedCall => {
            fail_call(rig, random.u32(1..LATEST_FAILING_AT_WORK), Calls::Any)?;
            load.moves_on()?;
            happened += u32::from(!fail_call(rig, 0, Calls::Any)?.is_empty());
        }
        Kind::Cancellations => {
            for _ in 0..CANCELLATIONS {
                happened += event(rig, load, random, Event::Cancel)?;
            }
        }
        Kind::SurpriseRemoval => {
            happened += event(rig, load, random, Event::SurpriseRemoval { device: 0 })?;
        }
        Kind::StopAndStart => {
            act(rig, Action::Stop)?;
            act(rig, Action::Start)?;
        }
        Kind::StartThatFails => {
            act(rig, Action::Stop)?;
            fail_call(rig, random.u32(1..LATEST_FAILING), Calls::OfStart)?;
            act(rig, Action::Start)?;
        }
        Kind::Sleep => {
            act(rig, Action::Sleep)?;
            act(rig, Action::Wake)?;
        }
        Kind::SleepThatFails => {
            fail_call(rig, random.u32(1..4), Calls::Any)?;
            act(rig, Action::Sleep)?;
            act(rig, Action::Wake)?;
        }
        Kind::Queries => {
            act(rig, Action::QueryStopAndCancel)?;
            act(rig, Action::Ask)?;
            act(rig, Action::QueryRemoveAndCancel)?;
        }
    }
    Ok(happened)
}

/// Nothing happens any more, and the device is awake and started, or gone.
fn set_right(rig: &Rig) -> anyhow::Result<()> {
    fail_call(rig, 0, Calls::Any)?;
    at_call(rig, 0, Event::Nothing)?;
    for action in [Action::Wake, Action::DeviceWake, Action::Start] {
        act(rig, action)?;
    }
    Ok(())
}

/// Has an event happen at one of the next calls; whether it did.
fn event(rig: &Rig, load: &Load<'_>, random: &mut Rng, event: Event) -> anyhow::Result<u32> {
    at_call(rig, random.u32(1..LATEST), event)?;
    load.moves_on()?;
    let routine = at_call(rig, 0, Event::Nothing)?;
    Ok(u32::from(!routine.is_empty()))
}

/// One action, if it is possible now; it may fail as a request may.
fn act(rig: &Rig, action: Action) -> anyhow::Result<()> {
    match if_possible(rig, action) {
        Ok(()) => Ok(()),
        Err(error) => fails_with::<(), _>(&format!("{action:?}"), Err(error), &MAY_FAIL),
    }
}
