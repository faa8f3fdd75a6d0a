//! Whether a path goes on for ever: from a state back to itself.
//!
//! Depth first, with every state of the path marked. A step that changes nothing is no step.

use std::sync::Arc;

use ahash::RandomState;
use nohash_hasher::IntMap;

use crate::{Case, Step, System};

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

/// The steps of a path that comes back to one of its states; `None` if there is none in all
/// that can be reached.
#[must_use]
pub fn find(case: &Case) -> Option<Vec<Step>> {
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
                return Some(steps.chain([step]).collect());
            }
            Some(false) => {}
            None => {
                seen.insert(fingerprint, true);
                path.push(Entry::new(next, fingerprint, Some(step)));
            }
        }
    }
    None
}
