//! What a routine can get to: imports, panics, deliberate stops, calls through pointers.

use std::collections::BTreeSet;

use iced_x86::Instruction;

use super::{
    graph,
    program::Program,
    routine::{Block, End, Routine, Target},
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
                reach.routines.insert(*start);
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
    // An instruction that the processor refuses, and the loop that a panic handler ends in.
    let traps = routine
        .blocks
        .values()
        .filter(|block| block.end == End::Trap)
        .filter_map(Block::last);
    reach.panics.extend(traps.map(Instruction::ip));
    reach.panics.extend(hangs(routine));
    reach
}

/// The loops that nothing leaves.
fn hangs(routine: &Routine) -> Vec<u64> {
    let all: BTreeSet<u64> = routine.blocks.keys().copied().collect();
    let block = |at: u64| routine.blocks.get(&at);
    let next = |at: u64| block(at).map_or(&[][..], |block| block.next.as_slice());
    graph::components(&all, next)
        .into_iter()
        .filter(|component| {
            let mut ways = component.nodes.iter().flat_map(|&node| next(node));
            let leaves = |node: &u64| block(*node).is_some_and(|it| it.end != End::Flow);
            component.is_loop
                && ways.all(|to| component.nodes.contains(to))
                && !component.nodes.iter().any(leaves)
        })
        .filter_map(|component| component.nodes.first().copied())
        .collect()
}
