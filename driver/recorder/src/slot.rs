//! One place for one record at a time.

use crate::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Words of a record beside its number.
pub(crate) const WORDS: usize = 3;

/// What a reader finds in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The record of this turn.
    Words([u64; WORDS]),
    /// Its writer is not done.
    Unwritten,
    /// It was overwritten, or given up.
    Lost,
}

/// Room for one record.
///
/// Records come to it in turns, once in each round of the ring.
#[derive(Debug)]
pub struct Slot {
    /// Twice a turn and one or two; see the crate's page.
    version: AtomicU64,
    /// One more than the last turn that was given up here.
    given_up: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            words: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Makes the slot what it is after this turn, which nobody reads.
    pub(crate) fn set_out(&self, turn: u64) {
        self.version.store(written(turn), Relaxed);
    }

    /// Writes the record of a turn, which comes `round` after the one before, or gives it up.
    #[inline]
    pub(crate) fn write(&self, turn: u64, round: u64, words: [u64; WORDS]) {
        // Mostly the last thing that happened here is that the turn before was written.
        let before = written(turn.wrapping_sub(round));
        let being_written = being_written(turn);
        let claimed = self
            .version
            // What the last writer has stored comes before what this one stores.
            .compare_exchange(before, being_written, Acquire, Relaxed)
            .is_ok();
        if !claimed && !self.claim_late(being_written) {
            self.give_up(turn);
            return;
        }
        // Who loads one of the words below, and then the version, does not get a version
        // from before the claim.
        fence(Release);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Relaxed);
        }
        self.version.store(written(turn), Release);
    }

    /// Makes the slot this writer's, unless another one has it or a later one has had it.
    #[cold]
    fn claim_late(&self, being_written: u64) -> bool {
        let before = self.version.load(Relaxed);
        let free = before & 1 == 0 && before < being_written;
        free && self
            .version
            .compare_exchange(before, being_written, Acquire, Relaxed)
            .is_ok()
    }

    /// Notes that the record of a turn was given up.
    ///
    /// Not by `fetch_max`, which tries until it succeeds: an ISR has no time for a loop
    /// without a bound. This fails only if another record was given up here since the load,
    /// one of another round of the ring. Then it may not be noted, and a reader stops in front
    /// of it until the next round comes by here.
    #[cold]
    pub(crate) fn give_up(&self, turn: u64) {
        let before = self.given_up.load(Relaxed);
        if before <= turn {
            let after = turn.wrapping_add(1);
            let _noted = self
                .given_up
                .compare_exchange(before, after, Relaxed, Relaxed);
        }
    }

    /// Reads the record of a turn.
    pub(crate) fn read(&self, turn: u64) -> Found {
        let version = self.version.load(Acquire);
        if version > written(turn) {
            return Found::Lost;
        }
        if version < written(turn) {
            return if self.given_up.load(Relaxed) > turn {
                Found::Lost
            } else {
                Found::Unwritten
            };
        }
        let words = core::array::from_fn(|word| {
            self.words.get(word).map_or(0, |place| place.load(Relaxed))
        });
        fence(Acquire);
        if self.version.load(Relaxed) == version {
            Found::Words(words)
        } else {
            Found::Lost
        }
    }
}

const fn being_written(turn: u64) -> u64 {
    turn.wrapping_shl(1) | 1
}

const fn written(turn: u64) -> u64 {
    being_written(turn).wrapping_add(1)
}
