//! `verify` passes with a driver that keeps its promises, and names the promise
//! that another one breaks.

use super::{Verification, run, run_with_seed};
use crate::{
    commands::CommandError,
    fake_rig::{self, Fault},
    rig::Rig,
};

fn verify(fault: Fault) -> Result<Verification, CommandError> {
    run(&Rig::over(fake_rig::start(fault)).unwrap(), 0)
}

#[test]
fn a_good_driver_passes() {
    let verification = verify(Fault::None).unwrap();
    assert!(verification.passed(), "{verification}");
    assert_eq!(
        verification.counters.interrupts_claimed,
        verification.operations + verification.transfers
    );
    assert!(verification.operations > 100, "{verification}");
    assert!(verification.transfers > 20, "{verification}");
}

#[test]
fn each_broken_promise_fails_its_group() {
    for (fault, group) in [
        (Fault::WrongIdentification, "identification"),
        (Fault::DeadDevice, "liveness"),
        (Fault::WrongFactorial, "factorials of 0 to 34"),
        (Fault::LostCause, "raised interrupts"),
        (Fault::ClaimsTwice, "the counters agree"),
        (Fault::TakesUnknownCodes, "unknown control codes"),
        (Fault::TakesShortInput, "wrong lengths"),
        (Fault::TakesShortOutput, "wrong lengths"),
        (Fault::TakesMaskZero, "wrong values"),
        (Fault::TakesAnyTimeOut, "wrong values"),
        (Fault::TakesAnyAccess, "wrong access"),
        (Fault::TakesAnyName, "wrong access"),
        (Fault::RefusesLongInput, "buffers longer than needed"),
        (Fault::ResetsNothing, "reset of the counters"),
        (Fault::CountsBadRequests, "unknown control codes"),
        (Fault::FlipsABit, "transfers of random data"),
        (Fault::MiscountsEvents, "events for two waiters"),
        (Fault::DoublesAnEvent, "events for two waiters"),
        (Fault::RecordsAlways, "flight recorder"),
        (Fault::TakesAnyOffset, "transfers out of bounds"),
    ] {
        let verification = verify(fault).unwrap();
        assert!(!verification.passed(), "{fault:?} passed");
        let check = verification
            .checks
            .iter()
            .find(|check| check.name() == group)
            .unwrap();
        assert!(check.failed() > 0, "{fault:?}: {verification}");
        assert!(!check.failures().is_empty(), "{fault:?}: {verification}");
    }
}

#[test]
fn a_seed_gives_the_same_data_again() {
    let verify = |seed| {
        let rig = Rig::over(fake_rig::start(Fault::None)).unwrap();
        run_with_seed(&rig, 0, seed).unwrap()
    };
    let (first, again, other) = (verify(5), verify(5), verify(6));
    assert_eq!(first.seed, 5);
    let bytes = |of: &Verification| of.counters.dma_bytes_written;
    assert_eq!(bytes(&first), bytes(&again));
    assert_ne!(bytes(&first), bytes(&other));
    assert!(first.to_string().contains("seed 5"), "{first}");
}

#[test]
fn a_reply_of_the_wrong_length_is_a_failed_check() {
    // The channel itself refuses it: more came than there was room for.
    let error = verify(Fault::LongReply).unwrap_err().to_string();
    assert!(error.contains("IDENTIFY"), "{error}");
}

#[test]
fn a_rig_that_dies_ends_the_run_with_a_reason() {
    let error = verify(Fault::Dies).unwrap_err().to_string();
    assert!(error.contains("ended the command channel"), "{error}");
}
