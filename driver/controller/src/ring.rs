//! A fixed ring of results between the ISR and the DPC.
//!
//! The ISR puts results in, the DPC takes all of them out in one critical
//! section. It never overwrites: space is reserved when an operation is armed,
//! see [`Ring::has_room`], so a result always finds a place.

/// Results in the order in which they came, at most `N`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ring<V, const N: usize> {
    slots: [Option<V>; N],
    /// Index of the oldest result.
    first: usize,
    /// Number of results.
    length: usize,
}

impl<V, const N: usize> Ring<V, N> {
    pub(crate) const fn new() -> Self {
        const { assert!(N > 0, "a ring without slots holds nothing") };
        Self {
            slots: [const { None }; N],
            first: 0,
            length: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    pub(crate) const fn has_room(&self) -> bool {
        self.length < N
    }

    /// Puts a result at the end, or hands it back when there is no room.
    pub(crate) fn push(&mut self, value: V) -> Result<(), V> {
        if self.length >= N {
            return Err(value);
        }
        let index = Self::wrap(self.first.wrapping_add(self.length));
        match self.slots.get_mut(index) {
            // Said to be empty, so that overwriting it is no drop of a result: under
            // the lock nothing may be dropped, and the compiler leaves that code out.
            Some(slot @ None) => {
                *slot = Some(value);
                self.length = self.length.wrapping_add(1);
                Ok(())
            }
            _ => Err(value),
        }
    }

    /// An index below `2 * N`, put back onto the ring.
    fn wrap(index: usize) -> usize {
        index.checked_sub(N).unwrap_or(index)
    }

    /// Takes the oldest result.
    pub(crate) fn pop(&mut self) -> Option<V> {
        let value = self.slots.get_mut(self.first)?.take()?;
        self.first = Self::wrap(self.first.wrapping_add(1));
        self.length = self.length.saturating_sub(1);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    #[test]
    fn keeps_order_across_the_seam_and_never_overwrites() {
        let mut ring = Ring::<u32, 3>::new();
        for round in 0..10 {
            assert!(ring.has_room());
            assert_eq!(ring.push(round), Ok(()));
            assert_eq!(ring.push(round + 100), Ok(()));
            assert_eq!(ring.push(round + 200), Ok(()));
            assert!(!ring.has_room());
            assert_eq!(ring.push(999), Err(999));
            assert_eq!(ring.pop(), Some(round));
            assert_eq!(ring.push(round + 300), Ok(()));
            assert_eq!(ring.pop(), Some(round + 100));
            assert_eq!(ring.pop(), Some(round + 200));
            assert_eq!(ring.pop(), Some(round + 300));
            assert_eq!(ring.pop(), None);
        }
    }
}
