//! What the names of routines say, against what the code does with them.
//!
//! The audit knows an ISR and a critical section by its name. A name that is misread, and a section
//! that has none, would leave code out that runs with interrupts held off; so each is looked for
//! from the other side, too: from the calls that make it one.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::Register;

use super::{entry::Kind, program::Program, reach, values::Value};

/// What is wrong.
pub(super) fn failures(program: &Program<'_>, entries: &BTreeMap<u64, Kind>) -> Vec<String> {
    let mut wrong = handed_over(program, entries);
    wrong.extend(connected(program, entries));
    wrong.extend(locked(program));
    wrong.extend(unread(program));
    wrong
}

/// Every routine that is handed to KeSynchronizeExecution is known to be a critical
/// section, and every critical section is handed to it somewhere.
fn handed_over(program: &Program<'_>, entries: &BTreeMap<u64, Kind>) -> Vec<String> {
    const SYNCHRONIZES: &str = "KeSynchronizeExecution";
    let is_section = |kind: &Kind| matches!(kind, Kind::CriticalSection | Kind::PassiveSection);
    let (mut handed, mut wrong) = (BTreeSet::new(), Vec::new());
    for (routine, call) in program.calls() {
        if program.imported(call) != Some(SYNCHRONIZES) {
            continue;
        }
        match call.values.get(Register::RDX) {
            Some(Value::Address(section)) if entries.get(&section).is_some_and(is_section) => {
                handed.insert(section);
            }
            _ => wrong.push(format!(
                "{} hands {SYNCHRONIZES}, at {:#x}, a routine that the audit cannot name",
                program.name(routine),
                call.at
            )),
        }
    }
    let missing = entries
        .iter()
        .filter(|(at, kind)| is_section(kind) && !handed.contains(at));
    wrong.extend(missing.map(|(&at, _)| {
        format!(
            "{} is a critical section that nothing hands to {SYNCHRONIZES}: its name or the call \
             is misread",
            program.name(at)
        )
    }));
    wrong
}

/// Every ISR is taken by a routine that connects interrupts, and a driver that connects one has an
/// ISR.
fn connected(program: &Program<'_>, entries: &BTreeMap<u64, Kind>) -> Vec<String> {
    const CONNECTS: [&str; 2] = ["IoConnectInterruptEx", "IoConnectInterrupt"];
    let is_isr = |at: u64| matches!(entries.get(&at), Some(Kind::Isr | Kind::PassiveIsr));
    let mut wrong = Vec::new();
    for (&at, by) in program.taken.iter().filter(|(at, _)| is_isr(**at)) {
        let connects = by.iter().any(|&by| {
            let imports = reach::from(program, by).imports;
            CONNECTS.iter().any(|name| imports.contains(*name))
        });
        if !connects {
            wrong.push(format!(
                "{} is an ISR, and no routine that takes its address connects an interrupt",
                program.name(at)
            ));
        }
    }
    let connects = program.calls().any(|(_, call)| {
        program
            .imported(call)
            .is_some_and(|name| CONNECTS.contains(&name))
    });
    if connects && !entries.keys().any(|&at| is_isr(at)) {
        wrong.push("the driver connects an interrupt, and no ISR was found".to_owned());
    }
    wrong
}

/// An interrupt's lock that is taken in the middle of a routine makes a critical section that
/// has no routine of its own, and so is not measured; the same is a raised IRQL.
fn locked(program: &Program<'_>) -> Vec<String> {
    const ACQUIRES: &str = "KeAcquireInterruptSpinLock";
    const RAISES: &str = "KfRaiseIrql";
    const DISPATCH_LEVEL: u64 = 2;
    let mut wrong = Vec::new();
    for (routine, call) in program.calls() {
        match program.imported(call) {
            Some(ACQUIRES) => wrong.push(format!(
                "{} takes an interrupt's lock at {:#x}: what it does with it is no SynchCritSection \
                 routine, and the audit does not measure it",
                program.name(routine),
                call.at
            )),
            Some(RAISES)
                if call
                    .values
                    .low_byte(Register::RCX)
                    .is_none_or(|level| level > DISPATCH_LEVEL) =>
            {
                wrong.push(format!(
                    "{} may raise IRQL above DISPATCH_LEVEL at {:#x}: what it does there the audit \
                     does not measure",
                    program.name(routine),
                    call.at
                ));
            }
            _ => {}
        }
    }
    wrong
}

/// Code that no way leads to.
fn unread(program: &Program<'_>) -> Vec<String> {
    let unread = program.unread().into_iter();
    let said = unread.map(|(routine, at)| {
        format!(
            "the audit does not get to the code at {at:#x} of {}",
            program.name(routine)
        )
    });
    said.collect()
}

/// What runs with interrupts held off is in memory: it cannot be paged in.
pub(super) fn paged(program: &Program<'_>, routines: &BTreeSet<u64>) -> Option<u64> {
    let mut routines = routines.iter().copied();
    routines.find(|&routine| !program.image.is_resident(routine))
}
