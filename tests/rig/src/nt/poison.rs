//! What memory holds that nobody has written yet, and how it is recognised.
//!
//! On Windows such memory holds what somebody else left there. Here it holds a pattern
//! whose bytes say their place, so that a few of them in a row are no coincidence, and
//! one pattern for each kind of memory, so that the report can say where they come from.

use alloc::vec::Vec;
use core::ops::Range;

/// Bytes after which a pattern begins again.
const PERIOD: usize = 8;

/// A pattern. No byte is in it twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poison([u8; PERIOD]);

/// What a request's buffer holds where the program has put nothing.
pub(crate) const BUFFER: Poison = Poison([0xa5, 0x93, 0xd7, 0xbe, 0xf1, 0x8c, 0xe9, 0xca]);
/// What pool holds that was not asked for zeroed.
pub(crate) const POOL: Poison = Poison([0xcd, 0xb1, 0x9e, 0xf3, 0x87, 0xda, 0xac, 0xe5]);

/// What kind of output a request returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A structure that the driver has filled.
    Structure,
    /// Anybody's data, in any amount.
    Data,
}

impl Form {
    /// So many bytes of a pattern in a row are no coincidence. The hole between two fields
    /// of a structure is that small; in data it would be found by chance now and then.
    const fn enough(self) -> usize {
        match self {
            Self::Structure => 4,
            Self::Data => 8,
        }
    }
}

impl Poison {
    /// The byte at this place of memory that begins with the pattern.
    pub(crate) const fn at(self, place: usize) -> u8 {
        self.0[place % PERIOD]
    }

    /// So many bytes of it.
    pub(crate) fn bytes(self, length: usize) -> Vec<u8> {
        (0..length).map(|place| self.at(place)).collect()
    }

    /// The first place from `from` on where `bytes` are as they were when they were
    /// poisoned, and where that ends.
    pub(crate) fn untouched(self, bytes: &[u8], form: Form, from: usize) -> Option<Range<usize>> {
        let is_fresh = |place: usize| bytes.get(place).is_some_and(|byte| *byte == self.at(place));
        let mut start = from;
        while start < bytes.len() {
            let length = (start..bytes.len())
                .take_while(|place| is_fresh(*place))
                .count();
            if length >= form.enough() {
                return Some(start..start + length);
            }
            start += length + 1;
        }
        None
    }

    /// The first place where `bytes` hold some of the pattern, copied from wherever.
    pub(crate) fn copied(self, bytes: &[u8], form: Form) -> Option<usize> {
        let enough = form.enough();
        let mut run = 0;
        let mut expected = None;
        for (place, byte) in bytes.iter().enumerate() {
            let found = self.0.iter().position(|own| own == byte);
            run = match found {
                Some(_) if found == expected => run + 1,
                Some(_) => 1,
                None => 0,
            };
            expected = found.map(|found| (found + 1) % PERIOD);
            if run >= enough {
                return Some(place + 1 - enough);
            }
        }
        None
    }
}
