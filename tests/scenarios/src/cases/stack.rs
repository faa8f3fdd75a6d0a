//! edu.sys in a device stack as it is on Windows: a filter driver above it, a bus driver
//! below that takes its time, and a PnP manager that sends what it may in any order.

use anyhow::{Context as _, ensure};
use eductl::{NtStatus, Open, System as _, Transport as _, rig::Rig, verify};
use fastrand::Rng;
use rig_protocol::{Action, Resources};

use super::{
    List,
    load::Load,
    pending::LONG_MS,
    pnp::every_state,
    support::{DEVICE_BUSY, fails_with, in_rig, passed},
};
use crate::{artifacts::Artifacts, machine::Machine};

/// What the choices of the random walks begin with.
const SEED: u64 = 0x5eed;
/// Times that a device is added and goes again in a walk.
const ROUNDS: usize = 4;
/// PnP actions of each time.
const STEPS: usize = 12;

/// What a device that is gone or going answers.
const GONE: [NtStatus; 1] = [NtStatus::DELETE_PENDING];

pub(super) fn add(list: &mut List) {
    for processors in [1, 4] {
        list.add(
            format!("stack/filter-above-and-late-bus-{processors}"),
            move |artifacts| every_state(&between(artifacts, processors)),
        );
        list.add(
            format!("stack/random-walk-{processors}"),
            move |artifacts| {
                random_walk(&Machine::new(artifacts).with_processors(processors), SEED)
            },
        );
    }
    list.add("stack/random-walk-between-others", |artifacts| {
        random_walk(&between(artifacts, 2), SEED + 1)
    });
}

/// A machine in which the driver is neither the first of its stack nor beneath it a
/// driver that is quick.
fn between(artifacts: &Artifacts, processors: u32) -> Machine {
    Machine::new(artifacts)
        .with_processors(processors)
        .with_option("filter=on")
        .with_option("bus=late")
}

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Started,
    StopPending,
    Stopped,
    RemovePending,
}

/// What may be done in a state to a device with an open file, and the state that follows.
fn choices(state: State) -> &'static [(Action, State)] {
    use State::{RemovePending, Started, StopPending, Stopped};
    match state {
        Started => &[
            (Action::QueryStop, StopPending),
            (Action::Stop, Stopped),
            (Action::QueryRemove, RemovePending),
            (Action::QueryStopAndCancel, Started),
            (Action::QueryRemoveAndCancel, Started),
            (Action::CancelNothing, Started),
            (Action::Ask, Started),
            (Action::Start, Started),
            // Which is refused.
            (Action::Remove, Started),
        ],
        StopPending => &[
            (Action::Stop, Stopped),
            (Action::CancelStop, Started),
            (Action::CancelNothing, StopPending),
            (Action::Ask, StopPending),
        ],
        Stopped => &[
            (Action::Start, Started),
            (Action::StartWith(Resources::Moved), Started),
            (Action::CancelNothing, Stopped),
            (Action::Ask, Stopped),
        ],
        RemovePending => &[
            (Action::CancelRemove, Started),
            (Action::CancelNothing, RemovePending),
            (Action::Ask, RemovePending),
        ],
    }
}

/// Takes a device through its states again and again while several threads ask, and away.
fn random_walk(machine: &Machine, seed: u64) -> anyhow::Result<()> {
    let mut random = Rng::with_seed(seed);
    in_rig(machine, |rig| {
        for _ in 0..ROUNDS {
            walk(rig, &mut random)?;
            for _ in 0..random.usize(1..3) {
                let action = choose(&mut random, &[Action::AddAndRemove, Action::AddAndLose])?;
                rig.pnp(0, action)?;
            }
            rig.pnp(0, Action::Start)?;
        }
        passed(&verify::run(rig, 0)?)
    })
    .with_context(|| format!("the seed was {seed:#x}"))?;
    Ok(())
}

/// From a start to the end of a device.
fn walk(rig: &Rig, random: &mut Rng) -> anyhow::Result<()> {
    let handle = rig.open_handle(&Open::read_write(0))?;
    let load = Load::new(&handle, LONG_MS, &GONE);
    let is_lost = random.bool();
    load.during(|| {
        let mut state = State::Started;
        for _ in 0..STEPS {
            state = step(rig, random, state)?;
        }
        while state != State::Started {
            state = step(rig, random, state)?;
        }
        load.goes_on()?;
        ensure!(
            load.failed() == 0,
            "{} requests failed before the device was gone",
            load.failed()
        );
        if is_lost {
            let _state = step(rig, random, state)?;
            rig.pnp(0, Action::SurpriseRemoval)?;
            load.fails()?;
        }
        Ok(())
    })?;
    Box::new(handle).close()?;
    if !is_lost {
        rig.pnp(0, Action::Remove)?;
    }
    Ok(())
}

/// One action that is possible; the state that it leads to.
fn step(rig: &Rig, random: &mut Rng, state: State) -> anyhow::Result<State> {
    let (action, next) = choose(random, choices(state))?;
    let answer = rig.pnp(0, action);
    if action == Action::Remove {
        fails_with(
            "the removal of a device that is open",
            answer,
            &[DEVICE_BUSY],
        )?;
    } else {
        answer.with_context(|| format!("{action:?} in state {state:?}"))?;
    }
    if next == State::RemovePending {
        fails_with("opening it", rig.open(&Open::read_write(0)), &GONE)?;
    }
    Ok(next)
}

fn choose<T: Copy>(random: &mut Rng, from: &[T]) -> anyhow::Result<T> {
    random
        .choice(from)
        .copied()
        .context("there is nothing to choose from")
}
