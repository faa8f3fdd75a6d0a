//! `seed=N`: the numbers behind everything that the rig leaves to chance.
//!
//! Each kind of choice has numbers of its own, and the n-th choice of a kind gets the same
//! number in every run with the same seed: what one kind does cannot shift another. What a
//! seed cannot repeat is which call the n-th one is: that depends on how the host runs the
//! processors. With QEMU counting instructions and a [`script`](super::script) it is the same.

use core::sync::atomic::{AtomicU64, Ordering};

/// What is left to chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Whether a request is cancelled at a call of the driver's, and which.
    Cancel,
    /// The choices of [`mishap`](super::mishap).
    DpcInsideInsert,
    LateDpc,
    DpcElsewhere,
    TimerBeforeCancel,
    /// How long a processor takes at a synchronisation call.
    Delay,
    /// On which processor a DPC runs, and how long it waits.
    Place,
    /// Which processor takes an interrupt.
    Target,
    /// When a neighbour interrupts, and how often.
    Neighbour,
    /// When a message comes that nobody sent, which, and where.
    Spurious,
}

/// How many kinds there are.
const KINDS: usize = 10;

/// The seed of a run that names none.
const DEFAULT_SEED: u64 = 1;

static SEED: AtomicU64 = AtomicU64::new(DEFAULT_SEED);

/// Choices so far, of each kind.
static MADE: [AtomicU64; KINDS] = [const { AtomicU64::new(0) }; KINDS];

/// Chooses the numbers of this run.
pub(crate) fn begin(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

/// The next number for a choice of this kind. Any IRQL.
pub(crate) fn number(choice: Choice) -> u64 {
    let kind = choice as usize % KINDS;
    let made = MADE[kind].fetch_add(1, Ordering::Relaxed);
    let seed = mixed(SEED.load(Ordering::Relaxed).wrapping_add(kind as u64));
    mixed(seed.wrapping_add(made))
}

/// Chooses the numbers of this run by the seed that a text says; `false` when it says none.
pub(crate) fn begin_with(text: &str) -> bool {
    let seed = text.parse();
    if let Ok(seed) = seed {
        begin(seed);
    }
    seed.is_ok()
}

/// One of `count` by a number; zero if there are none.
pub(crate) fn one_of(count: usize, number: u64) -> usize {
    u64::try_from(count)
        .ok()
        .and_then(|count| number.checked_rem(count))
        .and_then(|index| usize::try_from(index).ok())
        .unwrap_or(0)
}

/// Whether a thing happens that is to happen once in `times`, on average.
pub(crate) fn once_in(times: u64, choice: Choice) -> bool {
    number(choice).is_multiple_of(times)
}

/// A step of SplitMix64: neighbouring arguments give numbers that have nothing to do with
/// each other.
const fn mixed(state: u64) -> u64 {
    let mut number = state.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
