//! `delays=SEED`: a processor is slow where another may meet it.
//!
//! Around the acquisition and the release of a spin lock a processor now and then does
//! nothing for a while, by chance with a seed. So critical sections meet in every run
//! that on an idle machine meet once in many, and a driver that looks at shared data
//! without the lock has a wide window to be seen in.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::machine::time;

/// Of so many places where it could be, a delay is at one, on average.
const ONE_IN: u64 = 16;

/// A delay is at most this long, in microseconds: longer than a busy host takes to give
/// every processor its turn would be of no use.
const LONGEST: u64 = 2_000;

/// How often the generator was asked, with the seed in front; zero while there are no
/// delays.
static STATE: AtomicU64 = AtomicU64::new(0);

/// Delays begin.
pub(crate) fn begin(seed: u64) {
    // Zero would mean none.
    STATE.store(seed.wrapping_mul(INCREMENT) | 1, Ordering::Relaxed);
}

/// What the state is increased by: SplitMix64's constant.
const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

/// Two synchronisation calls could meet here: perhaps this processor takes its time.
/// Any IRQL.
pub(crate) fn perhaps() {
    if STATE.load(Ordering::Relaxed) == 0 {
        return;
    }
    let state = STATE.fetch_add(INCREMENT, Ordering::Relaxed);
    let number = mixed(state);
    if number.is_multiple_of(ONE_IN) {
        time::stall(number / ONE_IN % LONGEST);
    }
}

/// SplitMix64's output for a state.
const fn mixed(state: u64) -> u64 {
    let number = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
