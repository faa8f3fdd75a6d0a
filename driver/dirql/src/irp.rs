//! Owned IRPs. Wraps `IoMarkIrpPending`, `IoCompleteRequest`, `IoCallDriver`.
//!
//! # Model
//!
//! ```text
//!   dispatch routine: Irp --complete---------> Dispatched
//!                      |  '--forward---------> Dispatched: the lower driver's IRP now
//!                      '-----pend(PendingIrp)-> Dispatched, and the PendingIrp goes to a
//!                                              device queue, an IRP queue, a state, and is
//!                                              completed from there
//! ```
//!
//! A dispatch routine is given an [`Irp`] and must return a [`Dispatched`], which
//! only completing or pending an IRP makes; both consume it. So an IRP that is
//! completed twice, used afterwards, or neither completed nor pended does not
//! compile. One that is dropped is completed with STATUS_REQUEST_ABORTED.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | [`Buffers`], `write_output`, `output_writer` | the IRP's owner | none | no |
//! | `complete`, `forward` | the same | any up to `Dispatch` | no |
//! | `pend` | its dispatch routine | none | no |
//! | drop | the same | looked at: at most DISPATCH_LEVEL | no |
//!
//! # Soundness
//!
//! Crate facts 1 to 5. The system buffer of an owned IRP is this owner's alone until
//! the IRP is completed: user mode cannot reach it.
//!
//! # Not here
//!
//! IRPs that a driver makes itself. See "Handling IRPs".

mod output;

use core::mem::ManuallyDrop;

pub use output::OutputWriter;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    completing,
    device::{Device, Header},
    file::FileObject,
    irql::{self, AtMostDispatch},
    pnp,
    status::{NtError, Result, status_of},
    stop_code::{Reason, stop},
    sys,
};

pub(crate) const SL_PENDING_RETURNED: u8 = 1;
/// `STATUS_PENDING`.
pub(crate) const STATUS_PENDING: sys::NTSTATUS = 0x103;
const METHOD_MASK: u32 = 3;
const METHOD_BUFFERED: u32 = 0;
const METHOD_NEITHER: u32 = 3;

/// The one owner of an IRP.
#[derive(Debug)]
struct Owned(*mut sys::IRP);

// SAFETY: an IRP belongs to no thread; its one owner may be anywhere, fact 4.
unsafe impl Send for Owned {}

/// An IRP in its dispatch routine.
#[must_use = "an IRP is completed or pended; dropping it aborts the request"]
#[derive(Debug)]
pub struct Irp(Owned);

/// An IRP that its dispatch routine has left pending.
#[must_use = "a pending IRP is completed in the end; dropping it aborts the request"]
#[derive(Debug)]
pub struct PendingIrp(Owned);

/// Proof that a dispatch routine has dealt with its IRP; holds what to return.
#[must_use = "a dispatch routine returns this"]
#[derive(Debug)]
pub struct Dispatched {
    status: sys::NTSTATUS,
    /// Which IRP it was: routines on two processors could exchange theirs.
    irp: *mut sys::IRP,
}

impl Dispatched {
    /// What the dispatch routine of `irp` returns.
    pub(crate) fn status_of(&self, irp: *mut sys::IRP) -> sys::NTSTATUS {
        if irp != self.irp {
            stop(Reason::ForeignIrp, irp.addr());
        }
        self.status
    }
}

/// What a request carries, in whatever state its IRP is.
pub trait Buffers {
    /// The I/O control code; `None` unless this is IRP_MJ_DEVICE_CONTROL.
    fn control_code(&self) -> Option<u32>;

    /// A copy of the request at the start of the input buffer.
    ///
    /// # Errors
    /// STATUS_INFO_LENGTH_MISMATCH if the buffer is shorter,
    /// STATUS_INVALID_DEVICE_REQUEST if the request has no such buffer.
    fn input<T: FromBytes>(&self) -> Result<T>;

    /// Whether a reply of type `T` fits into the output buffer.
    ///
    /// # Errors
    /// STATUS_BUFFER_TOO_SMALL if not, STATUS_INVALID_DEVICE_REQUEST if the request has no
    /// output buffer that the driver may write.
    fn expect_output<T>(&self) -> Result<()>;

