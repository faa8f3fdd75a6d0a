//! Every interleaving of the driver's critical sections, up to a bound.
//!
//! The transitions are those of [`edu_controller`], the code that `edu.sys` ships: each of its
//! methods is one critical section, so one step here. Around it, [`system`] has what the driver
//! does between two of them (and what the device does within one, between two accesses): StartIo, the ISR on whatever processor, DpcForIsr and its
//! completions, the CustomDpc and AdapterControl of the DMA engine, the watchdog, cancellation,
//! stop and start, sleep, removal; and [`device`] the device with both engines, that goes on by
//! itself.
//!
//! All that can happen uses something up (a request that is sent, a factorial that was
//! programmed, one of the [`Limits`]) or changes nothing, so no path is endless. A state that
//! nothing leads out of is an end, and there every request must have ended: nothing pends for
//! ever, and no interrupt is lost.

#![forbid(unsafe_code)]

pub mod cases;
pub mod choice;
pub mod device;
mod parallel;
pub mod report;
pub mod request;
pub mod step;
pub mod system;
mod wire;

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

pub use choice::{ALWAYS, Limits, Mistake};
pub use device::Signal;
pub use request::Kind;
pub use step::{Action, Step};
pub use system::{Rule, System};

/// One choice of requests and of what may happen to them.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// How the device interrupts.
    pub signal: Signal,
    /// The requests, in the order in which they are sent.
    pub kinds: Vec<Kind>,
    /// What may happen to them.
    pub limits: Limits,
    /// What is wrong on purpose.
    pub mistake: Mistake,
}

/// What an exploration found.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps of the longest shortest way to one.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// The properties that do not hold, each with what shows it.
    pub broken: Vec<(&'static str, Shown)>,
}

/// What shows that a property does not hold.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What is wrong in the end.
    pub why: String,
    /// The fewest steps that lead there.
    pub steps: Vec<Step>,
}

/// How far an exploration goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Every state that can be reached was visited.
    AllIsSeen,
    /// This property was seen not to hold.
    IsBroken(&'static str),
}

impl Case {
    /// Whether each request has to end as it should: nothing happens that might keep it
    /// from that.
    const fn is_undisturbed(&self) -> bool {
        let limits = &self.limits;
        limits.ticks == 0
            && limits.long_times == 0
            && limits.cancels == 0
            && limits.sleeps == 0
            && limits.removals == 0
            && limits.surprises == 0
    }

    /// What it is, for people.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} ({:?})", self.name, self.signal)
    }

    /// Visits states, those that are reached in fewer steps first.
    #[must_use]
    pub fn explore(&self, until: Until) -> Explored {
        let begun = Instant::now();
        let checker = self
            .clone()
            .checker()
            .threads(1)
            .finish_when(match until {
                Until::AllIsSeen => HasDiscoveries::All,
                Until::IsBroken(property) => HasDiscoveries::AllOf([property].into()),
            })
            .spawn_bfs()
            .join();
        let mut broken: Vec<_> = checker
            .discoveries()
            .into_iter()
            .map(|(name, path)| {
                let why = path
                    .last_state()
                    .wrong
                    .values()
                    .cloned()
                    .collect::<Vec<_>>();
                let why = why.join("; ");
                let steps = path.into_actions();
                (name, Shown { why, steps })
            })
            .collect();
        broken.sort_by_key(|(name, _)| *name);
        Explored {
            states: checker.unique_state_count(),
            depth: checker.max_depth(),
            time: begun.elapsed(),
            broken,
        }
    }
}

/// Whether a property is about this rule alone.
fn keeps(system: &System, rule: Rule) -> bool {
    !system.wrong.contains_key(&rule)
}

impl Model for Case {
    type State = System;
    type Action = Step;

    fn init_states(&self) -> Vec<System> {
        vec![System::new(
            self.signal,
            &self.kinds,
            self.limits,
            self.mistake,
        )]
    }

    fn actions(&self, system: &System, actions: &mut Vec<Step>) {
        // What is wrong is known: nothing behind it says more.
        if system.wrong.is_empty() {
            actions.extend(system.steps());
        }
    }

    fn next_state(&self, system: &System, step: Step) -> Option<System> {
        let next = system.after(step);
        (next != *system).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("each request completes once", |_, system| {
                keeps(system, Rule::Once)
            }),
            Property::always("with its own result", |_, system| {
                keeps(system, Rule::Result)
            }),
            Property::always(
                "no register of a stopped or sleeping device",
                |_, system| keeps(system, Rule::Registers),
            ),
            Property::always("the device's memory is the device's", |_, system| {
                keeps(system, Rule::Memory)
            }),
            Property::always("nothing is refused, overwritten or dropped", |_, system| {
                keeps(system, Rule::NothingLost)
            }),
            Property::always("nothing pends for ever", |_, system| {
                !is_end(system) || system.all_ended()
            }),
            Property::always("no interrupt is lost", |case: &Case, system| {
                !case.is_undisturbed() || !is_end(system) || system.all_succeeded()
            }),
        ]
    }
}

/// The properties' names.
#[must_use]
pub fn property_names() -> Vec<&'static str> {
    let mut names: Vec<_> = cases::all(cases::Bound::Smallest)
        .iter()
        .flat_map(Model::properties)
        .map(|property| property.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether nothing leads on from here.
fn is_end(system: &System) -> bool {
    system.wrong.is_empty()
        && system
            .steps()
            .into_iter()
            .all(|step| system.after(step) == *system)
}
