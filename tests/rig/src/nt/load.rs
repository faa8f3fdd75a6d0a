//! The driver under test: loading, DriverEntry, unloading.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use wdk_sys::{DO_DEVICE_INITIALIZING, NTSTATUS, PDRIVER_OBJECT, PUNICODE_STRING, ULONG};

use crate::machine::fw_cfg;
use crate::machine::image::{self, Image};
use crate::machine::log::{self, log};
use crate::machine::stop::refuse;
use crate::machine::sync::IrqLock;
use crate::nt::callout::{Callback, call_out};
use crate::nt::dispatcher::wait_until;
use crate::nt::driver::Driver;
use crate::nt::rule::Rule;
use crate::nt::status::is_success;
use crate::nt::violation::check;
use crate::nt::{
    address, counters, device, dpc, legacy, registry, remove_lock, routine, shutdown, timer,
    unicode, work_item,
};

/// The fw_cfg file that holds the driver's image.
const FILE: &str = "opt/dirql/driver";
/// The fw_cfg file that holds the image's name.
const NAME_FILE: &str = "opt/dirql/driver-name";
/// What the driver is called when the host does not say.
const DEFAULT_NAME: &str = "edu.sys";
/// Where the keys of drivers are in the registry.
const SERVICES: &str = r"\Registry\Machine\System\CurrentControlSet\Services";
/// Modules whose exports the executive stands for.
const EXPORTERS: [&str; 2] = ["ntoskrnl.exe", "hal.dll"];

/// DriverEntry.
type Entry = unsafe extern "C" fn(PDRIVER_OBJECT, PUNICODE_STRING) -> NTSTATUS;

/// A loaded driver.
struct Loaded {
    driver: Driver,
    image: Image,
}

// SAFETY: The image's base is an address that the loader alone gives and takes;
// whoever has this value may unload the image on any processor.
unsafe impl Send for Loaded {}

/// Every driver object, the rig's own included.
static DRIVERS: IrqLock<Vec<Driver>> = IrqLock::new(Vec::new());
/// The driver under test.
static LOADED: IrqLock<Option<Loaded>> = IrqLock::new(None);

/// The driver's DriverEntry or unload routine is being called.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// The driver is not to begin before a debugger is there.
static WAITS_FOR_DEBUGGER: AtomicBool = AtomicBool::new(false);
/// A debugger writes something else than zero here when the driver may begin.
static DEBUGGER_IS_THERE: AtomicU32 = AtomicU32::new(0);

/// Whether a driver without PnP may remove its devices: in its unload routine, and in a
/// DriverEntry that fails.
pub(crate) fn may_remove_legacy() -> bool {
    ENTERED.load(Ordering::Acquire) && legacy::is_model()
}

/// Notes a driver object.
pub(crate) fn add_driver_object(driver: Driver) {
    DRIVERS.with(|drivers| drivers.push(driver));
}

/// The driver object at this address, if there is one.
pub(crate) fn driver_object(pointer: PDRIVER_OBJECT) -> Option<Driver> {
    DRIVERS.with(|drivers| {
        drivers
            .iter()
            .copied()
            .find(|driver| driver.pointer() == pointer)
    })
}

/// The driver under test, while it is loaded.
pub(crate) fn driver() -> Option<Driver> {
    LOADED.with(|loaded| loaded.as_ref().map(|loaded| loaded.driver))
}

/// Whether a range of memory lies in the driver's image.
pub(crate) fn image_contains(start: usize, length: usize) -> bool {
    LOADED.with(|loaded| {
        loaded.as_ref().is_some_and(|loaded| {
            let base = address::of(loaded.image.base);
            start >= base
                && start
                    .checked_add(length)
                    .is_some_and(|end| end <= base + loaded.image.size)
        })
    })
}

/// The export that an import of the driver names.
fn resolve(module: &str, name: &str) -> Option<usize> {
    EXPORTERS
        .iter()
        .any(|exporter| exporter.eq_ignore_ascii_case(module))
        .then(|| routine::resolve(name))
        .flatten()
}

