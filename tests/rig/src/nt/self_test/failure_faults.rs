//! Faults that show when a call fails: nobody has looked at what it returned.

use core::ptr;

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID, ULONG};

use rig_protocol::Calls;

use crate::nt::fault;
use crate::nt::irp::call::iof_call_driver;
use crate::nt::irp::completion_ex::io_set_completion_routine_ex;
use crate::nt::pool::ex_allocate_pool2;
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::handle;
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::{STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS};

/// Tag of what is allocated here.
const TAG: ULONG = u32::from_le_bytes(*b"Self");
const NON_PAGED: u64 = 0x40;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Pool04,
        hook: Hook::Connected,
        act: use_without_a_look,
    },
    Fault {
        rule: Rule::Pnp08,
        hook: Hook::Connect,
        act: fail_with_registers_mapped,
    },
    Fault {
        rule: Rule::Irp17,
        hook: Hook::Unknown,
        act: send_without_a_look,
    },
];

/// Has the next call that may fail do so.
fn fail_next() {
    let _before: &str = fault::set(1, Calls::Any);
}

fn use_without_a_look(_place: Place) -> NTSTATUS {
    fail_next();
    let block: *mut u64 = ex_allocate_pool2(NON_PAGED, size_of::<u64>() as u64, TAG).cast();
    let block = core::hint::black_box(block.wrapping_byte_add(size_of::<u64>()));
    // SAFETY: That nobody has looked whether there is a block is the fault: page 0 is not
    // mapped, so the access faults and the run ends there.
    unsafe { block.write_volatile(1) };
    STATUS_SUCCESS
}

/// The registers are mapped by now.
fn fail_with_registers_mapped(_place: Place) -> NTSTATUS {
    STATUS_INSUFFICIENT_RESOURCES
}

/// Never called: it is not registered.
unsafe extern "C" fn completion(_device: PDEVICE_OBJECT, _irp: PIRP, _context: PVOID) -> NTSTATUS {
    STATUS_SUCCESS
}

fn send_without_a_look(place: Place) -> NTSTATUS {
    let packet = handle(place.irp);
    let next = packet.location(packet.current() - 1);
    next.write(packet.location(packet.current()).read());
    next.set_control(0);
    next.set_completion_routine(None);
    fail_next();
    // SAFETY: The driver's own device and IRP.
    let _status = unsafe {
        io_set_completion_routine_ex(
            place.device,
            place.irp,
            Some(completion),
            ptr::null_mut(),
            1,
            1,
            1,
        )
    };
    // SAFETY: The driver's own lower device and IRP.
    unsafe { iof_call_driver(own(place.device).lower(), place.irp) }
}
