//! Every case holds in every state, and every mistake is found.

use std::collections::BTreeSet;

use model::cases;

/// Fewer states than these would say that something cannot happen any more.
const FEWEST_STATES: usize = 1_000;

#[test]
fn every_property_holds_in_every_state() {
    for case in cases::all() {
        let explored = case.explore();
        assert!(
            explored.broken.is_empty(),
            "{} ({:?}): {:#?}",
            case.name,
            case.signal,
            explored.broken
        );
        assert!(
            explored.states > FEWEST_STATES,
            "{} ({:?}) has {} states only",
            case.name,
            case.signal,
            explored.states
        );
    }
}

#[test]
fn every_mistake_is_found_by_its_property() {
    let mut found = BTreeSet::new();
    for mistaken in cases::mistaken() {
        let (case, breaks) = mistaken.expect("every mistake is in a case that there is");
        let explored = case.explore();
        assert!(
            explored
                .broken
                .iter()
                .any(|(property, _)| *property == breaks),
            "{:?} in {} should break {breaks:?}, and broke {:#?}",
            case.mistake,
            case.name,
            explored.broken
        );
        found.insert(breaks);
    }
    assert_eq!(
        found.len(),
        model::PROPERTIES,
        "a property that no mistake breaks says nothing"
    );
}
