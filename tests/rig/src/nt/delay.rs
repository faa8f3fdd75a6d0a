//! `delays=SEED`: a processor is slow where another may meet it.
//!
//! Around the acquisition and the release of a spin lock a processor now and then does
//! nothing for a while, by chance. So critical sections meet in every run
//! that on an idle machine meet once in many, and a driver that looks at shared data
//! without the lock has a wide window to be seen in.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::machine::time;
use crate::nt::chance::{self, Choice};

/// Of so many places where it could be, a delay is at one, on average.
const ONE_IN: u64 = 16;

/// A delay is at most this long, in microseconds: longer than a busy host takes to give
/// every processor its turn would be of no use.
const LONGEST: u64 = 2_000;

/// There are delays.
static ARE_ON: AtomicBool = AtomicBool::new(false);

/// Delays begin.
pub(crate) fn begin() {
    ARE_ON.store(true, Ordering::Relaxed);
}

/// Two synchronisation calls could meet here: perhaps this processor takes its time.
/// Any IRQL.
pub(crate) fn perhaps() {
    if !ARE_ON.load(Ordering::Relaxed) {
        return;
    }
    let number = chance::number(Choice::Delay);
    if number.is_multiple_of(ONE_IN) {
        time::stall(number / ONE_IN % LONGEST);
    }
}
