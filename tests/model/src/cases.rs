//! What is explored, and the mistakes that must be found.

use edu_controller::Register;

use crate::{
    ALWAYS, Case, ENDLESS, Kind, Limits, Mistake, PENDS, QUIET, Request, Resources, Signal,
};

/// Requests of the smallest bound.
const FEWEST_REQUESTS: usize = 3;
/// The causes of both engines, raised by hand: whoever takes them for an end is wrong.
const BOTH: u32 = 0x101;
/// From now on.
const NEW: Kind = Kind::Events(u64::MAX);

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
    requests: &'static [Request],
    limits: Limits,
    /// More requests, behind the others, for the long bound.
    more: &'static [Request],
    /// What happens up to the long bound.
    long: Limits,
}

/// A request by the first handle.
const fn one(kind: Kind) -> Request {
    Request { file: 0, kind }
}

/// A request by the other handle.
const fn other(kind: Kind) -> Request {
    Request { file: 1, kind }
}

const PLANS: [Plan; 9] = [
    Plan {
        name: "operations and transfers",
        from: Bound::Smallest,
        requests: &[
            one(Kind::Factorial(3)),
            one(Kind::Write(2)),
            one(Kind::Raise(BOTH)),
            one(Kind::Write(1)),
            one(Kind::Liveness(7)),
            one(Kind::Factorial(4)),
        ],
        limits: Limits {
            spurious: 1,
            ..QUIET
        },
        more: &[
            one(Kind::Write(1)),
            one(Kind::Raise(BOTH)),
            one(Kind::Factorial(5)),
        ],
        long: Limits {
            spurious: 2,
            ..QUIET
        },
    },
    Plan {
        name: "those who wait for events",
        from: Bound::Smallest,
        requests: &[
            one(NEW),
            one(Kind::Raise(BOTH)),
            other(Kind::Events(1)),
            one(Kind::Write(1)),
        ],
        limits: Limits {
            spurious: 1,
            ..QUIET
        },
        more: &[one(Kind::Factorial(3))],
        long: Limits {
            spurious: 1,
            ..QUIET
        },
    },
    Plan {
        name: "cancellation and deadlines",
        from: Bound::Everyday,
        requests: &[
            one(Kind::Factorial(3)),
            one(Kind::Raise(BOTH)),
            one(Kind::Write(2)),
            one(Kind::Factorial(4)),
        ],
        limits: Limits {
            long_times: ALWAYS,
            cancels: 1,
            ..QUIET
        },
        more: &[one(Kind::Write(1))],
        long: Limits {
            long_times: ALWAYS,
            cancels: 2,
            ..QUIET
        },
    },
    Plan {
        name: "a watchdog at any moment",
        from: Bound::Everyday,
        requests: &[
            one(Kind::Factorial(3)),
            one(Kind::Raise(BOTH)),
            one(Kind::Write(1)),
        ],
        limits: Limits {
            ticks: 3,
            long_times: ALWAYS,
            cancels: 1,
            ..QUIET
        },
        more: &[one(Kind::Factorial(4))],
        long: Limits {
            ticks: 3,
            long_times: ALWAYS,
            cancels: 1,
            ..QUIET
        },
    },
    Plan {
        name: "a handle is closed",
        from: Bound::Everyday,
        requests: &[
            one(Kind::Factorial(3)),
            other(Kind::Write(2)),
            other(Kind::Raise(BOTH)),
            one(Kind::Write(1)),
        ],
        limits: Limits {
            long_times: ALWAYS,
            cleanups: 1,
            ..QUIET
        },
        more: &[other(NEW)],
        long: Limits {
            long_times: ALWAYS,
            cleanups: 2,
            ..QUIET
        },
    },
    Plan {
        name: "stop and start",
        from: Bound::Smallest,
        requests: &[
            one(Kind::Factorial(3)),
            one(Kind::Write(1)),
            one(Kind::Raise(2)),
            one(Kind::Liveness(7)),
        ],
        limits: Limits {
            stops: 2,
            moves: 1,
            ..QUIET
        },
        more: &[one(Kind::Factorial(4))],
        long: Limits {
            stops: 2,
            moves: 2,
            ..QUIET
        },
    },
    Plan {
        name: "sleep and waking up",
        from: Bound::Everyday,
        requests: &[
            one(Kind::Factorial(3)),
            one(Kind::Write(1)),
            one(Kind::Raise(2)),
        ],
        limits: Limits {
            long_times: ALWAYS,
            sleeps: 1,
            power_cuts: 1,
            cancels: 1,
            ..QUIET
        },
        more: &[],
        long: Limits {
            long_times: ALWAYS,
            sleeps: 2,
            power_cuts: 1,
            cancels: 1,
            ..QUIET
        },
    },
    Plan {
        name: "removal",
        from: Bound::Everyday,
        requests: &[one(Kind::Factorial(3)), one(Kind::Write(1)), one(NEW)],
        limits: Limits {
            long_times: ALWAYS,
            stops: 1,
            removals: 1,
            ..QUIET
        },
        more: &[one(Kind::Raise(BOTH))],
        long: Limits {
            long_times: ALWAYS,
            stops: 1,
            removals: 1,
            ..QUIET
        },
    },
    Plan {
        name: "surprise removal",
        from: Bound::Everyday,
        requests: &[
            one(Kind::Factorial(3)),
            one(Kind::Write(1)),
            one(Kind::Raise(BOTH)),
        ],
        limits: Limits {
            long_times: ALWAYS,
            sleeps: 1,
            surprises: 1,
            ..QUIET
        },
        more: &[],
        long: Limits {
            long_times: ALWAYS,
            stops: 1,
            sleeps: 1,
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
                let mut requests = plan.requests.to_vec();
                let mut limits = plan.limits;
                match bound {
                    Bound::Smallest => requests.truncate(FEWEST_REQUESTS),
                    Bound::Everyday => {}
                    Bound::Long => {
                        requests.extend(plan.more);
                        limits = plan.long;
                    }
                }
                Case {
                    name: plan.name,
                    resources: Resources { base: 0, signal },
                    requests,
                    limits,
                    mistake: Mistake::Nothing,
                }
            })
        })
        .collect()
}

