//! Runs made by hand, and what they come to.

use std::collections::BTreeMap;

use super::*;
use crate::bench::plan::{Kind, Meaning, Phase, Purpose};

const IMAGE: u64 = 0x10_0000;
const MARKS: u64 = 0x20_0000;
const KNOWN: u64 = MARKS + PAGE;

/// Marks of the rig's that the runs here use.
const NAMES: [(&str, &str); 14] = [
    ("enter", "Dispatch"),
    ("leave", "Dispatch"),
    ("enter", "StartIo"),
    ("leave", "StartIo"),
    ("enter", "SynchCritSection"),
    ("leave", "SynchCritSection"),
    ("enter", "InterruptService"),
    ("leave", "InterruptService"),
    ("enter", "DeferredRoutine"),
    ("leave", "DeferredRoutine"),
    ("call", "KeInsertQueueDpc"),
    ("call", "KeAcquireSpinLockRaiseToDpc"),
    ("register", "write"),
    ("timer", "expired"),
];

fn run() -> Measured {
    Measured {
        image: IMAGE,
        size: 0x1000,
        marks: MARKS,
        known: KNOWN,
        known_instructions: 2,
        names: (0x100..)
            .zip(NAMES)
            .map(|(code, (what, name))| {
                let meaning = Meaning {
                    what: what.to_owned(),
                    name: name.to_owned(),
                };
                (code, meaning)
            })
            .chain([(
                0x300,
                Meaning {
                    what: "known".to_owned(),
                    name: "routine".to_owned(),
                },
            )])
            .collect(),
        phases: vec![Phase {
            number: 1,
            kind: Kind::Raise,
            outstanding: 1,
            purpose: Purpose::One,
            units: 1,
            recorded: None,
        }],
    }
}

/// A run: `*` is an instruction of the driver's, with its stack pointer if one is given;
/// numbers are the host's marks; the rest are marks of the rig's.
fn play(words: &str) -> anyhow::Result<Accounts> {
    let run = run();
    let mut account = Account::new(&run);
    let mut take = |address: u64, stack| account.take(Executed { address, stack });
    for word in words.split_whitespace() {
        if let Some(stack) = word.strip_prefix('*') {
            take(IMAGE + 0x10, stack.parse().ok())?;
        } else if let Ok(number) = word.parse::<u64>() {
            take(MARKS + number, None)?;
        } else if word == "known" {
            for address in [MARKS + 0x300, KNOWN, KNOWN + 1, MARKS + 0x300] {
                take(address, None)?;
            }
        } else if word == "elsewhere" {
            take(0x30_0000, None)?;
        } else {
            let (what, name) = word.split_once(':').expect("what:name");
            let place = NAMES
                .iter()
                .position(|known| *known == (what, name))
                .expect("a mark that the test knows");
            take(MARKS + 0x100 + u64::try_from(place)?, None)?;
        }
    }
    account.finish()
}

fn unit(words: &str) -> Request {
    let mut accounts = play(&format!("known 1 {words} 0")).unwrap();
    accounts.units.remove(&1).unwrap().remove(0).request
}

#[test]
fn each_instruction_belongs_to_the_innermost_routine() {
    let request = unit(
        "enter:Dispatch *100 *92 enter:StartIo *80 enter:SynchCritSection *60 register:write *40 \
         leave:SynchCritSection *80 leave:StartIo *92 leave:Dispatch \
         enter:InterruptService *50 call:KeInsertQueueDpc *50 leave:InterruptService",
    );
    assert_eq!(request.instructions, 9);
    assert_eq!(request.under_the_lock, 4);
    assert_eq!(request.register_writes, 1);
    assert_eq!(request.lock_acquisitions, 2);
    assert_eq!(request.locks_in_start_io, 1);
    assert_eq!(request.locks_in_dpc, 0);
    assert_eq!(request.stack, 28);
    assert_eq!(
        request.calls_under_the_lock,
        BTreeMap::from([("KeInsertQueueDpc".to_owned(), 1)])
    );
}

#[test]
fn what_the_kernel_calls_of_its_own_is_not_the_drivers() {
    let request = unit(
        "enter:Dispatch * call:KeAcquireSpinLockRaiseToDpc call:KeInsertQueueDpc * \
         leave:Dispatch call:KeInsertQueueDpc",
    );
    assert_eq!(request.calls(), 1);
    assert_eq!(request.spin_locks, 1);
}

#[test]
fn a_tick_of_the_watchdog_is_no_requests() {
    let accounts = play(
        "known 1 enter:Dispatch * timer:expired enter:DeferredRoutine * enter:SynchCritSection \
         * register:write * leave:SynchCritSection enter:InterruptService * \
         leave:InterruptService leave:DeferredRoutine * leave:Dispatch \
         enter:DeferredRoutine * leave:DeferredRoutine 0",
    )
    .unwrap();
    let request = &accounts.units[&1][0].request;
    assert_eq!(request.instructions, 4);
    assert_eq!(request.under_the_lock, 1);
    assert_eq!(request.lock_acquisitions, 1);
    assert_eq!(request.register_accesses(), 0);
    assert_eq!(accounts.ticks, [3]);
}

#[test]
fn two_locks_in_one_dpc_are_seen() {
    let request = unit(
        "enter:DeferredRoutine * enter:SynchCritSection * leave:SynchCritSection * \
         enter:SynchCritSection * leave:SynchCritSection leave:DeferredRoutine",
    );
    assert_eq!(request.locks_in_dpc, 2);
}

#[test]
fn a_log_that_makes_no_sense_is_refused() {
    for (words, why) in [
        (
            "1 enter:Dispatch * leave:Dispatch 0",
            "cannot be counted on",
        ),
        (
            "known 1 enter:Dispatch leave:StartIo 0",
            "while Dispatch goes on",
        ),
        ("known 1 leave:StartIo 0", "that was not made"),
        ("known 1 1 0", "another unit goes on"),
        ("known 0", "has not begun"),
        ("known", "0 of 1 units"),
        ("known 1 enter:Dispatch 0", "in the middle"),
        ("known 1 elsewhere 0", "neither the driver's"),
    ] {
        let error = play(words).map(drop).unwrap_err().to_string();
        assert!(error.contains(why), "{words}: {error}");
    }
}
