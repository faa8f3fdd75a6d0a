//! Lengths of time as people read them: three figures and the unit that fits.

use std::{fmt, time::Duration};

/// A length of time in nanoseconds, shown in the unit that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub u64);

impl fmt::Display for Length {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Unit::of(self.0);
        let value = unit.count(self.0);
        let decimals = match value {
            _ if unit == Unit::Nanoseconds => 0,
            value if value < 9.995 => 2,
            value if value < 99.95 => 1,
            _ => 0,
        };
        formatter.pad(&format!("{value:.decimals$} {}", unit.name()))
    }
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
}

impl Unit {
    /// The largest of which `nanoseconds` has at least one.
    pub(super) const fn of(nanoseconds: u64) -> Self {
        match nanoseconds {
            0..1_000 => Self::Nanoseconds,
            1_000..1_000_000 => Self::Microseconds,
            1_000_000..1_000_000_000 => Self::Milliseconds,
            _ => Self::Seconds,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }

    /// Its length in nanoseconds.
    const fn length(self) -> Duration {
        match self {
            Self::Nanoseconds => Duration::from_nanos(1),
            Self::Microseconds => Duration::from_micros(1),
            Self::Milliseconds => Duration::from_millis(1),
            Self::Seconds => Duration::from_secs(1),
        }
    }

    /// How many of it `nanoseconds` are.
    pub(super) fn count(self, nanoseconds: u64) -> f64 {
        Duration::from_nanos(nanoseconds).div_duration_f64(self.length())
    }
}

/// The time from `from` to `to` in nanoseconds, negative when `to` is earlier.
pub(super) fn signed(from: u64, to: u64) -> f64 {
    let length = |ns| Unit::Nanoseconds.count(ns);
    if to >= from {
        length(to - from)
    } else {
        -length(from - to)
    }
}

#[cfg(test)]
mod tests {
    use super::{Length, signed};

    #[test]
    fn three_figures_and_a_unit() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (9_994, "9.99 µs"),
            (9_996, "10.0 µs"),
            (99_960, "100 µs"),
            (123_456, "123 µs"),
            (1_500_000, "1.50 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(Length(ns).to_string(), text);
        }
        assert_eq!(format!("{:>8}", Length(5)), "    5 ns");
    }

    #[test]
    fn what_is_earlier_is_negative() {
        assert!((signed(7, 5) + 2.0).abs() < 1e-9);
        assert!((signed(5, 7) - 2.0).abs() < 1e-9);
    }
}
