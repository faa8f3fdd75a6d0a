//! Replies that are longer than one structure: written piece by piece.

use zerocopy::{Immutable, IntoBytes};

use super::{Buffers, Irp, Owned, PendingIrp};
use crate::{
    status::{NtError, Result},
    stop_code::{Reason, stop},
};

/// The output buffer of a request with buffered I/O, filled from its start without a gap:
/// so all that is said to be written is, and nothing else that the system buffer holds gets
/// out.
///
/// The input lies in the same buffer: what is wanted of it is copied before.
#[derive(Debug)]
pub struct OutputWriter<'a> {
    irp: &'a mut Owned,
    written: usize,
}

impl OutputWriter<'_> {
    /// Writes `part` behind what has been written.
    ///
    /// # IRQL
    /// Any.
    ///
    /// # Errors
    /// STATUS_BUFFER_TOO_SMALL if it does not fit; nothing is written then.
    pub fn append<T: IntoBytes + Immutable + ?Sized>(&mut self, part: &T) -> Result<()> {
        let bytes = part.as_bytes();
        if bytes.len() > self.room() {
            return Err(NtError::STATUS_BUFFER_TOO_SMALL);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let buffer = self.irp.system_buffer();
        if buffer.is_null() {
            stop(Reason::BufferMissing, self.irp.0.addr());
        }
        // SAFETY: (Pointer) the system buffer holds at least the output length, of which
        // there is room left, facts 4 and 10.
        let place = unsafe { buffer.add(self.written) };
        // SAFETY: (Pointer) as above. (Aliasing) the IRP is this owner's, and the part is no
        // piece of it, fact 4.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.written = self.written.saturating_add(bytes.len());
        Ok(())
    }

    /// How many bytes there is room for.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn room(&self) -> usize {
        self.irp.output_length().saturating_sub(self.written)
    }

    /// How many bytes have been written, for `complete`.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn written(&self) -> usize {
        self.written
    }
}

macro_rules! written_in_parts {
    ($($owner:ident),*) => {
        $(impl $owner {
            /// The output buffer, to write a reply of several parts to.
            ///
            /// # IRQL
            /// Any.
            ///
            /// # Errors
            /// STATUS_INVALID_DEVICE_REQUEST if the request has no output buffer that the
            /// driver may write.
            pub fn output_writer(&mut self) -> Result<OutputWriter<'_>> {
                self.0.output::<()>()?;
                Ok(OutputWriter {
                    irp: &mut self.0,
                    written: 0,
                })
            }
        })*
    };
}

written_in_parts!(Irp, PendingIrp);