    /// Length of the output buffer in bytes.
    fn output_length(&self) -> usize;

    /// The file that the request was sent on; `None` for one that no file is open for.
    fn file(&self) -> Option<FileObject>;
}

impl Buffers for Owned {
    fn control_code(&self) -> Option<u32> {
        self.control().map(|control| control.code)
    }

    fn input<T: FromBytes>(&self) -> Result<T> {
        let control = self.control();
        let control = control.ok_or(NtError::STATUS_INVALID_DEVICE_REQUEST)?;
        if control.code & METHOD_MASK == METHOD_NEITHER {
            return Err(NtError::STATUS_INVALID_DEVICE_REQUEST);
        }
        if control.input_length < size_of::<T>() {
            return Err(NtError::STATUS_INFO_LENGTH_MISMATCH);
        }
        let buffer = self.system_buffer();
        if buffer.is_null() && control.input_length > 0 {
            stop(Reason::BufferMissing, self.0.addr());
        }
        let bytes: &[u8] = if control.input_length == 0 {
            &[]
        } else {
            // SAFETY: (Pointer) the I/O manager has allocated at least the input length and
            // copied the input there, so it is initialised. (Aliasing) module doc, facts 4
            // and 10.
            unsafe { core::slice::from_raw_parts(buffer, control.input_length) }
        };
        T::read_from_prefix(bytes)
            .map(|(value, _)| value)
            .map_err(|_| NtError::STATUS_INFO_LENGTH_MISMATCH)
    }

    fn expect_output<T>(&self) -> Result<()> {
        self.output::<T>().map(|_| ())
    }

    fn output_length(&self) -> usize {
        self.control().map_or(0, |control| control.output_length)
    }

    fn file(&self) -> Option<FileObject> {
        // SAFETY: (Pointer) an owned IRP is alive, fact 4.
        FileObject::new(unsafe { sys::file_object(self.0) })
    }
}

/// Passes [`Buffers`] on to the owner of the IRP inside.
macro_rules! buffers_of {
    ($($owner:ty),*) => {
        $(impl $crate::irp::Buffers for $owner {
            fn control_code(&self) -> Option<u32> {
                self.0.control_code()
            }

            fn input<T: zerocopy::FromBytes>(&self) -> $crate::status::Result<T> {
                self.0.input()
            }

            fn expect_output<T>(&self) -> $crate::status::Result<()> {
                self.0.expect_output::<T>()
            }

            fn output_length(&self) -> usize {
                self.0.output_length()
            }

            fn file(&self) -> Option<$crate::file::FileObject> {
                self.0.file()
            }
        })*
    };
}
pub(crate) use buffers_of;

buffers_of!(Irp, PendingIrp);

macro_rules! ownership {
    ($owner:ident) => {
        impl $owner {
            /// Takes over the IRP.
            ///
            /// # Safety
            /// The caller owns the IRP (fact 4), and its current stack location is that
            /// of a device of this crate, whose remove lock it holds.
            pub(crate) const unsafe fn from_raw(irp: *mut sys::IRP) -> Self {
                Self(Owned(irp))
            }

            /// The IRP, which stays this owner's.
            pub(crate) const fn as_raw(&self) -> *mut sys::IRP {
                self.0.0
            }

            /// Gives the IRP up without completing it.
            pub(crate) fn into_raw(self) -> *mut sys::IRP {
                ManuallyDrop::new(self).0.0
            }

            /// Writes a reply to the output buffer; the number of bytes, for `complete`.
            ///
            /// # Errors
            /// As [`Buffers::expect_output`].
            pub fn write_output<T: IntoBytes + Immutable>(&mut self, reply: &T) -> Result<usize> {
                self.0.write_output(reply)
            }
        }
    };
}

ownership!(Irp);
ownership!(PendingIrp);

