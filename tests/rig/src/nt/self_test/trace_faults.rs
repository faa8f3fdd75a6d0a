//! Faults with event tracing.

use core::ptr;

use wdk_sys::{EVENT_DATA_DESCRIPTOR, NTSTATUS, REGHANDLE};

use crate::nt::address;
use crate::nt::etw::provider::{etw_register, etw_unregister};
use crate::nt::etw::write::etw_write;
use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::pool::ex_allocate_pool2;
use crate::nt::rule::Rule;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::self_test::traced::{EVENT, PROVIDER, register};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::user_memory;

/// `POOL_FLAG_PAGED`.
const PAGED: u64 = 0x100;
/// Bytes of an event's data.
const LENGTH: u32 = 16;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Etw01,
        hook: Hook::Connected,
        act: write_unregistered,
    },
    Fault {
        rule: Rule::Etw02,
        hook: Hook::Connected,
        act: write_of_user_mode,
    },
];

/// More ways to break a rule, each with a name of its own.
pub(super) const OTHERS: &[(&str, Fault)] = &[
    (
        "ETW-01-twice",
        Fault {
            rule: Rule::Etw01,
            hook: Hook::Connected,
            act: unregister_twice,
        },
    ),
    (
        "PNP-16-provider",
        Fault {
            rule: Rule::Pnp16,
            hook: Hook::Untrace,
            act: stay_registered,
        },
    ),
    (
        "IRQL-01-provider",
        Fault {
            rule: Rule::Irql01,
            hook: Hook::Connected,
            act: register_at_dispatch,
        },
    ),
    (
        "IRQL-06-event",
        Fault {
            rule: Rule::Irql06,
            hook: Hook::Connected,
            act: write_paged_at_dispatch,
        },
    ),
];

/// Writes an event with data at this address.
fn write(handle: REGHANDLE, data: usize) {
    let mut item = EVENT_DATA_DESCRIPTOR {
        Ptr: data as u64,
        Size: LENGTH,
        Reserved: 0,
    };
    // SAFETY: The event and its descriptor are alive; what the data is, is the test's.
    let _status = unsafe { etw_write(handle, &raw const EVENT, ptr::null(), 1, &raw mut item) };
}

fn write_unregistered(_place: Place) -> NTSTATUS {
    let data = [0_u8; LENGTH as usize];
    let handle = register();
    let _status = etw_unregister(handle);
    write(handle, address::of(data.as_ptr()));
    STATUS_SUCCESS
}

fn unregister_twice(_place: Place) -> NTSTATUS {
    let handle = register();
    let _first = etw_unregister(handle);
    let _second = etw_unregister(handle);
    STATUS_SUCCESS
}

fn write_of_user_mode(_place: Place) -> NTSTATUS {
    let data = user_memory::input(LENGTH as usize);
    write(register(), address::of(data));
    STATUS_SUCCESS
}

fn write_paged_at_dispatch(_place: Place) -> NTSTATUS {
    let handle = register();
    let data = ex_allocate_pool2(PAGED, LENGTH.into(), u32::from_le_bytes(*b"Self"));
    let old = kf_raise_irql(DISPATCH_LEVEL);
    write(handle, address::of(data));
    ke_lower_irql(old);
    STATUS_SUCCESS
}

fn register_at_dispatch(_place: Place) -> NTSTATUS {
    let mut handle = 0;
    let old = kf_raise_irql(DISPATCH_LEVEL);
    // SAFETY: The GUID and the variable are alive.
    let _status =
        unsafe { etw_register(&raw const PROVIDER, None, ptr::null_mut(), &raw mut handle) };
    ke_lower_irql(old);
    STATUS_SUCCESS
}

/// The driver's own provider stays.
fn stay_registered(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}
