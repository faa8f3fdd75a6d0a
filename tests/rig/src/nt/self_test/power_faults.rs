//! Faults in the handling of power IRPs, and of completion routines in general.

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP, POWER_STATE, PVOID};

use crate::nt::dispatcher::ke_wait_for_single_object;
use crate::nt::event::{ke_initialize_event, ke_set_event};
use crate::nt::irp::call::iof_call_driver;
use crate::nt::irp::location::{SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS};
use crate::nt::power::exports::po_request_power_irp;
use crate::nt::power::{D0, D3, minor};
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{
    INTERRUPT_RAISE, complete, handle, mark_pending, write_register,
};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::self_test::power_driver::{copy_and_forward, report};
use crate::nt::status::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING, STATUS_SUCCESS,
};

/// `STATUS_DEVICE_NOT_READY`.
const STATUS_DEVICE_NOT_READY: NTSTATUS = 0xC000_00A3_u32.cast_signed();

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Irp09,
        hook: Hook::Unknown,
        act: mark_before_skip,
    },
    Fault {
        rule: Rule::Irp11,
        hook: Hook::PowerUp,
        act: hide_pending,
    },
    Fault {
        rule: Rule::Irp12,
        hook: Hook::QueryDevice,
        act: keep_for_good,
    },
    Fault {
        rule: Rule::Pwr01,
        hook: Hook::System,
        act: succeed_alone,
    },
    Fault {
        rule: Rule::Pwr02,
        hook: Hook::PowerDown,
        act: wait_for_own,
    },
    Fault {
        rule: Rule::Pwr03,
        hook: Hook::PowerDown,
        act: fail,
    },
    Fault {
        rule: Rule::Pwr04,
        hook: Hook::Asleep,
        act: touch,
    },
    Fault {
        rule: Rule::Pwr05,
        hook: Hook::Report,
        act: leave_out,
    },
    Fault {
        rule: Rule::Pwr06,
        hook: Hook::Request,
        act: leave_out,
    },
    Fault {
        rule: Rule::Pwr07,
        hook: Hook::Request,
        act: ask_for_the_irp,
    },
    Fault {
        rule: Rule::Pwr08,
        hook: Hook::Control,
        act: refuse_while_asleep,
    },
];

fn leave_out(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

/// The driver skips its stack location after this.
fn mark_before_skip(place: Place) -> NTSTATUS {
    mark_pending(&handle(place.irp));
    STATUS_SUCCESS
}

/// Neither the dispatch routine nor the completion routine marks the IRP pending.
fn hide_pending(place: Place) -> NTSTATUS {
    /// Lets the IRP go on as it is.
    unsafe extern "C" fn go_on(_device: PDEVICE_OBJECT, _irp: PIRP, _context: PVOID) -> NTSTATUS {
        STATUS_SUCCESS
    }
    copy_and_forward(place.device, place.irp, Some(go_on))
}

fn keep_for_good(place: Place) -> NTSTATUS {
    /// Keeps the IRP, which nobody completes then.
    unsafe extern "C" fn keep(_device: PDEVICE_OBJECT, _irp: PIRP, _context: PVOID) -> NTSTATUS {
        STATUS_MORE_PROCESSING_REQUIRED
    }
    mark_pending(&handle(place.irp));
    copy_and_forward(place.device, place.irp, Some(keep));
    STATUS_PENDING
}

fn succeed_alone(place: Place) -> NTSTATUS {
    complete(place.irp, STATUS_SUCCESS)
}

/// As one would forward any other IRP and wait.
fn wait_for_own(place: Place) -> NTSTATUS {
    /// Keeps the IRP and tells the dispatch routine.
    unsafe extern "C" fn signal(_device: PDEVICE_OBJECT, _irp: PIRP, event: PVOID) -> NTSTATUS {
        // SAFETY: The event of the routine that waits for it.
        unsafe { ke_set_event(event.cast(), 0, 0) };
        STATUS_MORE_PROCESSING_REQUIRED
    }
    let mut event = wdk_sys::KEVENT::default();
    let event = &raw mut event;
    // SAFETY: The event is this function's own.
    unsafe { ke_initialize_event(event, 0, 0) };
    let packet = handle(place.irp);
    packet.set_status(STATUS_SUCCESS);
    let next = packet.location(packet.current() - 1);
    next.write(packet.location(packet.current()).read());
    next.set_control(SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL);
    next.set_completion_routine(Some(signal));
    next.set_context(event.cast());
    report(place.device, D3);
    // SAFETY: The driver's own lower device and IRP.
    unsafe { iof_call_driver(own(place.device).lower(), place.irp) };
    // SAFETY: As above; it is waited for without a limit.
    unsafe { ke_wait_for_single_object(event.cast(), 0, 0, 0, core::ptr::null_mut()) };
    complete(place.irp, STATUS_SUCCESS)
}

fn fail(place: Place) -> NTSTATUS {
    complete(place.irp, STATUS_INSUFFICIENT_RESOURCES)
}

fn touch(place: Place) -> NTSTATUS {
    write_register(place.device, INTERRUPT_RAISE, 1);
    STATUS_SUCCESS
}

fn ask_for_the_irp(place: Place) -> NTSTATUS {
    let mut irp: PIRP = core::ptr::null_mut();
    let state = POWER_STATE { DeviceState: D0 };
    // SAFETY: The driver's own device; to ask for the IRP is the fault.
    unsafe {
        po_request_power_irp(
            own(place.device).pdo(),
            minor::SET_POWER,
            state,
            None,
            core::ptr::null_mut(),
            &raw mut irp,
        )
    }
}

fn refuse_while_asleep(place: Place) -> NTSTATUS {
    complete(place.irp, STATUS_DEVICE_NOT_READY)
}
