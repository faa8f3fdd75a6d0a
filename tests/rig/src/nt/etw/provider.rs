//! Event providers: EtwRegister, EtwUnregister, EtwSetInformation, EtwEventEnabled,
//! EtwProviderEnabled.
//!
//! A handle is a number at which nothing lies. Zero is no handle, and what is asked with it
//! fails, as the pages say; a number that was never given, or given back, is one that Windows
//! would follow into freed memory (ETW-01).

use alloc::collections::BTreeMap;

use wdk_sys::{
    BOOLEAN, GUID, LPCGUID, NTSTATUS, PCEVENT_DESCRIPTOR, PETWENABLECALLBACK, PREGHANDLE, PVOID,
    REGHANDLE, UCHAR, ULONG, ULONGLONG,
};

use crate::machine::sync::IrqLock;
use crate::nt::callout::{Callback, call_out};
use crate::nt::etw::session;
use crate::nt::fault;
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use crate::nt::violation::check;

/// Handles begin behind this one: an address that no x64 processor has.
const BEFORE_FIRST: REGHANDLE = 0x4554_5700_0000_0000;
/// From handle to handle.
const STEP: REGHANDLE = 0x10;

/// `EVENT_CONTROL_CODE_ENABLE_PROVIDER`.
const ENABLE_PROVIDER: ULONG = 1;
/// The level that lets all events pass.
const ALL_LEVELS: UCHAR = 0xff;
/// The keywords that let all events pass.
const ALL_KEYWORDS: ULONGLONG = u64::MAX;

/// `EVENT_INFO_CLASS`: `EventProviderBinaryTrackInfo`, `EventProviderSetTraits`,
/// `EventProviderUseDescriptorType`.
const BINARY_TRACK_INFO: i32 = 0;
const SET_TRAITS: i32 = 2;
const USE_DESCRIPTOR_TYPE: i32 = 3;
/// The traits begin with their length in 16 bits.
const TRAITS_HEADER: usize = 2;

/// The providers.
struct Providers {
    last: REGHANDLE,
    registered: BTreeMap<REGHANDLE, GUID>,
}

static PROVIDERS: IrqLock<Providers> = IrqLock::new(Providers {
    last: BEFORE_FIRST,
    registered: BTreeMap::new(),
});

/// The provider of a handle; none for zero. Any IRQL.
pub(super) fn find(routine: Routine, handle: REGHANDLE) -> Option<GUID> {
    if handle == 0 {
        return None;
    }
    let provider = PROVIDERS.with(|providers| providers.registered.get(&handle).copied());
    assert_registered(routine, handle, provider.is_some());
    provider
}

fn assert_registered(routine: Routine, handle: REGHANDLE, is_registered: bool) {
    check!(
        Etw01,
        routine,
        is_registered,
        "{handle:#x} is not the handle of a provider, or not any more."
    );
}

/// EtwRegister.
pub(crate) unsafe extern "C" fn etw_register(
    id: LPCGUID,
    callback: PETWENABLECALLBACK,
    context: PVOID,
    handle: PREGHANDLE,
) -> NTSTATUS {
    let routine = Routine::EtwRegister;
    routine.enter();
    if id.is_null() || handle.is_null() {
        return STATUS_INVALID_PARAMETER;
    }
    if fault::strikes(routine) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: The driver passes its provider's GUID.
    let id = unsafe { id.read() };
    let new = PROVIDERS.with(|providers| {
        providers.last += STEP;
        providers.registered.insert(providers.last, id);
        providers.last
    });
    // SAFETY: The driver passes a variable of its own for the handle.
    unsafe { handle.write(new) };
    if let Some(callback) = callback
        && session::is_on()
    {
        /// The session.
        static SOURCE: GUID = GUID {
            Data1: 0x91b7_4ce0,
            Data2: 0x3d55,
            Data3: 0x4a0e,
            Data4: [0xb2, 0x6f, 0x0d, 0x88, 0x5a, 0x17, 0xc9, 0x34],
        };
        // SAFETY: The driver gave the routine to be called so, with its context, at
        // PASSIVE_LEVEL, where EtwRegister itself is called.
        call_out(Callback::TraceEnable, || unsafe {
            callback(
                &raw const SOURCE,
                ENABLE_PROVIDER,
                ALL_LEVELS,
                ALL_KEYWORDS,
                0,
                core::ptr::null_mut(),
                context,
            );
        });
    }
    STATUS_SUCCESS
}

/// EtwUnregister.
pub(crate) extern "C" fn etw_unregister(handle: REGHANDLE) -> NTSTATUS {
    let routine = Routine::EtwUnregister;
    routine.enter();
    if handle == 0 {
        return STATUS_INVALID_HANDLE;
    }
    let removed = PROVIDERS.with(|providers| providers.registered.remove(&handle));
    assert_registered(routine, handle, removed.is_some());
    STATUS_SUCCESS
}

/// EtwSetInformation. What it says of a provider is looked at, and changes nothing here: the
/// session keeps every item of an event with the type that the driver gave it.
pub(crate) unsafe extern "C" fn etw_set_information(
    handle: REGHANDLE,
    class: i32,
    information: PVOID,
    length: ULONG,
) -> NTSTATUS {
    let routine = Routine::EtwSetInformation;
    routine.enter();
    if find(routine, handle).is_none() {
        return STATUS_INVALID_HANDLE;
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let is_right = match class {
        BINARY_TRACK_INFO => length == 0,
        USE_DESCRIPTOR_TYPE => length == 1 && !information.is_null(),
        SET_TRAITS if length >= TRAITS_HEADER && !information.is_null() => {
            // SAFETY: The driver's buffer has `length` bytes, which are enough.
            let said = unsafe { information.cast::<u16>().read_unaligned() };
            usize::from(said) == length
        }
        _ => false,
    };
    if is_right {
        STATUS_SUCCESS
    } else {
        STATUS_INVALID_PARAMETER
    }
}

/// EtwEventEnabled.
pub(crate) extern "C" fn etw_event_enabled(
    handle: REGHANDLE,
    _descriptor: PCEVENT_DESCRIPTOR,
) -> BOOLEAN {
    is_enabled(Routine::EtwEventEnabled, handle)
}

/// EtwProviderEnabled.
pub(crate) extern "C" fn etw_provider_enabled(
    handle: REGHANDLE,
    _level: UCHAR,
    _keyword: ULONGLONG,
) -> BOOLEAN {
    is_enabled(Routine::EtwProviderEnabled, handle)
}

/// A session has enabled all events of a provider, or there is none.
fn is_enabled(routine: Routine, handle: REGHANDLE) -> BOOLEAN {
    routine.enter();
    BOOLEAN::from(find(routine, handle).is_some() && session::is_on())
}

/// Checks, when the driver is gone, that it unregistered every provider.
pub(crate) fn assert_nothing_left() {
    let left = PROVIDERS.with(|providers| {
        let (handle, provider) = providers.registered.first_key_value()?;
        Some((*handle, *provider))
    });
    check!(
        Pnp16,
        "unload",
        left.is_none(),
        "The driver left an event provider registered: {}.",
        left.map_or_else(alloc::string::String::new, |(handle, provider)| {
            alloc::format!("{handle:#x}, {provider:x?}")
        })
    );
}