impl Irp {
    /// Completes the IRP: `Ok` with the number of bytes written, or the error.
    /// Wraps `IoCompleteRequest`.
    pub fn complete<I: AtMostDispatch>(self, _irql: &mut I, result: Result<usize>) -> Dispatched {
        let status = status_of(&result);
        let irp = self.0.0;
        ManuallyDrop::new(self).0.complete(result);
        Dispatched { status, irp }
    }

    /// Marks the IRP pending, and only then lets `publish` hand it to others, who may
    /// complete it at once. Wraps `IoMarkIrpPending`.
    pub fn pend(self, publish: impl FnOnce(PendingIrp)) -> Dispatched {
        let irp = self.into_raw();
        // SAFETY: (Pointer) this owner's IRP is alive, fact 4.
        let location = unsafe { sys::current_location(irp) };
        // SAFETY: (Aliasing) the IRP is this owner's, and published only below, fact 4.
        unsafe { (*location).Control |= SL_PENDING_RETURNED };
        publish(PendingIrp(Owned(irp)));
        Dispatched {
            status: STATUS_PENDING,
            irp,
        }
    }
}

impl Irp {
    /// Passes the IRP as it came to the driver below, which owns it from then on. Wraps
    /// `IoSkipCurrentIrpStackLocation`, `IoCallDriver`; see "Passing IRPs down the Driver
    /// Stack".
    ///
    /// An IRP of another device is a bug check.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL, and no spin lock held: the drivers below run inside.
    pub fn forward<E, I: AtMostDispatch>(self, device: &Device<E>, _irql: &mut I) -> Dispatched {
        let header = device.header();
        let irp = self.0.0;
        if self.0.device_object() != header.object() {
            stop(Reason::ForeignIrp, irp.addr());
        }
        Dispatched {
            status: pnp::forward(header, self),
            irp,
        }
    }
}

impl Irp {
    /// Whether IRP_MJ_CREATE names something inside the device, `\\device\name`.
    #[must_use]
    pub fn has_trailing_name(&self) -> bool {
        // SAFETY: (Pointer) a location of an IRP that is alive, fact 4.
        let file = unsafe { (*self.0.location()).FileObject };
        if file.is_null() {
            return false;
        }
        // SAFETY: (Pointer) the I/O manager keeps the file object across the request, facts
        // 4 and 10.
        unsafe { (*file).FileName.Length != 0 }
    }
}

impl Irp {
    /// The translated resource list of IRP_MN_START_DEVICE; NULL if there is none.
    pub(crate) fn translated_resources(&self) -> *const sys::CM_RESOURCE_LIST {
        let location = self.0.location();
        // SAFETY: (Pointer) a location of an IRP that is alive; called for START_DEVICE
        // alone, which uses this member, fact 4.
        let parameters = unsafe { &raw const (*location).Parameters.StartDevice };
        // SAFETY: (Pointer) a place in that location, fact 4.
        unsafe { (*parameters).AllocatedResourcesTranslated }
    }
}

impl PendingIrp {
    /// The device object whose stack location this is.
    pub(crate) fn device_object(&self) -> *mut sys::DEVICE_OBJECT {
        self.0.device_object()
    }

    /// Whether the request was cancelled. Is `Irp->Cancel`; see "Cancelling IRPs".
    ///
    /// Of use to whoever has an IRP that is in no queue: between two steps of a long request
    /// it says that the rest is wanted no more.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // SAFETY: (Pointer) this owner's IRP is alive, fact 4.
        unsafe { sys::is_cancelled(self.as_raw()) }
    }

    /// Completes the IRP: `Ok` with the number of bytes written, or the error.
    /// Wraps `IoCompleteRequest`.
    pub fn complete<I: AtMostDispatch>(self, _irql: &mut I, result: Result<usize>) {
        ManuallyDrop::new(self).0.complete(result);
    }
}

/// Parameters of IRP_MJ_DEVICE_CONTROL.
struct Control {
    code: u32,
    input_length: usize,
    output_length: usize,
}

impl Owned {
    fn location(&self) -> *mut sys::IO_STACK_LOCATION {
        // SAFETY: (Pointer) an owned IRP is alive, fact 4.
        unsafe { sys::current_location(self.0) }
    }

