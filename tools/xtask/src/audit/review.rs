//! The reviewed list of the places where `dirql` may stop the machine.
//!
//! A table in Markdown, a row for each reason that the image has: its number, its name, why it
//! does not happen. A reason without a row is an error, and so is a row without a reason.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};

/// The reasons that a list justifies, by number.
pub(super) fn parse(list: &str) -> anyhow::Result<BTreeMap<u64, String>> {
    let mut justified = BTreeMap::new();
    for line in list.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &["", number, name, why, ""] = cells.as_slice() else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        ensure!(
            !name.is_empty() && why.split_whitespace().count() >= 5,
            "reason {number} is not argued for"
        );
        ensure!(
            justified.insert(number, name.to_owned()).is_none(),
            "reason {number} is listed twice"
        );
    }
    ensure!(!justified.is_empty(), "the list has no rows");
    Ok(justified)
}

/// What is wrong between the list and the image.
pub(super) fn compare(list: &str, stops: &BTreeMap<u64, usize>) -> Vec<String> {
    let justified = match parse(list).context("the list of stops cannot be read") {
        Ok(justified) => justified,
        Err(error) => return vec![format!("{error:#}")],
    };
    let (listed, found): (BTreeSet<_>, BTreeSet<_>) =
        (justified.keys().collect(), stops.keys().collect());
    let missing = found.difference(&listed).map(|reason| {
        format!(
            "the image can stop the machine for reason {reason} (driver/dirql/src/stop_code.rs), \
             and the list of stops does not say why that does not happen"
        )
    });
    let stale = listed.difference(&found).map(|reason| {
        format!(
            "the list of stops justifies reason {reason}, which the image has no more: take it out"
        )
    });
    missing.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::compare;

    const LIST: &str = "| reason | name | why |\n|--:|---|---|\n\
                        | 2 | DroppedTooHigh | nobody drops one up there |\n";

    #[test]
    fn a_list_has_just_what_the_image_has() {
        assert!(compare(LIST, &[(2, 4)].into()).is_empty());
        assert_eq!(compare(LIST, &[(2, 4), (7, 1)].into()).len(), 1);
        assert_eq!(compare(LIST, &[].into()).len(), 1);
    }

    #[test]
    fn a_row_without_an_argument_is_an_error() {
        let found = compare("| 2 | DroppedTooHigh | never |\n", &[(2, 1)].into());
        assert!(found[0].contains("not argued for"), "{found:?}");
        assert_eq!(compare("nothing", &[].into()).len(), 1);
        let twice = format!("{LIST}| 2 | Again | nobody drops one up there |\n");
        assert!(compare(&twice, &[(2, 1)].into())[0].contains("listed twice"));
    }
}
