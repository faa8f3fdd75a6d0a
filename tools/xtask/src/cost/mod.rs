//! Zero cost, shown: the code of `dirql`'s wrappers against hand-written C.
//!
//! `tests/cost` is a driver on `dirql` and, in `reference.c`, the same routines as a
//! driver in C has them. Both are compiled with optimisation for the same target and
//! linked; each routine is followed through all the code that it reaches (the
//! closure's thunk, whatever was not inlined), by the same reader on both sides. A
//! wrapper may have two instructions more than C.

mod code;
mod reference;

use anyhow::{Context as _, bail};

use crate::{build, workspace::Workspace};
use code::{Code, Reached};

/// How many instructions a wrapper may have more than C.
const ALLOWANCE: usize = 2;

/// A routine of `tests/cost`, by its name in the symbols, and the one in C.
struct Pair {
    what: &'static str,
    rust: &'static str,
    c: &'static str,
}

const PAIRS: &[Pair] = &[
    Pair {
        what: "synchronize, with an argument",
        rust: "cost::probes::program",
        c: "Program",
    },
    Pair {
        what: "synchronize, with a result",
        rust: "cost::probes::drain",
        c: "Drain",
    },
    Pair {
        what: "synchronize, where it can be preempted",
        rust: "cost::probes::acknowledge",
        c: "AcknowledgeProtected",
    },
    Pair {
        what: "ISR thunk",
        rust: "dirql::interrupt::service::isr_message<cost::controller::Controller,dirql::interrupt::suspend::NeverSuspended>",
        c: "InterruptMessageService",
    },
    Pair {
        what: "thunk of DpcForIsr",
        rust: "dirql::thunks::dpc_for_isr<cost::Cost>",
        c: "DpcForIsr",
    },
    Pair {
        what: "thunk of a driver's own DPC",
        rust: "dirql::dpc::custom_dpc<cost::Count>",
        c: "CustomDpc",
    },
    Pair {
        what: "thunk of a timer's DPC",
        rust: "dirql::timer::custom_timer_dpc<cost::Count>",
        c: "CustomTimerDpc",
    },
    Pair {
        what: "spin lock, raising and lowering",
        rust: "cost::probes::count_below_dispatch",
        c: "CountBelowDispatch",
    },
    Pair {
        what: "spin lock, at DISPATCH_LEVEL",
        rust: "cost::probes::count_at_dispatch",
        c: "CountAtDispatch",
    },
    Pair {
        what: "queued spin lock, raising and lowering",
        rust: "cost::probes::count_queued",
        c: "CountQueued",
    },
    Pair {
        what: "queued spin lock, at DISPATCH_LEVEL",
        rust: "cost::probes::count_queued_at_dispatch",
        c: "CountQueuedAtDispatch",
    },
];

/// What the comparison of one pair said.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) result: anyhow::Result<String>,
}

/// Builds both sides and compares every pair.
pub(crate) fn verdicts(workspace: &Workspace) -> anyhow::Result<Vec<Verdict>> {
    let made = build::unshipped_driver("cost")?;
    let rust = Code::read(&made.join("cost.dll"), &made.join("cost.pdb"))?;
    let c = reference::build(workspace)?;
    let guide = Verdict {
        name: "the guide's C compiles".to_owned(),
        result: reference::check_guide(workspace),
    };
    let pairs = PAIRS.iter().map(|pair| Verdict {
        name: pair.what.to_owned(),
        result: compare(pair, &rust, &c),
    });
    Ok(pairs.chain([guide]).collect())
}

fn compare(pair: &Pair, rust: &Code, c: &Code) -> anyhow::Result<String> {
    let ours = rust.reached_from(pair.rust).context("of dirql's")?;
    let theirs = c.reached_from(pair.c).context("of the C")?;
    judge(&ours, &theirs)
}

/// Fails if `ours` is too long, with both listings.
fn judge(ours: &Reached, theirs: &Reached) -> anyhow::Result<String> {
    let (ours_count, theirs_count) = (ours.count(), theirs.count());
    let figures = format!("{ours_count} instructions, C has {theirs_count}");
    if ours_count > theirs_count + ALLOWANCE {
        bail!("{figures}, and {ALLOWANCE} more are allowed\n--- dirql\n{ours}--- C\n{theirs}");
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::{ALLOWANCE, code::tests::straight, judge};

    #[test]
    fn two_more_than_c_will_do_and_three_will_not() {
        let c = straight(5);
        for ours in 1..=5 + ALLOWANCE {
            assert!(judge(&straight(ours), &c).is_ok(), "{ours}");
        }
        let error = judge(&straight(8), &c).expect_err("three more");
        assert!(
            error.to_string().starts_with("8 instructions, C has 5"),
            "{error}"
        );
    }
}
