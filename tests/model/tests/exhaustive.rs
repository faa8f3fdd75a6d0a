//! The smallest cases hold in every state, and every mistake is found: what a plain
//! `cargo test` has time for. The others are `cargo xtask test model`.

use model::{
    Mistake,
    cases::{self, Bound},
    report::{self, Test},
};

#[test]
fn every_property_holds_in_every_state_of_the_smallest_cases() {
    let cases = cases::all(Bound::Smallest);
    assert!(!cases.is_empty());
    for case in cases {
        let test = Test::Holds(case);
        let verdict = test.run();
        assert!(verdict.passed, "{}: {}", test.name(), verdict.found);
    }
}

/// A property that is broken fails the test that says that it holds: one of states, and the
/// one of paths.
#[test]
fn a_mistake_fails_the_case_that_it_is_in() {
    for wanted in [Mistake::CompletesTwice, Mistake::OffersForEver] {
        let mistaken = cases::mistaken()
            .into_iter()
            .find(|mistaken| mistaken.case.mistake == wanted)
            .expect("there is one");
        let verdict = Test::Holds(mistaken.case).run();
        assert!(!verdict.passed, "{}", verdict.found);
        assert!(verdict.found.contains(mistaken.breaks), "{}", verdict.found);
    }
}

/// What is said to break a property, and does not, fails.
#[test]
fn a_mistake_that_breaks_nothing_fails() {
    let mut mistaken = cases::mistaken();
    let mut harmless = mistaken.remove(0);
    harmless.case.mistake = Mistake::Nothing;
    let verdict = Test::Finds(harmless).run();
    assert!(!verdict.passed, "{}", verdict.found);
}

/// A case that leaves something out is told.
#[test]
fn what_never_happens_is_said() {
    let mut happened = cases::HAPPENS.map(str::to_owned).into();
    assert!(report::everything(&happened).passed);
    happened.remove("Isr");
    let verdict = report::everything(&happened);
    assert!(!verdict.passed);
    assert!(verdict.found.contains("Isr"), "{}", verdict.found);
}

/// A property that no mistake breaks says nothing.
#[test]
fn every_property_has_a_mistake() {
    let mistaken = cases::mistaken();
    assert!(Test::IsComplete(mistaken.clone()).run().passed);
    let breaks = mistaken[0].breaks;
    let fewer = mistaken
        .into_iter()
        .filter(|mistaken| mistaken.breaks != breaks)
        .collect();
    let verdict = Test::IsComplete(fewer).run();
    assert!(!verdict.passed);
    assert!(verdict.found.contains(breaks), "{}", verdict.found);
}
