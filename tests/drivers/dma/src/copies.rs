//! Direct I/O without a device: the processor copies from and to the locked buffer.

use dirql::{
    direct_io::DirectRequest,
    irp::{Buffers, Dispatched, Irp},
    irql::UpToDispatch,
    status::{NtError, Result},
};

/// Bytes that are copied at once.
const CHUNK: usize = 64;

/// METHOD_IN_DIRECT: adds the second buffer up; the sum must be what the first says.
pub(crate) fn copy_in(irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    let sum = sum(irql, &irp);
    let result = sum.and_then(|(sum, length)| {
        if irp.input::<u32>()? == sum {
            Ok(length)
        } else {
            Err(NtError::STATUS_DATA_ERROR)
        }
    });
    irp.complete(irql, result)
}

fn sum(irql: &mut UpToDispatch, irp: &Irp) -> Result<(u32, usize)> {
    let mdl = irp.mdl()?;
    // What was locked for reading is not written.
    if mdl.copy_from(irql, 0, &[0]) != Err(NtError::STATUS_INVALID_DEVICE_REQUEST) {
        return Err(NtError::STATUS_UNSUCCESSFUL);
    }
    let mut sum: u32 = 0;
    let mut offset: usize = 0;
    let mut chunk = [0; CHUNK];
    while offset < mdl.length() {
        let length = mdl.length().saturating_sub(offset).min(CHUNK);
        let bytes = chunk
            .get_mut(..length)
            .ok_or(NtError::STATUS_BUFFER_TOO_SMALL)?;
        mdl.copy_to(irql, offset, bytes)?;
        for byte in bytes.iter() {
            sum = sum.wrapping_mul(31).wrapping_add(u32::from(*byte));
        }
        offset = offset.saturating_add(length);
    }
    Ok((sum, mdl.length()))
}

/// METHOD_OUT_DIRECT: fills the second buffer with a row that begins with what the first
/// says.
pub(crate) fn copy_out(irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    let filled = fill(irql, &irp);
    irp.complete(irql, filled)
}

fn fill(irql: &mut UpToDispatch, irp: &Irp) -> Result<usize> {
    let mdl = irp.mdl()?;
    let mut next: u32 = irp.input()?;
    for offset in 0..mdl.length() {
        let [byte, ..] = next.to_le_bytes();
        mdl.copy_from(irql, offset, &[byte])?;
        next = next.wrapping_add(1);
    }
    // Past the end there is nothing.
    if mdl.copy_from(irql, mdl.length(), &[0]) != Err(NtError::STATUS_BUFFER_TOO_SMALL) {
        return Err(NtError::STATUS_UNSUCCESSFUL);
    }
    Ok(mdl.length())
}
