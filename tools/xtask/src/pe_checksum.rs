//! The checksum in the header of a PE image, which Windows verifies for every
//! driver that it loads at boot. Microsoft's linker writes it with `/RELEASE`;
//! LLVM's does not.

use anyhow::{Context as _, ensure};

/// Offset of the pointer to the PE signature.
const E_LFANEW: usize = 0x3C;
/// Offset of `CheckSum` from the PE signature: behind the signature (4), the
/// file header (20) and 64 bytes of the optional header, in PE32 and PE32+.
const CHECKSUM: usize = 4 + 20 + 64;

/// Where the checksum of `image` is.
pub(crate) fn offset(image: &[u8]) -> anyhow::Result<usize> {
    let too_short = "the image ends before its headers do";
    let pointer = image.get(E_LFANEW..E_LFANEW + 4).context(too_short)?;
    let signature = usize::try_from(u32::from_le_bytes(pointer.try_into()?))?;
    ensure!(
        image
            .get(signature..)
            .context(too_short)?
            .starts_with(b"PE\0\0"),
        "the image has no PE signature"
    );
    let offset = signature + CHECKSUM;
    ensure!(offset.is_multiple_of(2), "the checksum is at an odd offset");
    ensure!(offset + 4 <= image.len(), too_short);
    Ok(offset)
}

/// The checksum that `image` should have: the one's complement sum of its
/// 16-bit words, the checksum taken as zero, plus its length.
pub(crate) fn compute(image: &[u8]) -> anyhow::Result<u32> {
    let checksum = offset(image)?;
    let mut sum = 0_u32;
    for (index, word) in image.chunks(2).enumerate() {
        if (checksum..checksum + 4).contains(&(index * 2)) {
            continue;
        }
        let word = u16::from_le_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let length = u32::try_from(image.len()).context("the image is larger than 4 GiB")?;
    Ok(sum + length)
}

/// The checksum that `image` has.
pub(crate) fn stored(image: &[u8]) -> anyhow::Result<u32> {
    let checksum = offset(image)?;
    Ok(u32::from_le_bytes(
        image[checksum..checksum + 4].try_into()?,
    ))
}

/// Stores the right checksum in `image`.
pub(crate) fn store(image: &mut [u8]) -> anyhow::Result<()> {
    let checksum = offset(image)?;
    let value = compute(image)?;
    image[checksum..checksum + 4].copy_from_slice(&value.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers with nothing but what the checksum needs, then `body`.
    fn image(body: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 0x40];
        image[E_LFANEW] = 0x40;
        image.extend(b"PE\0\0");
        image.extend([0; CHECKSUM]);
        image.extend(body);
        image
    }

    #[test]
    fn the_sum_wraps_around_and_counts_the_length() {
        // 0x40 + 0x4550 + 0xFFFF + 0x0003: two words of body, one carry.
        let image = image(&[0xFF, 0xFF, 0x03, 0x00]);
        let length = u32::try_from(image.len()).expect("small");
        assert_eq!(compute(&image).expect("valid"), 0x40 + 0x4550 + 3 + length);
    }

    #[test]
    fn a_stored_checksum_does_not_change_the_checksum() {
        let mut image = image(b"odd");
        let before = compute(&image).expect("valid");
        store(&mut image).expect("valid");
        assert_eq!(compute(&image).expect("valid"), before);
        assert_eq!(stored(&image).expect("valid"), before);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(compute(b"MZ").is_err());
        assert!(compute(&[0; 256]).is_err());
    }
}