    fn device_object(&self) -> *mut sys::DEVICE_OBJECT {
        // SAFETY: (Pointer) a location of an IRP that is alive, fact 4.
        unsafe { (*self.location()).DeviceObject }
    }

    fn control(&self) -> Option<Control> {
        let location = self.location();
        // SAFETY: (Pointer) a location of an IRP that is alive, fact 4.
        let major = unsafe { (*location).MajorFunction };
        if u32::from(major) != sys::IRP_MJ_DEVICE_CONTROL {
            return None;
        }
        // SAFETY: (Pointer) as above; the major code says which member is in use, fact 4.
        let parameters = unsafe { &raw const (*location).Parameters.DeviceIoControl };
        // SAFETY: (Ready) the I/O manager has filled it in, facts 4 and 10.
        let parameters = unsafe { parameters.read() };
        Some(Control {
            code: parameters.IoControlCode,
            input_length: usize::try_from(parameters.InputBufferLength).unwrap_or(0),
            output_length: usize::try_from(parameters.OutputBufferLength).unwrap_or(0),
        })
    }

    fn system_buffer(&self) -> *mut u8 {
        // SAFETY: (Pointer) an owned IRP is alive; this function's callers have seen a
        // transfer method for which the union holds the system buffer, fact 4.
        let buffer = unsafe { &raw const (*self.0).AssociatedIrp.SystemBuffer };
        // SAFETY: (Ready) the I/O manager has filled it in, facts 4 and 10.
        unsafe { buffer.read() }.cast()
    }

    /// The output buffer, if a `T` fits into it.
    fn output<T>(&self) -> Result<*mut u8> {
        let control = self.control();
        let control = control.ok_or(NtError::STATUS_INVALID_DEVICE_REQUEST)?;
        if control.code & METHOD_MASK != METHOD_BUFFERED {
            return Err(NtError::STATUS_INVALID_DEVICE_REQUEST);
        }
        if control.output_length < size_of::<T>() {
            return Err(NtError::STATUS_BUFFER_TOO_SMALL);
        }
        Ok(self.system_buffer())
    }

    fn write_output<T: IntoBytes + Immutable>(&mut self, reply: &T) -> Result<usize> {
        let buffer = self.output::<T>()?;
        let bytes = reply.as_bytes();
        if bytes.is_empty() {
            return Ok(0);
        }
        if buffer.is_null() {
            stop(Reason::BufferMissing, self.0.addr());
        }
        // SAFETY: (Pointer) the system buffer holds at least the output length, which
        // `output` has seen to be enough. (Aliasing) the IRP is this owner's, and the reply
        // is no part of it, fact 4.
        unsafe { buffer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(bytes.len())
    }

    /// Ends the request; called once for each IRP, by the consuming methods.
    // Two dozen callers: inlined, it is a twentieth of a driver's code.
    #[inline(never)]
    fn complete(&self, result: Result<usize>) {
        let irp = self.0;
        let object = self.device_object();
        // SAFETY: (Pointer) the IRP is at a device of this crate, which its remove lock
        // keeps alive, fact 4.
        let header = unsafe { Header::of(object) };
        // SAFETY: (Caller) the IRP's owner, with this header's routine; the public methods have
        // a token of at most DISPATCH_LEVEL, and `drop` has looked, facts 4 and 5.
        unsafe { completing::tell(header.completing(), object, result) };
        // SAFETY: (Aliasing) the IRP is this owner's until the line below ends that, fact
        // 4.
        unsafe {
            (*irp).IoStatus = sys::io_status(status_of(&result), result.unwrap_or(0));
        }
        // SAFETY: (IRQL) the public methods have a token of at most DISPATCH_LEVEL, and
        // `drop` has looked. (Caller) once for each owner, and no one uses it after, facts
        // 4, 5 and 10.
        unsafe { sys::IofCompleteRequest(irp, sys::NO_INCREMENT) };
        header.remove_lock().release(irp);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if irql::current() > irql::DISPATCH_LEVEL {
            stop(Reason::DroppedTooHigh, self.0.addr());
        }
        self.complete(Err(NtError::STATUS_REQUEST_ABORTED));
    }
}
