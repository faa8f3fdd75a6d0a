//! What is explored, and the mistakes that must be found.

use edu_controller::Register;

use crate::{ALWAYS, Case, Kind, Limits, Mistake, Signal};

/// Nothing happens but what is asked for.
const QUIET: Limits = Limits {
    ticks: 0,
    long_times: 0,
    cancels: 0,
    spurious: 0,
    stops: 0,
    sleeps: 0,
    removals: 0,
    surprises: 0,
};

/// The causes of both engines, raised by hand: whoever takes them for an end is wrong.
const BOTH: u32 = 0x101;

/// How much is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// What takes no time: for whoever changes a line and runs `cargo test`.
    Smallest,
    /// What takes less than a minute.
    Everyday,
    /// What takes minutes.
    Long,
}

/// What is explored under one name.
struct Plan {
    name: &'static str,
    /// The least bound that it belongs to.
    from: Bound,
    kinds: &'static [Kind],
    limits: Limits,
    /// More requests, behind the others, for the long bound.
    more: &'static [Kind],
    /// What happens up to the long bound.
    long: Limits,
}

const PLANS: [Plan; 5] = [
    Plan {
        name: "operations and transfers",
        from: Bound::Smallest,
        kinds: &[
            Kind::Factorial(3),
            Kind::Write,
            Kind::Raise(BOTH),
            Kind::Write,
            Kind::Factorial(4),
        ],
        limits: Limits {
            spurious: 1,
            ..QUIET
        },
        more: &[
            Kind::Raise(BOTH),
            Kind::Write,
            Kind::Raise(1),
            Kind::Factorial(5),
        ],
        long: Limits {
            spurious: 3,
            ..QUIET
        },
    },
    Plan {
        name: "cancellation and deadlines",
        from: Bound::Everyday,
        kinds: &[
            Kind::Factorial(3),
            Kind::Raise(BOTH),
            Kind::Write,
            Kind::Factorial(4),
        ],
        limits: Limits {
            ticks: 3,
            long_times: ALWAYS,
            cancels: 2,
            ..QUIET
        },
        more: &[Kind::Write],
        long: Limits {
            ticks: 3,
            long_times: ALWAYS,
            cancels: 3,
            spurious: 1,
            ..QUIET
        },
    },
    Plan {
        name: "stop and start",
        from: Bound::Smallest,
        kinds: &[
            Kind::Factorial(3),
            Kind::Write,
            Kind::Raise(2),
            Kind::Factorial(4),
        ],
        limits: Limits { stops: 2, ..QUIET },
        more: &[Kind::Write, Kind::Raise(BOTH)],
        long: Limits {
            stops: 3,
            spurious: 1,
            ..QUIET
        },
    },
    Plan {
        name: "sleep and waking up",
        from: Bound::Everyday,
        kinds: &[
            Kind::Factorial(3),
            Kind::Write,
            Kind::Raise(2),
            Kind::Factorial(4),
        ],
        limits: Limits {
            long_times: ALWAYS,
            sleeps: 2,
            cancels: 1,
            ..QUIET
        },
        more: &[Kind::Write],
        long: Limits {
            long_times: ALWAYS,
            sleeps: 3,
            cancels: 1,
            ..QUIET
        },
    },
    Plan {
        name: "removal and surprise removal",
        from: Bound::Everyday,
        kinds: &[
            Kind::Factorial(3),
            Kind::Write,
            Kind::Raise(BOTH),
            Kind::Write,
        ],
        limits: Limits {
            long_times: ALWAYS,
            cancels: 1,
            stops: 1,
            removals: 1,
            surprises: 1,
            ..QUIET
        },
        more: &[],
        long: Limits {
            long_times: ALWAYS,
            cancels: 2,
            stops: 1,
            sleeps: 1,
            removals: 1,
            surprises: 1,
            ..QUIET
        },
    },
];

/// The cases up to a bound, each with a line and with messages.
#[must_use]
pub fn all(bound: Bound) -> Vec<Case> {
    let plans = PLANS.iter().filter(|plan| plan.from <= bound);
    plans
        .flat_map(|plan| {
            [Signal::Line, Signal::Message].map(|signal| {
                let mut kinds = plan.kinds.to_vec();
                let mut limits = plan.limits;
                if bound == Bound::Long {
                    kinds.extend(plan.more);
                    limits = plan.long;
                }
                Case {
                    name: plan.name,
                    signal,
                    kinds,
                    limits,
                    mistake: Mistake::Nothing,
                }
            })
        })
        .collect()
}

/// A mistake in the case that is to find it, and the property that it breaks.
#[derive(Clone, Debug)]
pub struct Mistaken {
    /// The case, with the mistake.
    pub case: Case,
    /// The property.
    pub breaks: &'static str,
}

/// The mistakes.
#[must_use]
pub fn mistaken() -> Vec<Mistaken> {
    let cases = all(Bound::Everyday);
    MISTAKES
        .iter()
        .filter_map(|&(mistake, name, signal, breaks)| {
            let case = cases
                .iter()
                .find(|case| (case.name, case.signal) == (name, signal))?
                .clone();
            Some(Mistaken {
                case: Case { mistake, ..case },
                breaks,
            })
        })
        .collect()
}

/// Each mistake, the case that is to find it, and what it breaks.
const MISTAKES: [(Mistake, &str, Signal, &str); 10] = [
    (
        Mistake::CompletesTwice,
        "operations and transfers",
        Signal::Message,
        "each request completes once",
    ),
    (
        Mistake::CancelsBlindly,
        "cancellation and deadlines",
        Signal::Message,
        "each request completes once",
    ),
    (
        Mistake::MixesResults,
        "operations and transfers",
        Signal::Message,
        "with its own result",
    ),
    (
        Mistake::TouchesSleeping,
        "sleep and waking up",
        Signal::Line,
        "no register of a stopped or sleeping device",
    ),
    (
        Mistake::FreesMemoryEarly,
        "cancellation and deadlines",
        Signal::Message,
        "the device's memory is the device's",
    ),
    (
        Mistake::StartsTwo,
        "operations and transfers",
        Signal::Message,
        "nothing is refused, overwritten or dropped",
    ),
    (
        Mistake::StopsUnsilenced,
        "stop and start",
        Signal::Message,
        "nothing pends for ever",
    ),
    (
        Mistake::DropsResults,
        "operations and transfers",
        Signal::Message,
        "nothing pends for ever",
    ),
    (
        Mistake::ForgetsDpc,
        "operations and transfers",
        Signal::Line,
        "no interrupt is lost",
    ),
    (
        Mistake::Swallows(Register::Status),
        "operations and transfers",
        Signal::Message,
        "no interrupt is lost",
    ),
];

#[cfg(test)]
mod tests {
    use super::{Bound, MISTAKES, all, mistaken};

    #[test]
    fn every_mistake_is_in_a_case_that_there_is() {
        assert_eq!(mistaken().len(), MISTAKES.len());
    }

    #[test]
    fn a_larger_bound_has_the_cases_of_the_smaller() {
        let [smallest, everyday, long] =
            [Bound::Smallest, Bound::Everyday, Bound::Long].map(|bound| all(bound).len());
        assert!(0 < smallest && smallest < everyday && everyday <= long);
    }
}
