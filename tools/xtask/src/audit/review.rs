//! The reviewed list of the places where `dirql` may stop the machine.
//!
//! A table in Markdown: a reason's number, its name, the functions that stop the machine for it,
//! why that does not happen there. One reason may have several rows, with other functions and
//! other arguments. A place without a row is an error, and so is one that the image does not have:
//! what is argued is argued for a place, and a new one needs an argument of its own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};

use super::stop_sites::Site;

/// A reason, and a function that stops the machine for it.
pub(super) type Stop = (u64, String);

/// What a list justifies, and what it calls the reasons.
#[derive(Debug)]
struct List {
    justified: BTreeSet<Stop>,
    names: BTreeMap<u64, String>,
}

fn parse(list: &str) -> anyhow::Result<List> {
    let mut parsed = List {
        justified: BTreeSet::new(),
        names: BTreeMap::new(),
    };
    for line in list.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &["", number, name, functions, why, ""] = cells.as_slice() else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        ensure!(
            !name.is_empty() && why.split_whitespace().count() >= 5,
            "reason {number} is not argued for"
        );
        let known = parsed
            .names
            .entry(number)
            .or_insert_with(|| name.to_owned());
        ensure!(
            known == name,
            "reason {number} is called {known} and {name}"
        );
        for function in functions.split_whitespace() {
            let function = function.trim_matches(['`', ',']);
            ensure!(
                parsed.justified.insert((number, function.to_owned())),
                "reason {number} is listed twice for {function}"
            );
        }
    }
    ensure!(!parsed.justified.is_empty(), "the list has no rows");
    Ok(parsed)
}

/// What is wrong between the list and what the image can stop the machine for. `names` are those of
/// the reasons.
pub(super) fn compare(
    list: &str,
    stops: &BTreeSet<Stop>,
    names: &BTreeMap<u64, String>,
) -> Vec<String> {
    let list = match parse(list).context("the list of stops cannot be read") {
        Ok(list) => list,
        Err(error) => return vec![format!("{error:#}")],
    };
    let missing = stops.difference(&list.justified).map(|(reason, function)| {
        format!(
            "{function} can stop the machine for reason {reason} \
             (driver/dirql/src/stop_code/reasons.rs), and the list of stops does not say why that does \
             not happen there"
        )
    });
    let stale = list.justified.difference(stops).map(|(reason, function)| {
        format!(
            "the list of stops justifies reason {reason} in {function}, where the image does not \
             stop the machine for it: take it out"
        )
    });
    let misnamed = list.names.iter().filter_map(|(reason, name)| {
        let right = names.get(reason);
        (right != Some(name)).then(|| {
            format!("the list of stops calls reason {reason} {name}; the source says {right:?}")
        })
    });
    missing.chain(stale).chain(misnamed).collect()
}

/// Which functions stop the machine for the reasons that an image has, when it has these functions
/// in what stops it.
///
/// # Errors
/// If a reason has no place in the source.
pub(super) fn places(
    reasons: &BTreeSet<u64>,
    functions: &BTreeSet<String>,
    sites: &BTreeSet<Site>,
    names: &BTreeMap<u64, String>,
) -> anyhow::Result<BTreeSet<Stop>> {
    let mut stops = BTreeSet::new();
    for &reason in reasons {
        let name = names
            .get(&reason)
            .with_context(|| format!("the image has a reason {reason}, and the source has none"))?;
        let before = stops.len();
        stops.extend(
            sites
                .iter()
                .filter(|site| site.reason == *name && site.is_in(functions))
                .map(|site| (reason, site.function.clone())),
        );
        ensure!(
            stops.len() > before,
            "the image can stop the machine for reason {reason} ({name}), and no function of the \
             source that does is in it"
        );
    }
    Ok(stops)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Site, Stop, compare, places};

    const LIST: &str = "| reason | name | where | why |\n|--:|---|---|---|\n\
                        | 2 | DroppedTooHigh | `irp::drop` `pool::drop` | nobody drops one up there |\n";

    fn names() -> BTreeMap<u64, String> {
        [
            (2, "DroppedTooHigh".to_owned()),
            (5, "ForeignIrp".to_owned()),
        ]
        .into()
    }

    fn stops(all: &[(u64, &str)]) -> BTreeSet<Stop> {
        all.iter()
            .map(|(reason, function)| (*reason, (*function).to_owned()))
            .collect()
    }

    #[test]
    fn a_list_has_just_what_the_image_has() {
        let both = [(2, "irp::drop"), (2, "pool::drop")];
        assert!(compare(LIST, &stops(&both), &names()).is_empty());
        let another = compare(LIST, &stops(&[both[0], both[1], (2, "irp::new")]), &names());
        assert!(
            another.len() == 1 && another[0].contains("irp::new"),
            "{another:?}"
        );
        let reason = compare(
            LIST,
            &stops(&[both[0], both[1], (5, "irp::drop")]),
            &names(),
        );
        assert!(
            reason.len() == 1 && reason[0].contains("reason 5"),
            "{reason:?}"
        );
        let stale = compare(LIST, &stops(&both[..1]), &names());
        assert!(
            stale.len() == 1 && stale[0].contains("pool::drop"),
            "{stale:?}"
        );
    }

    #[test]
    fn a_place_is_one_that_the_image_has() {
        let sites = [
            ("DroppedTooHigh", "irp::drop"),
            ("DroppedTooHigh", "dma::drop"),
            ("ForeignIrp", "irp::send"),
        ];
        let sites = sites.map(|(reason, function)| Site::new(reason, function));
        let functions = ["irp::drop", "irp::send", "irp::new"].map(str::to_owned);
        let of = |reasons: &[u64]| {
            let reasons = reasons.iter().copied().collect();
            places(
                &reasons,
                &functions.clone().into(),
                &sites.clone().into(),
                &names(),
            )
        };
        assert_eq!(of(&[2]).expect("one"), stops(&[(2, "irp::drop")]));
        let both = stops(&[(2, "irp::drop"), (5, "irp::send")]);
        assert_eq!(of(&[2, 5]).expect("two"), both);
        assert!(of(&[9]).is_err(), "a reason that nobody has named");
        let none = places(&[5].into(), &BTreeSet::new(), &sites.into(), &names());
        assert!(none.is_err(), "a reason without a place");
    }

    #[test]
    fn a_row_without_an_argument_is_an_error() {
        let said = |list: &str| compare(list, &stops(&[]), &names()).join("\n");
        assert!(said("| 2 | DroppedTooHigh | `a` | never |\n").contains("not argued for"));
        assert!(said("nothing").contains("no rows"));
        let twice =
            format!("{LIST}| 2 | DroppedTooHigh | `irp::drop` | nobody drops one up there |\n");
        assert!(said(&twice).contains("listed twice"));
        let two_names = format!("{LIST}| 2 | Other | `a` | nobody drops one up there |\n");
        assert!(said(&two_names).contains("is called"));
    }

    #[test]
    fn a_name_is_that_of_the_source() {
        let both = stops(&[(2, "irp::drop"), (2, "pool::drop")]);
        let said = compare(LIST, &both, &[(2, "ForeignIrp".to_owned())].into());
        assert!(said[0].contains("ForeignIrp"), "{said:?}");
    }
}
