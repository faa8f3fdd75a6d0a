//! A part of the device's buffer that belongs to one lane, and what must be in it.
//!
//! A write that was cancelled may have been done, or half done: each byte is then
//! what it was or what was written, until it is read or written again.

use std::ops::Range;

use fastrand::Rng;

/// The values that a byte may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Values([u128; 2]);

impl Values {
    const ANY: Self = Self([u128::MAX; 2]);

    const fn only(value: u8) -> Self {
        Self([0; 2]).or(value)
    }

    const fn or(mut self, value: u8) -> Self {
        self.0[(value >> 7) as usize] |= 1 << (value & 0x7f);
        self
    }

    const fn contains(self, value: u8) -> bool {
        self.0[(value >> 7) as usize] >> (value & 0x7f) & 1 != 0
    }

    const fn count(self) -> u32 {
        self.0[0].count_ones() + self.0[1].count_ones()
    }
}

/// Bytes of the device's buffer from some offset on, and what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    offset: usize,
    bytes: Vec<Values>,
}

impl Slice {
    /// These bytes of the device's buffer, of whose values nothing is known.
    pub(crate) fn unknown(range: Range<usize>) -> Self {
        Self {
            offset: range.start,
            bytes: vec![Values::ANY; range.len()],
        }
    }

    /// Cuts `length` bytes into `count` slices of the same length, or one more.
    pub(crate) fn cut(length: usize, count: usize) -> impl Iterator<Item = Self> {
        (0..count)
            .map(move |index| Self::unknown(index * length / count..(index + 1) * length / count))
    }

    /// Some of its bytes, at least one.
    pub(crate) fn choose(&self, random: &mut Rng) -> Range<usize> {
        let length = random.usize(1..=self.bytes.len());
        let start = random.usize(0..=self.bytes.len() - length);
        self.offset + start..self.offset + start + length
    }

    /// `data` was written from `offset` of the device's buffer on.
    pub(crate) fn written(&mut self, offset: usize, data: &[u8]) {
        for (byte, value) in self.from(offset).zip(data) {
            *byte = Values::only(*value);
        }
    }

    /// `data` may have been written from `offset` on, or a part of it.
    pub(super) fn may_be_written(&mut self, offset: usize, data: &[u8]) {
        for (byte, value) in self.from(offset).zip(data) {
            *byte = byte.or(*value);
        }
    }

    /// `data` was read from `offset` on. If it can be right, it is what is there.
    pub(crate) fn read(&mut self, offset: usize, data: &[u8]) -> Result<(), String> {
        for (at, (byte, value)) in (offset..).zip(self.from(offset).zip(data)) {
            if !byte.contains(*value) {
                return Err(format!(
                    "byte {at} of the device's buffer reads 0x{value:02x}, which is not {}",
                    match byte.count() {
                        1 => "what was written there",
                        _ => "one of the values that were written there",
                    }
                ));
            }
            *byte = Values::only(*value);
        }
        Ok(())
    }

    fn from(&mut self, offset: usize) -> impl Iterator<Item = &mut Values> {
        let start = offset.saturating_sub(self.offset);
        self.bytes.iter_mut().skip(start)
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::Slice;

    #[test]
    fn the_cut_is_of_all_bytes_and_no_byte_twice() {
        for (length, count) in [(4095, 1), (4095, 16), (4095, 192), (7, 7)] {
            let mut next = 0;
            for slice in Slice::cut(length, count) {
                assert_eq!(slice.offset, next);
                assert!(!slice.bytes.is_empty());
                next += slice.bytes.len();
            }
            assert_eq!(next, length);
        }
    }

    #[test]
    fn what_is_chosen_lies_in_the_slice_and_reaches_its_ends() {
        let slice = Slice::unknown(100..110);
        let mut random = Rng::with_seed(1);
        let chosen: Vec<_> = (0..500).map(|_| slice.choose(&mut random)).collect();
        assert!(chosen.iter().all(|range| !range.is_empty()));
        assert_eq!(chosen.iter().map(|range| range.start).min(), Some(100));
        assert_eq!(chosen.iter().map(|range| range.end).max(), Some(110));
    }

    #[test]
    fn a_byte_is_what_was_read_or_written_last() {
        let mut slice = Slice::unknown(10..20);
        slice.read(10, &[7; 10]).unwrap();
        slice.written(12, &[1, 2]);
        slice.read(11, &[7, 1, 2, 7]).unwrap();
        let error = slice.read(12, &[1, 3]).unwrap_err();
        assert!(error.contains("byte 13"), "{error}");
        assert!(error.contains("0x03"), "{error}");
    }

    #[test]
    fn a_cancelled_write_may_have_been_done_and_is_no_secret_once_it_is_read() {
        let mut slice = Slice::unknown(0..2);
        slice.written(0, &[1, 1]);
        slice.may_be_written(0, &[200, 255]);
        slice.may_be_written(1, &[127]);
        slice.clone().read(0, &[1, 255]).unwrap();
        slice.clone().read(0, &[200, 1]).unwrap();
        slice.clone().read(1, &[127]).unwrap();
        slice.clone().read(0, &[127]).unwrap_err();
        slice.read(0, &[200]).unwrap();
        slice.read(0, &[1]).unwrap_err();
    }
}