/// What has to happen in one case or another: who explores without it proves nothing about it.
pub const HAPPENS: [&str; 40] = [
    "AdapterControl",
    "Answer",
    "Arm",
    "ArmTransfer",
    "Cancel",
    "CatchUp",
    "CleanUpTurn",
    "Cleanup",
    "Complete",
    "Device",
    "Disconnect",
    "DpcForDma",
    "DpcForIsr",
    "EndTransfer",
    "HasReturned",
    "Hold",
    "HoldUnderWay",
    "Isr",
    "Leave",
    "LongTime",
    "Look",
    "LookForEvents",
    "QueueForEvents",
    "Send",
    "Silence",
    "Spurious",
    "Start",
    "StartIo",
    "StopWaiting",
    "StopWatchdog",
    "TakeBack",
    "Tick",
    "Wake",
    "WakeAfterPowerCut",
    "an end as Cancelled",
    "an end as Gone",
    "an end as Invalid",
    "an end as NotSent",
    "an end as Success",
    "an end as TimedOut",
];

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
                .find(|case| (case.name, case.resources.signal) == (name, signal))?
                .clone();
            Some(Mistaken {
                case: Case { mistake, ..case },
                breaks,
            })
        })
        .collect()
}

/// Each mistake, the case that is to find it, and what it breaks.
const MISTAKES: [(Mistake, &str, Signal, &str); 20] = {
    const ONCE: &str = "each request completes once";
    const RESULT: &str = "with its own result and status";
    const REGISTERS: &str = "no register of a stopped, sleeping or removed device";
    const MEMORY: &str = "the device's memory is the device's";
    const NOTHING_LOST: &str = "nothing is refused, overwritten or dropped";
    const INTERRUPTS: &str = "no interrupt is lost";
    const PLAIN: &str = "operations and transfers";
    const EVENTS: &str = "those who wait for events";
    const CANCEL: &str = "cancellation and deadlines";
    const STOP: &str = "stop and start";
    use Signal::{Line, Message};
    [
        (Mistake::CompletesTwice, PLAIN, Message, ONCE),
        (Mistake::CancelsBlindly, CANCEL, Message, ONCE),
        (Mistake::MixesResults, PLAIN, Message, RESULT),
        (
            Mistake::CleansUpEverything,
            "a handle is closed",
            Line,
            RESULT,
        ),
        (
            Mistake::TicksTwice,
            "a watchdog at any moment",
            Line,
            RESULT,
        ),
        (
            Mistake::TouchesSleeping,
            "sleep and waking up",
            Line,
            REGISTERS,
        ),
        (Mistake::KeepsOldRegisters, STOP, Message, REGISTERS),
        (Mistake::FreesMemoryEarly, CANCEL, Message, MEMORY),
        (Mistake::StartsTwo, PLAIN, Message, NOTHING_LOST),
        (Mistake::DropsEvents, EVENTS, Message, INTERRUPTS),
        (
            Mistake::Swallows(Register::Status),
            CANCEL,
            Message,
            INTERRUPTS,
        ),
        (
            Mistake::Swallows(Register::Acknowledge),
            PLAIN,
            Line,
            INTERRUPTS,
        ),
        (Mistake::ForgetsDpc, PLAIN, Line, PENDS),
        (Mistake::StopsUnsilenced, STOP, Message, PENDS),
        (Mistake::DropsResults, PLAIN, Message, PENDS),
        (Mistake::OverwritesEnd, PLAIN, Message, PENDS),
        (Mistake::LooksOnce, EVENTS, Message, PENDS),
        (Mistake::ForgetsReturn, PLAIN, Message, PENDS),
        (Mistake::ForgetsHeld, STOP, Line, PENDS),
        (Mistake::OffersForEver, STOP, Line, ENDLESS),
    ]
};

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
