//! Runs against a driver that keeps its promises, and against others.

use std::time::{Duration, Instant};

use super::{Ended, Kind, Mix, Plan, Progress, Totals, run};
use crate::{
    commands::CommandError,
    fake_rig::{self, Fault},
    rig::Rig,
};

fn plan(mix: Mix, cancel_percent: u8) -> Plan {
    Plan {
        threads: 3,
        outstanding: 4,
        waiters: 2,
        length: Duration::from_millis(300),
        mix,
        cancel_percent,
        seed: 1,
    }
}

fn stress(fault: Fault, plan: &Plan) -> Result<Totals, CommandError> {
    let rig = Rig::over(fake_rig::start(fault)).unwrap();
    run(&rig, 0, plan, &|| false, &mut |_: &Progress| {})
}

fn of(totals: &Totals, kind: Kind) -> (u64, u64) {
    let requests = totals
        .requests
        .iter()
        .find(|requests| requests.kind == kind)
        .unwrap();
    (requests.right, requests.cancelled)
}

#[test]
fn a_good_driver_passes_and_all_kinds_are_done() {
    let totals = stress(Fault::None, &plan(Mix::default(), 20)).unwrap();
    assert!(totals.passed(), "{totals}");
    assert_eq!(totals.ended, Ended::Time);
    for kind in Kind::ALL {
        assert!(of(&totals, kind).0 > 0, "{kind:?}: {totals}");
    }
    let interrupts = totals.driver.as_ref().unwrap().interrupts_claimed;
    assert!(interrupts > 0);
    assert_eq!(totals.waiters.len(), 2);
    for waiter in &totals.waiters {
        assert_eq!(waiter.seen + waiter.lost, interrupts, "{totals}");
    }
}

#[test]
fn what_pends_is_cancelled() {
    let mix = "liveness=1,events=1".parse().unwrap();
    let totals = stress(Fault::None, &plan(mix, 100)).unwrap();
    assert!(totals.passed(), "{totals}");
    // Without interrupts a wait ends in no other way.
    let (right, cancelled) = of(&totals, Kind::Events);
    assert!(right == 0 && cancelled > 0, "{totals}");
    assert!(of(&totals, Kind::Liveness).0 > 0, "{totals}");
}

#[test]
fn the_mix_is_kept() {
    let totals = stress(Fault::None, &plan("liveness=1,write=1".parse().unwrap(), 0)).unwrap();
    assert!(totals.passed(), "{totals}");
    assert_eq!(totals.cancelled, 0, "{totals}");
    for kind in Kind::ALL {
        let wanted = matches!(kind, Kind::Liveness | Kind::Write);
        assert_eq!(of(&totals, kind).0 > 0, wanted, "{kind:?}: {totals}");
    }
}

#[test]
fn a_broken_promise_ends_the_run_with_a_sentence() {
    for (fault, mix, words) in [
        (Fault::WrongFactorial, "factorial=1", "13!"),
        (Fault::LostCause, "raise=1", "the ISR read"),
        (Fault::DeadDevice, "liveness=1", "the liveness register"),
        (Fault::FlipsABit, "read=1,write=1", "of the device's buffer"),
        (Fault::ClaimsTwice, "factorial=1", "interrupts claimed"),
        (Fault::MiscountsEvents, "raise=1,events=1", "announces"),
    ] {
        let mut plan = plan(mix.parse().unwrap(), 10);
        if fault == Fault::ClaimsTwice {
            // They would go on waiting for interrupts that never were.
            plan.waiters = 0;
        }
        let began = Instant::now();
        let totals = match stress(fault, &plan) {
            Ok(totals) => totals,
            // Before anything was begun.
            Err(error) => {
                assert!(error.to_string().contains(words), "{fault:?}: {error}");
                continue;
            }
        };
        assert_eq!(totals.ended, Ended::Wrong, "{fault:?}: {totals}");
        let wrong = totals.wrong.unwrap();
        assert!(wrong.contains(words), "{fault:?}: {wrong}");
        assert!(began.elapsed() < Duration::from_secs(20), "{fault:?}");
    }
}

#[test]
fn a_run_can_be_stopped() {
    let long = Plan {
        length: Duration::from_hours(1),
        ..plan(Mix::default(), 10)
    };
    let rig = Rig::over(fake_rig::start(Fault::None)).unwrap();
    let began = Instant::now();
    let is_stopped = || began.elapsed() > Duration::from_millis(200);
    let mut shown = 0;
    let totals = run(&rig, 0, &long, &is_stopped, &mut |progress| {
        assert_eq!(progress.length, long.length);
        shown += 1;
    })
    .unwrap();
    assert!(totals.passed(), "{totals}");
    assert_eq!(totals.ended, Ended::Interrupted);
    assert!(shown > 0 && totals.operations > 0, "{totals}");
    let text = totals.to_string();
    assert!(text.contains("interrupted"), "{text}");
}

#[test]
fn a_rig_that_dies_ends_the_run_with_a_reason() {
    let mix = "factorial=1".parse().unwrap();
    let error = stress(Fault::Dies, &plan(mix, 0)).unwrap_err().to_string();
    assert!(error.contains("ended the command channel"), "{error}");
}
