//! Whether a path goes on for ever: from a state back to itself. And what happens at all, so
//! that nobody takes for proved what never happens.
//!
//! Depth first, with every state of the path marked. A step that changes nothing is no step.

use std::{
    collections::{BTreeSet, HashMap},
    mem::{Discriminant, discriminant},
    sync::Arc,
};

use ahash::RandomState;
use nohash_hasher::IntMap;

use crate::{
    Action, Case, Step, System,
    request::{End, Place},
};

/// What a walk through all states has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The steps of a path that comes back to one of its states.
    pub cycle: Option<Vec<Step>>,
    /// Kinds of steps that have changed something, each with an example.
    actions: HashMap<Discriminant<Action>, Action>,
    /// How requests have ended.
    ends: BTreeSet<End>,
}

impl Seen {
    /// What has happened, in words.
    #[must_use]
    pub fn happened(&self) -> BTreeSet<String> {
        let actions = self.actions.values().map(|action| {
            let shown = format!("{action:?}");
            let name = shown.split(['(', ' ']).next().unwrap_or_default();
            name.to_owned()
        });
        let ends = self.ends.iter().map(|end| format!("an end as {end:?}"));
        actions.chain(ends).collect()
    }

    fn note(&mut self, step: Step, system: &System) {
        self.actions
            .entry(discriminant(&step.action))
            .or_insert(step.action);
        for place in &system.places {
            if let Place::Ended(end) = place {
                self.ends.insert(*end);
            }
        }
    }
}

/// A state of the path, and what is to be tried yet.
struct Entry {
    system: System,
    fingerprint: u64,
    left: Vec<Step>,
    /// What led here.
    step: Option<Step>,
}

impl Entry {
    fn new(system: System, fingerprint: u64, step: Option<Step>) -> Self {
        // What is wrong is known: nothing behind it says more.
        let left = if system.wrong.is_empty() {
            system.steps()
        } else {
            Vec::new()
        };
        Self {
            system,
            fingerprint,
            left,
            step,
        }
    }
}

/// Walks through all that can be reached, or until a path comes back to one of its states.
#[must_use]
pub fn find(case: &Case) -> Seen {
    let mut what = Seen::default();
    // Seeds like any others, so that runs are alike.
    let hasher = RandomState::with_seeds(1, 2, 3, 4);
    // Whether the state is on the path.
    let mut seen: IntMap<u64, bool> = IntMap::default();
    let first = System::new(&Arc::new(case.clone()));
    let fingerprint = hasher.hash_one(&first);
    seen.insert(fingerprint, true);
    let mut path = vec![Entry::new(first, fingerprint, None)];
    while let Some(entry) = path.last_mut() {
        let Some(step) = entry.left.pop() else {
            seen.insert(entry.fingerprint, false);
            path.pop();
            continue;
        };
        let next = entry.system.after(step);
        if next == entry.system {
            continue;
        }
        let fingerprint = hasher.hash_one(&next);
        match seen.get(&fingerprint) {
            Some(true) => {
                let steps = path.iter().filter_map(|entry| entry.step);
                what.cycle = Some(steps.chain([step]).collect());
                return what;
            }
            Some(false) => {}
            None => {
                what.note(step, &next);
                seen.insert(fingerprint, true);
                path.push(Entry::new(next, fingerprint, Some(step)));
            }
        }
    }
    what
}
