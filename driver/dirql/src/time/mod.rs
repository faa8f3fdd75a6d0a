//! Time in the kernel's unit, 100 nanoseconds: spans, and points of the system time.
//!
//! A due time of the kernel's is one number whose sign decides between the two; here they
//! are two types, and the sign stays inside. See "KeSetTimerEx" and "KeQuerySystemTime".
//!
//! What is measured rather than waited for is counted by [`Stamp`] and
//! [`PerformanceCounter`].
//!
//! # Soundness
//!
//! Facts 5 and 10 to 12 of the crate, and of this module:
//!
//! 65. **Stamps.** The kernel runs where the time stamp counter may be read, and `lfence`
//!     and `rdtsc` are in every processor of this architecture.

mod counter;

pub use counter::{PerformanceCounter, Reading, Stamp};

use crate::sys;

const UNITS_PER_MILLISECOND: u64 = 10_000;

/// A span of time in units of 100 nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks100ns(pub u64);

impl Ticks100ns {
    /// So many milliseconds.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn from_ms(milliseconds: u32) -> Self {
        // Widening; the product of 32 and 14 bits fits.
        Self((milliseconds as u64).saturating_mul(UNITS_PER_MILLISECOND))
    }
}

/// A point of the system time: units of 100 nanoseconds since the year 1601.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemTime100ns(pub u64);

impl SystemTime100ns {
    /// The system time now. Wraps `KeQuerySystemTimePrecise`.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn now() -> Self {
        let mut now = sys::LARGE_INTEGER { QuadPart: 0 };
        // SAFETY: (IRQL) any. (Pointer) the variable lives across the call, facts 5, 10 and
        // 11.
        unsafe { sys::KeQuerySystemTimePrecise(&raw mut now) };
        // SAFETY: (Ready) written by the line before; every bit pattern is an i64, fact 12.
        let now = unsafe { now.QuadPart };
        Self(now.unsigned_abs())
    }

    /// This much later, or the end of time.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn later(self, span: Ticks100ns) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// When something is due. The system time can be set by the user; a span cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// So long from now.
    After(Ticks100ns),
    /// When the system time gets there; at once if it is past.
    At(SystemTime100ns),
}

impl Due {
    /// So many milliseconds from now.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn after_ms(milliseconds: u32) -> Self {
        Self::After(Ticks100ns::from_ms(milliseconds))
    }

    /// As the kernel takes it: from now on negative, a point in time positive. What is too
    /// far away for it is as far away as can be.
    pub(crate) fn to_kernel(self) -> sys::LARGE_INTEGER {
        let clamped = |ticks: u64| i64::try_from(ticks).unwrap_or(i64::MAX);
        let value = match self {
            Self::After(span) => clamped(span.0).saturating_neg(),
            Self::At(point) => clamped(point.0),
        };
        sys::LARGE_INTEGER { QuadPart: value }
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, SystemTime100ns, Ticks100ns};

    fn kernel(due: Due) -> i64 {
        // SAFETY: every bit pattern is an i64, fact 12.
        unsafe { due.to_kernel().QuadPart }
    }

    #[test]
    fn the_sign_says_which_of_the_two_it_is() {
        assert_eq!(kernel(Due::after_ms(3)), -30_000);
        assert_eq!(kernel(Due::At(SystemTime100ns(7))), 7);
    }

    #[test]
    fn what_is_too_far_away_does_not_change_its_sign() {
        assert_eq!(kernel(Due::After(Ticks100ns(u64::MAX))), -i64::MAX);
        assert_eq!(kernel(Due::At(SystemTime100ns(u64::MAX))), i64::MAX);
    }

    #[test]
    fn the_end_of_time_is_the_last_point() {
        let last = SystemTime100ns(u64::MAX - 1);
        assert_eq!(last.later(Ticks100ns(9)), SystemTime100ns(u64::MAX));
    }
}
