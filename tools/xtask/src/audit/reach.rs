//! What a routine can get to: imports, panics, deliberate stops, calls through pointers.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::Register;

use super::{
    program::Program,
    routine::{End, Routine, Target},
};

/// Everything that is called from a routine on.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    pub(super) routines: BTreeSet<u64>,
    pub(super) imports: BTreeSet<String>,
    /// Instructions that call nobody knows whom.
    pub(super) pointers: BTreeSet<u64>,
    pub(super) panics: BTreeSet<u64>,
    pub(super) stops: BTreeSet<u64>,
}

/// What `start` can get to.
pub(super) fn from(program: &Program<'_>, start: u64) -> Reach {
    let mut reach = Reach::default();
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        if !reach.routines.insert(at) {
            continue;
        }
        let Some(routine) = program.routines.get(&at) else {
            continue;
        };
        let own = own(program, routine);
        reach.imports.extend(own.imports);
        reach.pointers.extend(own.pointers);
        reach.panics.extend(own.panics);
        reach.stops.extend(own.stops);
        open.extend(own.routines);
    }
    reach
}

/// How the names of routines begin that panic.
const PANICS: [&str; 6] = [
    "core::panicking::",
    "core::option::",
    "core::result::unwrap_failed",
    "core::slice::index::slice_",
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::",
];
/// The library's own way to stop the machine when an invariant is broken.
const STOP: &str = "dirql::stop_code::stop";

/// What a routine itself does; its callees are the `routines`.
pub(super) fn own(program: &Program<'_>, routine: &Routine) -> Reach {
    let mut reach = Reach::default();
    let is_named = |start: u64, begins: &[&str]| {
        let names = program.symbols.names(start);
        names
            .iter()
            .any(|name| begins.iter().any(|begin| name.starts_with(begin)))
    };
    for call in routine.calls() {
        match &call.target {
            Target::Routine(start) if is_named(*start, &PANICS) => {
                reach.panics.insert(call.at);
            }
            Target::Routine(start) if is_named(*start, &[STOP]) => {
                reach.stops.insert(call.at);
            }
            Target::Routine(start) => {
                reach.routines.insert(*start);
            }
            Target::Import(name) => {
                reach.imports.insert(name.clone());
            }
            Target::Unknown => {
                reach.pointers.insert(call.at);
            }
        }
    }
    for (at, block) in &routine.blocks {
        // An instruction that the processor refuses, and the loop that a panic handler ends
        // in.
        let hangs = block.next == [*at] && block.instructions.len() == 1;
        if let Some(last) = block.last().filter(|_| block.end == End::Trap || hangs) {
            reach.panics.insert(last.ip());
        }
    }
    reach
}

/// Of each stop the reasons for which the machine is stopped there: what the first argument
/// can be. Several, where the compiler has joined stops.
pub(super) fn reasons(program: &Program<'_>) -> BTreeMap<u64, BTreeSet<u64>> {
    let mut reasons = BTreeMap::new();
    for routine in program.routines.values() {
        let stops = own(program, routine).stops;
        for (at, block) in &routine.blocks {
            for call in block.calls.iter().filter(|call| stops.contains(&call.at)) {
                let here = call.values.constant(Register::RCX).into_iter();
                let joined = routine
                    .blocks
                    .values()
                    .filter(|before| before.next.contains(at))
                    .filter_map(|before| before.after.constant(Register::RCX));
                let mut found: BTreeSet<u64> = here.collect();
                if found.is_empty() {
                    found.extend(joined);
                }
                reasons.insert(call.at, found);
            }
        }
    }
    reasons
}
