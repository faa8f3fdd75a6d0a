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

/// The cases, from what is plain to what is not.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for signal in [Signal::Line, Signal::Message] {
        let mut add = |name, kinds: &[Kind], limits| {
            cases.push(Case {
                name,
                signal,
                kinds: kinds.to_vec(),
                limits,
                mistake: Mistake::Nothing,
            });
        };
        add(
            "operations and transfers",
            &[
                Kind::Factorial(3),
                Kind::Write,
                Kind::Raise(BOTH),
                Kind::Write,
                Kind::Factorial(4),
            ],
            Limits {
                spurious: 1,
                ..QUIET
            },
        );
        add(
            "cancellation and deadlines",
            &[
                Kind::Factorial(3),
                Kind::Raise(BOTH),
                Kind::Write,
                Kind::Factorial(4),
            ],
            Limits {
                ticks: 3,
                long_times: ALWAYS,
                cancels: 2,
                ..QUIET
            },
        );
        add(
            "stop and start",
            &[
                Kind::Factorial(3),
                Kind::Write,
                Kind::Raise(2),
                Kind::Factorial(4),
            ],
            Limits { stops: 2, ..QUIET },
        );
        add(
            "sleep and waking up",
            &[
                Kind::Factorial(3),
                Kind::Write,
                Kind::Raise(2),
                Kind::Factorial(4),
            ],
            Limits {
                long_times: ALWAYS,
                sleeps: 2,
                cancels: 1,
                ..QUIET
            },
        );
        add(
            "removal and surprise removal",
            &[
                Kind::Factorial(3),
                Kind::Write,
                Kind::Raise(BOTH),
                Kind::Write,
            ],
            Limits {
                long_times: ALWAYS,
                cancels: 1,
                stops: 1,
                removals: 1,
                surprises: 1,
                ..QUIET
            },
        );
    }
    cases
}

/// Mistakes, each in the case that is to find it, with the property that it breaks. `None` says
/// that there is no such case.
#[must_use]
pub fn mistaken() -> Vec<Option<(Case, &'static str)>> {
    let find = |mistake, name, signal, breaks| {
        let case = all()
            .into_iter()
            .find(|case| (case.name, case.signal) == (name, signal));
        case.map(|case| (Case { mistake, ..case }, breaks))
    };
    vec![
        find(
            Mistake::CompletesTwice,
            "operations and transfers",
            Signal::Message,
            "each request completes once",
        ),
        find(
            Mistake::CancelsBlindly,
            "cancellation and deadlines",
            Signal::Message,
            "each request completes once",
        ),
        find(
            Mistake::MixesResults,
            "operations and transfers",
            Signal::Message,
            "with its own result",
        ),
        find(
            Mistake::TouchesSleeping,
            "sleep and waking up",
            Signal::Line,
            "no register of a stopped or sleeping device",
        ),
        find(
            Mistake::FreesMemoryEarly,
            "cancellation and deadlines",
            Signal::Message,
            "the device's memory is the device's",
        ),
        find(
            Mistake::StartsTwo,
            "operations and transfers",
            Signal::Message,
            "nothing is refused, overwritten or dropped",
        ),
        find(
            Mistake::StopsUnsilenced,
            "stop and start",
            Signal::Message,
            "nothing pends for ever",
        ),
        find(
            Mistake::DropsResults,
            "operations and transfers",
            Signal::Message,
            "nothing pends for ever",
        ),
        find(
            Mistake::ForgetsDpc,
            "operations and transfers",
            Signal::Line,
            "no interrupt is lost",
        ),
        find(
            Mistake::Swallows(Register::Status),
            "operations and transfers",
            Signal::Message,
            "no interrupt is lost",
        ),
    ]
}
