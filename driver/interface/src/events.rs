//! Interrupts as events: what user mode waits for, and the clock of their time stamps.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// [`EventsRequest::after`] of who wants only what comes after the request.
pub const FROM_NOW: u64 = u64::MAX;

/// Request of [`WAIT_EVENTS`](crate::WAIT_EVENTS).
///
/// The driver keeps the last events. A request is answered at once when there are some
/// with a sequence number of `after` or more; otherwise it pends until the next interrupt.
/// Whoever passes on [`EventsHeader::next`] each time misses none without learning of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct EventsRequest {
    /// The first sequence number of interest, zero for all that there are, or [`FROM_NOW`].
    /// One that is further ahead than the next is refused.
    pub after: u64,
}

/// A moment on both clocks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Moment {
    /// The processor's time stamp counter, the clock of every stamp here.
    pub stamp: u64,
    /// The performance counter.
    pub counter: u64,
}

/// What turns stamps into seconds: stamps and the performance counter go at constant
/// rates, of which the second is known.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Clock {
    /// When the device was added.
    pub first: Moment,
    /// When this was answered.
    pub now: Moment,
    /// The performance counter's rate, in Hz.
    pub frequency: u64,
}

impl Clock {
    /// Nanoseconds from [`first`](Self::first) to `stamp`; zero for an earlier one, and
    /// for a clock that has not moved.
    #[must_use]
    pub fn nanoseconds(&self, stamp: u64) -> u64 {
        self.duration_ns(stamp.saturating_sub(self.first.stamp))
    }

    /// Nanoseconds that `stamps` take.
    #[must_use]
    pub fn duration_ns(&self, stamps: u64) -> u64 {
        let counts = u128::from(self.now.counter.saturating_sub(self.first.counter));
        let all = u128::from(self.now.stamp.saturating_sub(self.first.stamp));
        let divisor = all.saturating_mul(u128::from(self.frequency));
        u128::from(stamps)
            .saturating_mul(counts)
            .saturating_mul(1_000_000_000)
            .checked_div(divisor)
            .map_or(0, |ns| u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// Head of the reply to [`WAIT_EVENTS`](crate::WAIT_EVENTS); `count` [`Event`]s follow it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct EventsHeader {
    /// The clock of the stamps.
    pub clock: Clock,
    /// What to ask for next: the sequence number after the last one here.
    pub next: u64,
    /// Events of interest that the driver does not have any more.
    pub lost: u64,
    /// Events that follow.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
}

/// An interrupt that the ISR claimed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Event {
    /// How many came before it since the device was added.
    pub sequence: u64,
    /// When the ISR read the cause.
    pub stamp: u64,
    /// The interrupt status that the ISR read and acknowledged.
    pub causes: u32,
    /// Zero.
    pub reserved: u32,
}

#[cfg(test)]
mod tests {
    use super::{Clock, Moment};

    #[test]
    fn stamps_become_nanoseconds() {
        let clock = Clock {
            first: Moment {
                stamp: 1_000,
                counter: 50,
            },
            now: Moment {
                stamp: 3_000_001_000,
                counter: 10_000_050,
            },
            frequency: 10_000_000,
        };
        assert_eq!(clock.nanoseconds(1_000), 0);
        assert_eq!(clock.nanoseconds(1_003), 1);
        assert_eq!(clock.nanoseconds(3_000_001_000), 1_000_000_000);
        assert_eq!(clock.nanoseconds(0), 0);
        assert_eq!(clock.duration_ns(u64::MAX), 6_148_914_691_236_517_205);
        assert_eq!(Clock::default().duration_ns(5), 0);
    }
}
