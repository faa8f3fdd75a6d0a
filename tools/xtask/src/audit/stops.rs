//! Where `dirql` may stop the machine, and for which reasons.
//!
//! A stop is a call of [`STOP`](super::reach) with the reason as its first argument. The machine
//! code says for which reasons the machine can be stopped at all. It does not say where: compilers
//! join stops, and move the looks that lead to them. So the places are those of the
//! [source](super::stop_sites), as far as the functions that they are in are part of the image.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use iced_x86::Register;

use super::{
    name,
    program::Program,
    reach,
    routine::{Call, Routine},
};

/// What an image can be stopped for, and by what.
#[derive(Clone, Debug, Default)]
pub(super) struct Stops {
    /// The reasons of each call.
    pub(super) reasons: BTreeMap<u64, BTreeSet<u64>>,
    /// The functions that routines which stop the machine are made of.
    pub(super) functions: BTreeSet<String>,
}

/// All stops of a program.
///
/// # Errors
/// If the reason of one is not in the code.
pub(super) fn all(program: &Program<'_>) -> anyhow::Result<Stops> {
    let mut stops = Stops::default();
    for routine in program.routines.values() {
        let calls = reach::own(program, routine).stops;
        if calls.is_empty() {
            continue;
        }
        for (&at, block) in &routine.blocks {
            for call in block.calls.iter().filter(|call| calls.contains(&call.at)) {
                let reasons = reasons(routine, at, call).with_context(|| {
                    format!(
                        "{} stops the machine at {:#x}, and nobody can tell for which reason",
                        program.name(routine.entry),
                        call.at
                    )
                })?;
                stops.reasons.insert(call.at, reasons);
            }
        }
        for instruction in routine.instructions() {
            let places = program.symbols.places(instruction.ip())?;
            let functions = places.iter().map(|place| name::plain(&place.function));
            stops.functions.extend(functions);
        }
    }
    Ok(stops)
}

/// Those of a call in the block at `at`: several, where the compiler has joined stops.
fn reasons(routine: &Routine, at: u64, call: &Call) -> Option<BTreeSet<u64>> {
    if let Some(here) = call.values.constant(Register::RCX) {
        return Some([here].into());
    }
    let before = routine
        .blocks
        .values()
        .filter(|block| block.next.contains(&at));
    let joined: Option<BTreeSet<u64>> = before
        .map(|block| block.after.constant(Register::RCX))
        .collect();
    joined.filter(|reasons| !reasons.is_empty())
}