/// Loads the driver and calls its DriverEntry; refuses to run when that fails.
pub(crate) fn load() -> Driver {
    let Some(bytes) = fw_cfg::file(FILE) else {
        refuse(format_args!(
            "There is no driver to load: QEMU was started without -fw_cfg name={FILE},file=edu.sys."
        ));
    };
    let name = name();
    let image = match image::load_driver(&name, &bytes, &resolve) {
        Ok(image) => image,
        Err(error) => refuse(format_args!("The driver cannot be loaded: {error}")),
    };
    let driver = Driver::create();
    driver.set_start(image.base.cast());
    driver.set_image_size(ULONG::try_from(image.size).unwrap_or(ULONG::MAX));
    add_driver_object(driver);
    log!("@driver-object {:x}", driver.pointer().addr());
    let entry_address = image.entry;
    // From here on, by the processor.
    counters::checked(Rule::Img01);
    LOADED.with(|loaded| *loaded = Some(Loaded { driver, image }));
    if WAITS_FOR_DEBUGGER.load(Ordering::Acquire) {
        let_debugger_in(entry_address);
    }
    // SAFETY: The loader found the entry point inside the executable part of the
    // image that it mapped; a driver's entry point is a DRIVER_INITIALIZE.
    let entry = unsafe {
        core::mem::transmute::<*const (), Entry>(ptr::with_exposed_provenance(entry_address))
    };
    call_entry(driver, &name, entry);
    driver
}

/// Has the driver wait for a debugger before its first instruction.
pub(crate) fn wait_for_debugger() {
    WAITS_FOR_DEBUGGER.store(true, Ordering::Release);
}

/// Waits until a debugger has set [`DEBUGGER_IS_THERE`].
fn let_debugger_in(entry: usize) {
    let flag = address::of(DEBUGGER_IS_THERE.as_ptr());
    log::record(format_args!("@debugger {flag:x} {entry:x}"));
    // Without a limit, this ends in no other way.
    let _set = wait_until("a debugger", None, || {
        DEBUGGER_IS_THERE.load(Ordering::Acquire) != 0
    });
}

/// What the driver's image is called.
fn name() -> String {
    fw_cfg::file(NAME_FILE)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(|name| name.trim_matches('\0').to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| DEFAULT_NAME.to_owned())
}

/// The registry key of the driver whose image is called `image`.
pub(crate) fn service_key(image: &str) -> String {
    let service = image.strip_suffix(".sys").unwrap_or(image);
    format!(r"{SERVICES}\{service}")
}

/// Calls the DriverEntry of the image of this name; refuses to run when it fails.
pub(crate) fn call_entry(driver: Driver, image: &str, entry: Entry) {
    let key = service_key(image);
    registry::set_service_key(&key);
    let mut path = unicode::to_utf16(&key);
    let mut path = unicode::counted(&mut path);
    ENTERED.store(true, Ordering::Release);
    // SAFETY: (Caller) the driver gave the routine to be called so, once, at
    // PASSIVE_LEVEL. (Pointer) the object is never freed; the path outlives the
    // call.
    let status = call_out(Callback::DriverEntry, || unsafe {
        entry(driver.pointer(), &raw mut path)
    });
    ENTERED.store(false, Ordering::Release);
    for device in device::of_driver(driver) {
        // What DriverEntry has created is ready when it returns; a driver does so itself
        // for what it creates later.
        device.set_flags(device.flags() & !DO_DEVICE_INITIALIZING);
    }
    if !is_success(status) {
        let left = device::count_of(driver);
        check!(
            Pnp16,
            Callback::DriverEntry,
            left == 0,
            "DriverEntry failed and left {left} device objects behind."
        );
        shutdown::assert_nothing_left();
        refuse(format_args!(
            "DriverEntry returned {status:#010x}, so the driver is not loaded."
        ));
    }
}

/// Calls the driver's unload routine, checks that nothing refers to it any more,
/// and unmaps its image.
pub(crate) fn unload() {
    let Some(Loaded { driver, image }) = LOADED.with(Option::take) else {
        return;
    };
    unload_driver(driver);
    log!("The driver is unloaded.");
    image::unload(image);
}

/// As [`unload`], for a driver without an image of its own.
pub(crate) fn unload_driver(driver: Driver) {
    work_item::wait_until_idle();
    let left = device::count_of(driver);
    check!(
        Pnp12,
        "unload",
        left == 0 || driver.add_device().is_none(),
        "The driver has {left} device objects after all devices were removed."
    );
    let unload = driver.unload();
    check!(
        Pnp16,
        "unload",
        unload.is_some(),
        "The driver has no unload routine."
    );
    if let Some(unload) = unload {
        ENTERED.store(true, Ordering::Release);
        // SAFETY: (Caller) the driver put the routine into its driver object to
        // be called so, once, at PASSIVE_LEVEL. (Pointer) never freed.
        call_out(Callback::Unload, || unsafe { unload(driver.pointer()) });
        ENTERED.store(false, Ordering::Release);
    }
    let left = device::count_of(driver);
    check!(
        Pnp16,
        "unload",
        left == 0,
        "The driver left {left} device objects behind."
    );
    // The driver has no objects any more, wherever they were.
    let everywhere = 0..usize::MAX;
    dpc::assert_none_within("unload", &everywhere);
    timer::assert_none_within("unload", &everywhere);
    work_item::assert_none_left();
    remove_lock::assert_none_held_within("unload", &everywhere);
}
