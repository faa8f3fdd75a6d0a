//! The self-test driver's event provider: it writes an event of each packet, from
//! StartIo and from a critical section, and looks at what the session has kept of them.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wdk_sys::{
    BOOLEAN, EVENT_DATA_DESCRIPTOR, EVENT_DESCRIPTOR, GUID, LPCGUID, NTSTATUS,
    PEVENT_FILTER_DESCRIPTOR, PVOID, REGHANDLE, UCHAR, ULONG, ULONGLONG,
};

use crate::machine::stop::refuse;
use crate::nt::etw::provider::{etw_event_enabled, etw_register, etw_unregister};
use crate::nt::etw::session;
use crate::nt::etw::write::{etw_write, etw_write_transfer};
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::status::{STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, is_success};

/// The provider.
pub(super) static PROVIDER: GUID = GUID {
    Data1: 0x0403_0201,
    Data2: 0x0605,
    Data3: 0x0807,
    Data4: [9, 10, 11, 12, 13, 14, 15, 16],
};
/// As its bytes lie in memory.
const PROVIDER_BYTES: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// `Type` of the event's metadata.
const METADATA: u8 = 1;
/// What the event's metadata says here.
const NAME: [u8; 6] = *b"packet";
/// One descriptor more than an event may have.
const TOO_MANY: ULONG = 129;

/// Writing an event.
pub(super) static EVENT: EVENT_DESCRIPTOR = EVENT_DESCRIPTOR {
    Id: 7,
    Version: 1,
    Channel: 11,
    Level: 4,
    Opcode: 2,
    Task: 3,
    Keyword: 0x10,
};

/// The handle.
static HANDLE: AtomicU64 = AtomicU64::new(0);
/// EnableCallback has been called.
static IS_ENABLED: AtomicBool = AtomicBool::new(false);

/// EnableCallback.
unsafe extern "C" fn enabled(
    _source: LPCGUID,
    code: ULONG,
    _level: UCHAR,
    _any: ULONGLONG,
    _all: ULONGLONG,
    _filter: PEVENT_FILTER_DESCRIPTOR,
    context: PVOID,
) {
    let is_own = context == ptr::from_ref(&HANDLE).cast_mut().cast();
    IS_ENABLED.store(code == 1 && is_own, Ordering::Release);
}

/// Registers a provider; its handle. PASSIVE_LEVEL.
pub(super) fn register() -> REGHANDLE {
    let mut handle = 0;
    // SAFETY: All are this module's own; the routine wants just this context.
    let status = unsafe {
        etw_register(
            &raw const PROVIDER,
            Some(enabled),
            ptr::from_ref(&HANDLE).cast_mut().cast(),
            &raw mut handle,
        )
    };
    expect("EtwRegister succeeds", is_success(status));
    handle
}

/// DriverEntry: the provider.
pub(super) fn begin() {
    expect("no handle is invalid", write(0) == STATUS_INVALID_HANDLE);
    let handle = register();
    HANDLE.store(handle, Ordering::Release);
    expect(
        "EnableCallback is called in time",
        IS_ENABLED.load(Ordering::Acquire),
    );
    let is_enabled: BOOLEAN = etw_event_enabled(handle, &raw const EVENT);
    expect("the event is enabled", is_enabled != 0);
    // SAFETY: The event and the handle are this module's own; the data is looked at when
    // their number is right only.
    let status = unsafe {
        etw_write(
            handle,
            &raw const EVENT,
            ptr::null(),
            TOO_MANY,
            ptr::null_mut(),
        )
    };
    expect(
        "an event has 128 items at most",
        status == STATUS_INVALID_PARAMETER,
    );
}

/// Something happened. Any IRQL.
pub(super) fn note() {
    expect(
        "an event is written",
        is_success(write(HANDLE.load(Ordering::Acquire))),
    );
}

/// Writes the event.
fn write(handle: REGHANDLE) -> NTSTATUS {
    let number = u64::to_le_bytes(0x1122_3344_5566_7788);
    let mut data = [
        EVENT_DATA_DESCRIPTOR {
            Ptr: NAME.as_ptr().expose_provenance() as u64,
            Size: 6,
            Reserved: METADATA.into(),
        },
        EVENT_DATA_DESCRIPTOR {
            Ptr: number.as_ptr().expose_provenance() as u64,
            Size: 8,
            Reserved: 0,
        },
    ];
    // SAFETY: The descriptors and what they point to are alive until the call returns.
    unsafe {
        etw_write_transfer(
            handle,
            &raw const EVENT,
            ptr::null(),
            &raw const PROVIDER,
            2,
            data.as_mut_ptr(),
        )
    }
}

/// Unload: the provider is unregistered, and the session has what was written.
pub(super) fn end() {
    let status = etw_unregister(HANDLE.swap(0, Ordering::AcqRel));
    expect("EtwUnregister succeeds", is_success(status));
    let mut irqls = (false, false);
    while let (Some(event), lost) = session::take() {
        expect("no event is lost", lost == 0);
        let is_own = event.provider == PROVIDER_BYTES
            && event.related == Some(PROVIDER_BYTES)
            && event.activity.is_none()
            && (event.id, event.version, event.channel, event.level) == (7, 1, 11, 4)
            && (event.opcode, event.task, event.keyword) == (2, 3, 0x10);
        expect("an event is kept as it was written", is_own);
        let is_data = match event.items.as_slice() {
            [name, number] => {
                (name.kind, name.bytes.as_slice()) == (METADATA, &NAME)
                    && number.bytes == 0x1122_3344_5566_7788_u64.to_le_bytes()
            }
            _ => false,
        };
        expect("its data is, too", is_data);
        irqls.0 |= event.irql == DISPATCH_LEVEL;
        irqls.1 |= event.irql > DISPATCH_LEVEL;
    }
    expect(
        "events come from StartIo and from a critical section",
        irqls == (true, true),
    );
}

/// Ends the run when the executive does not do what it should.
fn expect(what: &str, holds: bool) {
    if !holds {
        refuse(format_args!("Event tracing: it does not hold that {what}."));
    }
}
