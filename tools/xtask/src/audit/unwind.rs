//! How much stack a routine takes, from its unwind record.
//!
//! The record describes what the prologue does to the stack pointer, because the kernel
//! undoes just that when it unwinds; so it is the truth about each routine that is not a
//! leaf. See "x64 exception handling" of Microsoft's documentation for the format.

use anyhow::{Context as _, bail, ensure};

/// Bytes in front of the unwind codes.
const HEADER: u64 = 4;
/// The record goes on in that of another range, whose frame this one shares.
const FLAG_CHAINED: u8 = 4;

const PUSH_NONVOLATILE: u8 = 0;
const ALLOC_LARGE: u8 = 1;
const ALLOC_SMALL: u8 = 2;
const SET_FRAME_REGISTER: u8 = 3;
const SAVE_NONVOLATILE: u8 = 4;
const SAVE_NONVOLATILE_FAR: u8 = 5;
const EPILOGUE: u8 = 6;
const SPARE: u8 = 7;
const SAVE_XMM128: u8 = 8;
const SAVE_XMM128_FAR: u8 = 9;
const PUSH_MACHINE_FRAME: u8 = 10;

/// Bytes of stack below the return address. `read` gives bytes of the UNWIND_INFO.
///
/// # Errors
/// If the record is cut off, or has something in it that no driver's routine does.
pub(super) fn frame_size<'a>(read: impl Fn(u64, usize) -> Option<&'a [u8]>) -> anyhow::Result<u64> {
    let header = read(0, 4).context("there is no unwind information")?;
    let (version, flags) = (header[0] & 7, header[0] >> 3);
    ensure!(
        version == 1 || version == 2,
        "the unwind information is of version {version}, which nobody has defined"
    );
    ensure!(
        flags & FLAG_CHAINED == 0,
        "the routine is in several pieces, which the audit does not put together"
    );
    let count = u64::from(header[2]);
    let slot = |index: u64| {
        ensure!(index < count, "the unwind codes are cut off");
        let bytes = read(HEADER + 2 * index, 2).context("the unwind codes are cut off")?;
        Ok((bytes[0], bytes[1]))
    };
    let word =
        |index: u64| slot(index).map(|(low, high)| u64::from(u16::from_le_bytes([low, high])));
    let (mut size, mut index) = (0, 0);
    while index < count {
        let (_, code) = slot(index)?;
        let (operation, operand) = (code & 0xf, code >> 4);
        let (bytes, slots) = match (operation, operand) {
            (PUSH_NONVOLATILE, _) => (8, 1),
            (ALLOC_LARGE, 0) => (word(index + 1)? * 8, 2),
            (ALLOC_LARGE, _) => (word(index + 1)? | word(index + 2)? << 16, 3),
            (ALLOC_SMALL, _) => (u64::from(operand) * 8 + 8, 1),
            (SET_FRAME_REGISTER, _) => (0, 1),
            // Of version 2, where it says something about the epilogue.
            (EPILOGUE, _) if version == 2 => (0, 1),
            (SPARE, _) if version == 2 => (0, 2),
            (SAVE_NONVOLATILE | SAVE_XMM128, _) => (0, 2),
            (SAVE_NONVOLATILE_FAR | SAVE_XMM128_FAR, _) => (0, 3),
            (PUSH_MACHINE_FRAME, _) => {
                bail!("this is an interrupt's entry, not a driver's routine")
            }
            (other, _) => bail!("there is an unwind code {other}, which nobody has defined"),
        };
        size += bytes;
        index += slots;
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::frame_size;

    fn size(record: &[u8]) -> anyhow::Result<u64> {
        frame_size(|offset, length| {
            let offset = usize::try_from(offset).ok()?;
            record.get(offset..offset.checked_add(length)?)
        })
    }

    #[test]
    fn pushes_and_allocations_count() {
        // push rsi; sub rsp, 32
        let record = [1, 5, 2, 0, 5, 0x32, 1, 0x60];
        assert_eq!(size(&record).expect("both are known"), 8 + 32);
        // sub rsp, 272, in units of 8; then in bytes
        assert_eq!(size(&[1, 7, 2, 0, 7, 0x01, 34, 0]).expect("known"), 272);
        assert_eq!(
            size(&[1, 7, 3, 0, 7, 0x11, 0x00, 0x00, 0x02, 0x00]).expect("known"),
            0x2_0000
        );
        // movaps [rsp + 16], xmm6 takes no more
        assert_eq!(
            size(&[1, 5, 3, 0, 5, 0x68, 1, 0, 1, 0x32]).expect("known"),
            32
        );
        assert_eq!(size(&[1, 0, 0, 0]).expect("an empty prologue"), 0);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(size(&[]).is_err(), "nothing");
        assert!(size(&[7, 0, 0, 0]).is_err(), "version");
        assert!(size(&[1 | 4 << 3, 0, 0, 0]).is_err(), "chained");
        assert!(size(&[1, 0, 1, 0]).is_err(), "cut off");
        assert!(size(&[1, 0, 1, 0, 0, 0x01]).is_err(), "cut off in a code");
        assert!(size(&[1, 0, 1, 0, 0, 0x0a]).is_err(), "machine frame");
        assert!(size(&[1, 0, 1, 0, 0, 0x0f]).is_err(), "unknown");
    }
}
