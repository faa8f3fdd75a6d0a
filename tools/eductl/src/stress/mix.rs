//! Which requests a run sends, and in what shares.
//!
//! The weights share out what is under way at a time, not what is done in the end:
//! a transfer takes the device a hundred times as long as an interrupt, and with
//! shares of the requests sent, every place would soon be taken by transfers.

use std::{fmt, str::FromStr};

use fastrand::Rng;
use serde::{Serialize, Serializer};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A factorial.
    Factorial,
    /// An interrupt.
    Raise,
    /// A liveness check.
    Liveness,
    /// A read of a part of the device's buffer.
    Read,
    /// A write of a part of the device's buffer.
    Write,
    /// A wait for the next interrupts.
    Events,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Factorial,
        Self::Raise,
        Self::Liveness,
        Self::Read,
        Self::Write,
        Self::Events,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Factorial => "factorial",
            Self::Raise => "raise",
            Self::Liveness => "liveness",
            Self::Read => "read",
            Self::Write => "write",
            Self::Events => "events",
        }
    }
}

/// Something of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByKind<T>([T; Kind::ALL.len()]);

impl<T> ByKind<T> {
    pub(super) const fn of(&self, kind: Kind) -> &T {
        &self.0[kind as usize]
    }

    pub(super) const fn of_mut(&mut self, kind: Kind) -> &mut T {
        &mut self.0[kind as usize]
    }
}

/// The weight of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix(ByKind<u32>);

/// Waits for events that one thread has under way at most: the driver lets 64 requests
/// wait.
pub(super) const MOST_WAITING: usize = 3;

/// Weights above this only make sums overflow.
const LARGEST: u32 = 1_000_000;

impl Mix {
    /// Chooses what a lane does next, of which a thread has `lanes`, with so much under
    /// way; nothing if that is all that may be.
    pub(super) fn choose(
        &self,
        random: &mut Rng,
        under_way: &ByKind<usize>,
        lanes: usize,
    ) -> Option<Kind> {
        let total: u64 = Kind::ALL.iter().map(|kind| self.weight(*kind)).sum();
        let share = |kind: Kind| {
            let lanes = u64::try_from(lanes).unwrap_or(u64::MAX);
            let share = self.weight(kind).saturating_mul(lanes).div_ceil(total);
            let share = usize::try_from(share).unwrap_or(usize::MAX);
            match kind {
                Kind::Events => share.min(MOST_WAITING),
                _ => share,
            }
        };
        let open = Kind::ALL
            .into_iter()
            .filter(|kind| *under_way.of(*kind) < share(*kind));
        let weights: u64 = open.clone().map(|kind| self.weight(kind)).sum();
        let mut at = random.u64(0..weights.max(1));
        for kind in open {
            match at.checked_sub(self.weight(kind)) {
                None => return Some(kind),
                Some(rest) => at = rest,
            }
        }
        None
    }

    fn weight(&self, kind: Kind) -> u64 {
        u64::from(*self.0.of(kind))
    }
}

impl Default for Mix {
    fn default() -> Self {
        let mut weights = ByKind::default();
        for (kind, weight) in [
            (Kind::Factorial, 3),
            (Kind::Raise, 3),
            (Kind::Liveness, 1),
            (Kind::Read, 2),
            (Kind::Write, 2),
            (Kind::Events, 1),
        ] {
            *weights.of_mut(kind) = weight;
        }
        Self(weights)
    }
}

/// Why a text is no mix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// No `=` in a part.
    #[error("`{0}` is not of the form KIND=WEIGHT, as factorial=3 is")]
    Form(String),
    /// A kind that does not exist.
    #[error("there is no kind `{0}`: choose factorial, raise, liveness, read, write or events")]
    Kind(String),
    /// A weight that is no number, or too large.
    #[error("the weight `{0}` is not a number of at most {LARGEST}")]
    Weight(String),
    /// Nothing to do.
    #[error("every weight is zero")]
    Empty,
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let mut weights = ByKind::<u32>::default();
        for part in text.split(',') {
            let (name, weight) = part
                .split_once('=')
                .ok_or_else(|| MixError::Form(part.to_owned()))?;
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.name() == name.trim())
                .ok_or_else(|| MixError::Kind(name.to_owned()))?;
            *weights.of_mut(kind) = weight
                .trim()
                .parse()
                .ok()
                .filter(|weight| *weight <= LARGEST)
                .ok_or_else(|| MixError::Weight(weight.to_owned()))?;
        }
        if weights == ByKind::default() {
            return Err(MixError::Empty);
        }
        Ok(Self(weights))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in Kind::ALL {
            if self.weight(kind) > 0 {
                write!(
                    formatter,
                    "{separator}{}={}",
                    kind.name(),
                    self.weight(kind)
                )?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::{ByKind, Kind, MOST_WAITING, Mix, MixError};

    #[test]
    fn a_mix_is_what_was_written() {
        let mix: Mix = "raise=5,read=1".parse().unwrap();
        assert_eq!(mix.to_string(), "raise=5,read=1");
        assert_eq!(Mix::default().to_string().parse(), Ok(Mix::default()));
        for (text, error) in [
            ("raise", MixError::Form("raise".to_owned())),
            ("", MixError::Form(String::new())),
            ("rise=1", MixError::Kind("rise".to_owned())),
            ("raise=x", MixError::Weight("x".to_owned())),
            ("raise=-1", MixError::Weight("-1".to_owned())),
            ("raise=1000001", MixError::Weight("1000001".to_owned())),
            ("raise=0,read=0", MixError::Empty),
        ] {
            assert_eq!(text.parse::<Mix>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_weights_share_out_the_lanes() {
        let mix: Mix = "raise=6,read=1,write=1".parse().unwrap();
        let mut random = Rng::with_seed(7);
        for _ in 0..100 {
            let mut under_way = ByKind::<usize>::default();
            for _ in 0..8 {
                let kind = mix.choose(&mut random, &under_way, 8).unwrap();
                *under_way.of_mut(kind) += 1;
            }
            assert_eq!(*under_way.of(Kind::Raise), 6);
            assert_eq!(*under_way.of(Kind::Read), 1);
            assert_eq!(*under_way.of(Kind::Write), 1);
        }
    }

    #[test]
    fn no_more_wait_than_the_driver_lets() {
        let mix: Mix = "events=1".parse().unwrap();
        let mut random = Rng::with_seed(7);
        let mut under_way = ByKind::default();
        for _ in 0..MOST_WAITING {
            let kind = mix.choose(&mut random, &under_way, 12).unwrap();
            *under_way.of_mut(kind) += 1;
        }
        assert_eq!(*under_way.of(Kind::Events), MOST_WAITING);
        assert_eq!(mix.choose(&mut random, &under_way, 12), None);
    }

    #[test]
    fn one_lane_does_all_kinds_in_turn() {
        let (mix, under_way) = (Mix::default(), ByKind::default());
        let mut random = Rng::with_seed(7);
        let mut chosen = ByKind::<u32>::default();
        for _ in 0..1_000 {
            let kind = mix.choose(&mut random, &under_way, 1).unwrap();
            *chosen.of_mut(kind) += 1;
        }
        assert!(Kind::ALL.iter().all(|kind| *chosen.of(*kind) > 20));
    }
}
