//! Clocks for measuring: the processor's time stamp counter and the performance counter.
//! Wraps `KeQueryPerformanceCounter`.
//!
//! The first is read in one instruction and so fits into an ISR; nothing says how fast it
//! counts. The second has a known rate and costs a call. A [`Reading`] is both at one moment,
//! and two readings some time apart give the rate of the first. See "KeQueryPerformanceCounter"
//! and "Acquiring high-resolution time stamps".

use crate::sys;

/// A value of the time stamp counter.
///
/// On x64 it is what `rdtsc` reads, once everything before it has been done. Processors on
/// which Windows uses it as performance counter count it at one rate in all states of power
/// and in step with one another, so stamps of different processors can be compared. On other
/// architectures it is the performance counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The counter now.
    ///
    /// Everything that the program does before this has been done: a stamp that is taken
    /// when a lock is had is not from before, and one that is taken before it is given back
    /// is not from after.
    ///
    /// # IRQL
    /// Any.
    #[inline]
    #[must_use]
    pub fn now() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: every x64 processor has the instruction; it orders, and has no other
            // effect, fact 65.
            unsafe { core::arch::x86_64::_mm_lfence() };
            // SAFETY: as above; nothing is written, and CR4.TSD, which forbids it to user
            // mode, does not concern the kernel, fact 65.
            Self(unsafe { core::arch::x86_64::_rdtsc() })
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            Self(PerformanceCounter::now().value)
        }
    }

    /// Counts from `earlier` to this one; zero if it is not earlier.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The performance counter. Wraps `KeQueryPerformanceCounter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerformanceCounter {
    /// Its value, in counts; it never goes back.
    pub value: u64,
    /// Its rate in Hz: fixed when the system starts, the same on all processors.
    pub frequency: u64,
}

impl PerformanceCounter {
    /// The counter now. Wraps `KeQueryPerformanceCounter`.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn now() -> Self {
        let mut frequency = sys::LARGE_INTEGER { QuadPart: 0 };
        // SAFETY: (IRQL) any. (Pointer) the variable lives across the call, facts 10 and 11.
        let value = unsafe { sys::KeQueryPerformanceCounter(&raw mut frequency) };
        // SAFETY: (Ready) what the routine returned; every bit pattern is an i64, fact 12.
        let value = unsafe { value.QuadPart };
        // SAFETY: (Ready) written by the routine; as above, fact 12.
        let frequency = unsafe { frequency.QuadPart };
        Self {
            value: value.unsigned_abs(),
            frequency: frequency.unsigned_abs(),
        }
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The time stamp counter.
    pub stamp: Stamp,
    /// The performance counter.
    pub counter: PerformanceCounter,
}

impl Reading {
    /// How often the two are read. An interrupt or another thread can come between them, and
    /// hardly does each time.
    const ATTEMPTS: u32 = 4;

    /// Both clocks now: of several readings, the one that took least time.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn now() -> Self {
        let mut best = Self::once();
        for _ in 1..Self::ATTEMPTS {
            best = Self::quicker(best, Self::once());
        }
        best.1
    }

    /// The one that took less time, the first of equals.
    const fn quicker(first: (u64, Self), second: (u64, Self)) -> (u64, Self) {
        if second.0 < first.0 { second } else { first }
    }

    /// Reads both, with the stamps that it took.
    fn once() -> (u64, Self) {
        let before = Stamp::now();
        let counter = PerformanceCounter::now();
        let took = Stamp::now().since(before);
        let stamp = Stamp(before.0.saturating_add(took >> 1));
        (took, Self { stamp, counter })
    }
}

#[cfg(test)]
mod tests {
    use super::{PerformanceCounter, Reading, Stamp};

    #[test]
    fn the_counters_go_forward() {
        let first = (Stamp::now(), PerformanceCounter::now());
        std::thread::sleep(std::time::Duration::from_millis(2));
        let last = (Stamp::now(), PerformanceCounter::now());
        assert!(last.0 > first.0);
        assert_eq!(first.0.since(last.0), 0);
        assert_eq!(last.1.frequency, first.1.frequency);
        let counted = last.1.value - first.1.value;
        assert!(counted > first.1.frequency / 1_000);
    }

    #[test]
    fn the_reading_that_took_less_time_is_taken_and_the_first_of_equals() {
        let reading = |took, value| {
            let counter = PerformanceCounter {
                value,
                frequency: 1,
            };
            let stamp = Stamp(value);
            (took, Reading { stamp, counter })
        };
        let taken = |one, other| {
            Reading::quicker(reading(one, 1), reading(other, 2))
                .1
                .stamp
                .0
        };
        assert_eq!((taken(9, 3), taken(3, 9), taken(4, 4)), (2, 1, 1));
    }

    #[test]
    fn a_reading_is_of_one_moment() {
        let before = Reading::now();
        let (stamp, counter) = (Stamp::now(), PerformanceCounter::now());
        let after = Reading::now();
        assert!(before.stamp <= stamp && stamp <= after.stamp);
        assert!(before.counter.value <= counter.value);
        assert!(counter.value <= after.counter.value);
    }

    #[test]
    fn stamps_are_as_far_apart_as_they_are() {
        let (earlier, later) = (Stamp(1_000), Stamp(1_007));
        assert_eq!((later.since(earlier), earlier.since(later)), (7, 0));
    }

    /// However often it is looked, since one that comes late can be hidden by an interrupt.
    #[test]
    fn the_stamp_of_a_reading_lies_between_those_around_it() {
        for _ in 0..1_000 {
            let before = Stamp::now();
            let (took, reading) = Reading::once();
            let after = Stamp::now();
            assert!(before <= reading.stamp && reading.stamp <= after);
            assert!(took <= after.since(before));
        }
    }
}
