//! A stack location of an IRP: what one driver is asked, and whom to tell.
//!
//! # Soundness
//! 1. A [`Location`] borrows its IRP, whose block holds the location.

use core::marker::PhantomData;

use wdk_sys::{
    IO_STACK_LOCATION, LARGE_INTEGER, PCM_RESOURCE_LIST, PDEVICE_OBJECT, PFILE_OBJECT,
    PIO_COMPLETION_ROUTINE, PIO_SECURITY_CONTEXT, POWER_STATE, POWER_STATE_TYPE, PVOID, UCHAR,
    ULONG, USHORT,
};

use crate::nt::address;
use crate::nt::irp::Irp;
use crate::nt::kernel_memory::fields;
use crate::nt::power::Target;

/// The driver marked the IRP pending.
pub(crate) const SL_PENDING_RETURNED: UCHAR = 0x01;
/// The completion routine wants to hear of a cancelled IRP.
pub(crate) const SL_INVOKE_ON_CANCEL: UCHAR = 0x20;
/// The completion routine wants to hear of a success.
pub(crate) const SL_INVOKE_ON_SUCCESS: UCHAR = 0x40;
/// The completion routine wants to hear of an error.
pub(crate) const SL_INVOKE_ON_ERROR: UCHAR = 0x80;

/// A stack location.
#[derive(Clone, Copy)]
pub(crate) struct Location<'irp> {
    address: usize,
    irp: PhantomData<&'irp Irp>,
}

fields!(Location<'_> {
    major / set_major: UCHAR = MajorFunction;
    minor / set_minor: UCHAR = MinorFunction;
    control / set_control: UCHAR = Control;
    device / set_device: PDEVICE_OBJECT = DeviceObject;
    _ / set_file: PFILE_OBJECT = FileObject;
    completion_routine / set_completion_routine: PIO_COMPLETION_ROUTINE = CompletionRoutine;
    context / set_context: PVOID = Context;
    _ / set_output_length: ULONG = Parameters.DeviceIoControl.OutputBufferLength;
    _ / set_input_length: ULONG = Parameters.DeviceIoControl.InputBufferLength;
    control_code / set_control_code: ULONG = Parameters.DeviceIoControl.IoControlCode;
    _ / set_type3_input: PVOID = Parameters.DeviceIoControl.Type3InputBuffer;
    _ / set_transfer_length: ULONG = Parameters.Read.Length;
    _ / set_transfer_offset: LARGE_INTEGER = Parameters.Read.ByteOffset;
    _ / set_security_context: PIO_SECURITY_CONTEXT = Parameters.Create.SecurityContext;
    _ / set_share_access: USHORT = Parameters.Create.ShareAccess;
    _ / set_raw_resources: PCM_RESOURCE_LIST = Parameters.StartDevice.AllocatedResources;
    _ / set_translated_resources: PCM_RESOURCE_LIST =
        Parameters.StartDevice.AllocatedResourcesTranslated;
    power_type / set_power_type: POWER_STATE_TYPE = Parameters.Power.Type;
    power_state / set_power_state: POWER_STATE = Parameters.Power.State;
});

/// Words in the parameters of a stack location.
const PARAMETER_WORDS: usize = 4;

/// What a stack location asks for: function codes and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asks {
    major: u8,
    minor: u8,
    parameters: [u64; PARAMETER_WORDS],
}

impl<'irp> Location<'irp> {
    /// The location at this address in the block of `_irp`.
    pub(super) fn new(_irp: &'irp Irp, address: usize) -> Self {
        Self {
            address,
            irp: PhantomData,
        }
    }

    /// The location as drivers see it.
    pub(crate) fn pointer(&self) -> *mut IO_STACK_LOCATION {
        address::to_pointer(self.address)
    }

    /// What a power IRP asks for.
    pub(crate) fn power_target(self) -> Target {
        Target::of(self.power_type(), self.power_state())
    }

    /// Says what a power IRP asks for.
    pub(crate) fn set_power_target(self, target: Target) {
        let (kind, state) = target.parameters();
        self.set_power_type(kind);
        self.set_power_state(state);
    }

    /// What the IRP asks of its driver, in a form that can be compared.
    pub(super) fn asks(self) -> Asks {
        const {
            assert!(size_of::<wdk_sys::_IO_STACK_LOCATION__bindgen_ty_1>() == 8 * PARAMETER_WORDS);
        }
        // SAFETY: Fact 1.
        let parameters = unsafe { &raw const (*self.pointer()).Parameters };
        let words = parameters.cast::<[u64; PARAMETER_WORDS]>();
        Asks {
            major: self.major(),
            minor: self.minor(),
            // SAFETY: Fact 1; the location was zeroed when it was made, and every bit
            // pattern is integers.
            parameters: unsafe { words.read_volatile() },
        }
    }

    /// Whether its driver marked the IRP pending.
    pub(crate) fn is_marked_pending(self) -> bool {
        self.control() & SL_PENDING_RETURNED != 0
    }

    /// Marks the IRP pending for its driver.
    pub(crate) fn mark_pending(self) {
        self.set_control(self.control() | SL_PENDING_RETURNED);
    }

    /// All of it, by value.
    pub(crate) fn read(&self) -> IO_STACK_LOCATION {
        // SAFETY: Fact 1.
        unsafe { self.pointer().read() }
    }

    /// Replaces all of it.
    pub(crate) fn write(&self, value: IO_STACK_LOCATION) {
        // SAFETY: Fact 1.
        unsafe { self.pointer().write(value) };
    }

    /// Sets all of it to zero, as the I/O manager does when its driver is done.
    pub(crate) fn clear(&self) {
        // SAFETY: Fact 1; all zeroes is a stack location.
        unsafe { self.pointer().write_bytes(0, 1) };
    }
}
