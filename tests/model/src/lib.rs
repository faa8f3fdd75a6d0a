//! Every interleaving of the driver's critical sections, up to a bound.
//!
//! The transitions are those of [`edu_controller`], the code that `edu.sys` ships: each of its
//! methods that touches registers is one critical section, so one step here. So are the
//! events' log, and whose turn it is at the DMA engine. Around them, [`system`] has what the
//! driver and `dirql` do between two of them, and [`device`] the device with both engines,
//! that goes on by itself.
//!
//! # What is atomic, and what is not
//!
//! * A critical section is one step, on whatever processor: the interrupt's lock makes it
//!   one. So is the ISR with what it requests. **The device is not kept out**: it takes any
//!   of its own steps, and is pulled out, between any two register accesses of a section.
//! * What a routine does between two critical sections, or under two locks, is two steps or
//!   more, and everything else comes in between: StartIo (dequeued, armed, looked whether it
//!   was given up, held), AdapterControl (begun, armed, returned), a DPC (drained, each
//!   request completed), a cancellation (word is left, the packet looked for), a CLEANUP, WAIT_EVENTS
//!   (looked, queued, answered), a stop or a sleep (paused, waited, silenced, watchdog
//!   stopped, disconnected, held).
//! * Completing a packet and starting the next is one step, and so is answering all who wait.
//!   A DPC leaves its queue in the step of its critical section: a routine that runs twice for
//!   nothing is not seen.
//! * Memory is sequentially consistent here. That wrappers and locks keep it so is `dirql`'s
//!   own matter. The flight recorder, which no lock protects, is not here at all: the tests of
//!   `edu-recorder` run it under loom, with every number read or counted as lost.
//!
//! # Time
//!
//! Requests, cancellations, stops and so on happen at any moment, as often as the [`Limits`]
//! say. Where a case has ticks, the watchdog ticks at any moment, too, even before the device
//! had time for anything. A *long time* passes only while nobody has anything to do at once:
//! no interrupt is pending, no DPC queued, no routine between two steps. It ends when a
//! tick changes something. Three waits are taken to be long enough for what they wait for, the moment
//! between the end of a factorial and its interrupt: that of a start, of a sleep, of a long time.
//!
//! # For ever
//!
//! A state that nothing leads out of is an end, and there every request has ended, but those
//! that wait for an interrupt that has not come. That is all there is to say about liveness,
//! because no path is endless: [`cycles`] looks for a way from a state back to itself, in all
//! of them. A step that changes nothing is no way; an ISR that changes nothing
//! while the line stays asserted is a mistake by itself.
//!
//! # Bounds
//!
//! Up to nine requests by two handles, in the order in which they are sent; the counts of the
//! [`Limits`]; one device. States are told apart by hashes of 64 bits, as is usual: two of them are
//! taken for one with a likelihood of less than one to a million where there are five million.

#![forbid(unsafe_code)]

pub mod cases;
pub mod choice;
pub mod cycles;
pub mod device;
mod parallel;
pub mod report;
pub mod request;
pub mod step;
pub mod system;
mod wire;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use stateright::{Checker, HasDiscoveries, Model, Property};

pub use choice::{ALWAYS, Limits, Mistake, QUIET};
pub use device::{DeviceStep, Resources, Signal};
pub use request::{Kind, Request};
pub use step::{Action, Step};
pub use system::{Rule, System};

/// One choice of requests and of what may happen to them.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// Where the device's registers are at first, and how it interrupts.
    pub resources: Resources,
    /// The requests, in the order in which they are sent.
    pub requests: Vec<Request>,
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
    /// The kinds of steps that there were, and of ends.
    pub happened: BTreeSet<String>,
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
    /// What it is, for people.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} ({:?})", self.name, self.resources.signal)
    }

    /// Visits states, those that are reached in fewer steps first.
    #[must_use]
    pub fn explore(&self, until: Until) -> Explored {
        let begun = Instant::now();
        let checker = Exploration(Arc::new(self.clone()))
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
                let last = path.last_state();
                let mut why: Vec<_> = last.wrong.values().cloned().collect();
                if why.is_empty() {
                    why = last.pending();
                }
                let why = why.join("; ");
                let steps = path.into_actions();
                (name, Shown { why, steps })
            })
            .collect();
        let mut happened = BTreeSet::new();
        if until == Until::AllIsSeen || until == Until::IsBroken(ENDLESS) {
            let seen = cycles::find(self);
            happened = seen.happened();
            let endless = seen.cycle.map(|steps| {
                let why = "the last of these steps lead back to where they began".to_owned();
                (ENDLESS, Shown { why, steps })
            });
            broken.extend(endless);
        }
        broken.sort_by_key(|(name, _)| *name);
        Explored {
            states: checker.unique_state_count(),
            depth: checker.max_depth(),
            time: begun.elapsed(),
            broken,
            happened,
        }
    }
}

/// The case, shared by all states.
struct Exploration(Arc<Case>);

/// The property of ends.
const PENDS: &str = "nothing pends for ever";
/// The property of paths, which is looked at by itself.
pub const ENDLESS: &str = "no path is endless";

/// Whether a property is about this rule alone.
fn keeps(system: &System, rule: Rule) -> bool {
    !system.wrong.contains_key(&rule)
}

/// A case as the explorer has it.
impl Model for Exploration {
    type State = System;
    type Action = Step;

    fn init_states(&self) -> Vec<System> {
        vec![System::new(&self.0)]
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
            Property::always("with its own result and status", |_, system| {
                keeps(system, Rule::Result)
            }),
            Property::always(
                "no register of a stopped, sleeping or removed device",
                |_, system| keeps(system, Rule::Registers),
            ),
            Property::always("the device's memory is the device's", |_, system| {
                keeps(system, Rule::Memory)
            }),
            Property::always("nothing is refused, overwritten or dropped", |_, system| {
                keeps(system, Rule::NothingLost)
            }),
            Property::always("no interrupt is lost", |_, system| {
                keeps(system, Rule::Interrupts) && (system.all_reported() || !is_end(system))
            }),
            Property::always(PENDS, |_, system: &System| {
                system.all_ended() || !is_end(system)
            }),
        ]
    }
}

/// The properties' names.
#[must_use]
pub fn property_names() -> Vec<&'static str> {
    let mut names: Vec<_> = cases::all(cases::Bound::Smallest)
        .into_iter()
        .flat_map(|case| Exploration(Arc::new(case)).properties())
        .map(|property| property.name)
        .chain([ENDLESS])
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
