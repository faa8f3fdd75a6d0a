//! How long a driver may keep a processor from everything else: in an ISR, with a spin
//! lock held, in a DPC.
//!
//! The longest of each is always measured. It ends the run only where the option
//! `budgets` says so, because the clock of an emulated processor goes on while the host
//! does something else; with QEMU's `-icount` it counts instructions, and then the
//! figures are exact. Interrupts that come in between count, as they do on Windows.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::machine::log::log;
use crate::machine::time::system_time_100ns;
use crate::nt::callout::Callback;
use crate::nt::violation::check;

/// Units of 100 ns in a microsecond.
const MICROSECOND: u64 = 10;

/// What has a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    /// A call of an ISR.
    Isr,
    /// A SynchCritSection routine, or an interrupt's spin lock acquired by hand.
    CriticalSection,
    /// Any other spin lock.
    SpinLock,
    /// A call of a DPC's routine.
    Dpc,
}

/// All of them, with their names and their budgets in microseconds.
const ALL: [(Budget, &str, u64); 4] = [
    (Budget::Isr, "ISR", 25),
    (Budget::CriticalSection, "critical section", 25),
    (Budget::SpinLock, "hold of a spin lock", 25),
    (Budget::Dpc, "DPC", 100),
];

/// The longest of each, in 100 ns.
static LONGEST: [AtomicU64; ALL.len()] = [const { AtomicU64::new(0) }; ALL.len()];

/// By how much each may be exceeded, as a factor; zero when it may by anything.
static FACTORS: [AtomicU64; ALL.len()] = [const { AtomicU64::new(0) }; ALL.len()];

/// Has whatever takes longer than its budget times `factor` end the run; none with 0.
pub(crate) fn enforce(factor: u64) {
    for (budget, ..) in ALL {
        budget.enforce(factor);
    }
}

impl Budget {
    /// Has what takes longer than this budget times `factor` end the run.
    pub(crate) fn enforce(self, factor: u64) {
        FACTORS[self as usize].store(factor, Ordering::Relaxed);
    }

    /// What a call of this kind of routine is allowed.
    pub(crate) const fn of(callback: Callback) -> Option<Self> {
        match callback {
            Callback::Isr => Some(Self::Isr),
            Callback::SynchCritSection => Some(Self::CriticalSection),
            Callback::Dpc => Some(Self::Dpc),
            _ => None,
        }
    }

    /// When something begins that [`Self::spend`] ends.
    pub(crate) fn begin() -> u64 {
        system_time_100ns()
    }

    /// How long it is since `start`, in 100 ns.
    pub(crate) fn taken_since(start: u64) -> u64 {
        system_time_100ns().saturating_sub(start)
    }

    /// Ends what began at `start`.
    pub(crate) fn spend(self, routine: &str, start: u64) {
        let took = Self::taken_since(start);
        LONGEST[self as usize].fetch_max(took, Ordering::Relaxed);
        let factor = FACTORS[self as usize].load(Ordering::Relaxed);
        if factor == 0 {
            return;
        }
        let (_, name, microseconds) = ALL[self as usize];
        let limit = microseconds
            .saturating_mul(MICROSECOND)
            .saturating_mul(factor);
        let is_in_time = took <= limit;
        match self {
            Self::Isr => check!(Int14, routine, is_in_time, "{}", Late(name, took)),
            Self::CriticalSection => check!(Syn05, routine, is_in_time, "{}", Late(name, took)),
            Self::SpinLock => check!(Spl06, routine, is_in_time, "{}", Late(name, took)),
            Self::Dpc => check!(Dpc06, routine, is_in_time, "{}", Late(name, took)),
        }
    }
}

/// What took so long, in 100 ns.
struct Late(&'static str, u64);

impl core::fmt::Display for Late {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            formatter,
            "This {} took {} us.",
            self.0,
            self.1 / MICROSECOND
        )
    }
}

/// Says how long the longest of each was.
pub(crate) fn describe() {
    for ((_, name, budget), longest) in ALL.iter().zip(&LONGEST) {
        let longest = longest.load(Ordering::Relaxed);
        log!(
            "The longest {name} took {}.{} us by this machine's clock; the guidance is {budget} us.",
            longest / MICROSECOND,
            longest % MICROSECOND
        );
    }
}
