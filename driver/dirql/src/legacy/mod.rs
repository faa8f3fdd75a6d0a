//! Drivers without PnP, and the controller objects that only they may have. Wraps
//! `IoCreateController`, `IoAllocateController`, `IoFreeController`, `IoDeleteController`.
//!
//! # Model
//!
//! "Use of controller objects is not supported in WDM drivers", says "Introduction to
//! Controller Objects". So they are offered here to a driver of another kind: a
//! [`LegacyDriver`] has no AddDevice routine. Its DriverEntry makes the controller object
//! and named device objects, finds the hardware on the bus and claims it; its Unload
//! routine gives it all back.
//!
//! The device objects share one physical controller. What the ISR shares lives in the
//! controller extension, and the controller object says whose turn it is:
//!
//! ```text
//!  dispatch --start_packet--> StartIo --allocate_controller--> waits its turn
//!                                                                  |
//!                       next in line <---.                  ControllerControl
//!                                        |                   |             |
//!                                  KeptController::free <-- keep      deallocate
//!                                   (DPC, when done)                 (done at once)
//! ```
//!
//! ControllerControl is given the controller as an [`AllocatedController`] and has to say
//! what becomes of it: both answers consume it, so a controller is freed exactly once.
//! One that is forgotten is never freed: the others wait, and nothing is corrupted.
//!
//! `tests/drivers/controller` in the repository is a complete driver of this kind.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `driver_entry`, `create_device`, `start` | DriverEntry | `Passive` | yes |
//! | `stop` | Unload, or DriverEntry that failed | `Passive` | yes |
//! | `start_io`, `controller_control` | the I/O manager | `Dispatch` is given | no |
//! | `allocate_controller` | StartIo | `Dispatch` | no |
//! | `KeptController::free` | DpcForIsr | `Dispatch` | no |
//!
//! # Soundness
//!
//! Facts of the crate, and of this module:
//!
//! 40. **Controller extension.** [`Controller`] lives in the controller extension that
//!     IoCreateController allocated: written once, in DriverEntry, before any routine is
//!     called with it, never moved, and dropped in Unload after every device object is
//!     deleted. So it outlives all device extensions.
//! 41. **Unload.** The I/O manager calls Unload when no handle to any of the driver's
//!     device objects is open, so no IRP is at the driver; what else refers to a device
//!     holds its remove lock, which Unload waits for.
//! 42. **One owner.** IoAllocateController calls ControllerControl for one device object
//!     at a time, and the next only after the routine has said DeallocateObject or
//!     IoFreeController was called. An [`AllocatedController`] is that turn.
//!
//! # Not here
//!
//! * Legacy hardware on other buses than PCI: the routines are the same, but there is no
//!   configuration space in which to find it.
//! * A security descriptor for the device objects: that takes IoCreateDeviceSecure, of a
//!   library that is linked in. They have FILE_DEVICE_SECURE_OPEN and the default that
//!   "SDDL for Device Objects" names.

mod controller;
mod device;
mod hardware;
mod load;
mod thunks;

pub use controller::{AllocatedController, Allocation, Controller, KeptController};
pub use device::{Attached, DeviceName, LegacyDevice};
pub use hardware::{HardwareResources, PciId};
#[doc(hidden)]
pub use load::initialize;

use crate::{
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    registry::ServiceKey,
    start_io::Packet,
    status::{NtError, Result},
};

/// A driver without PnP, implemented for the extension of its device objects.
///
/// See "Introduction to Controller Objects" and "Writing ControllerControl Routines" in
/// the documentation.
#[diagnostic::on_unimplemented(
    message = "controller objects are not available to WDM drivers",
    label = "`{Self}` is no `LegacyDriver`",
    note = "a driver with an AddDevice routine serialises its device in a critical section of its interrupt, or with a device queue",
    note = "only a driver without PnP, `dirql::legacy::LegacyDriver`, may have a controller object"
)]
pub trait LegacyDriver: Sized + Send + Sync + 'static {
    /// What all its device objects share: the controller extension.
    type Controller: Send + Sync + 'static;

    /// The hardware that it drives.
    const HARDWARE: PciId;

    /// The device objects that it creates; one at least.
    const DEVICES: &'static [DeviceName];

    /// DriverEntry, first: reads the driver's parameters and makes the controller extension.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL, with no lock held.
    ///
    /// # Errors
    /// Whatever keeps the driver from being loaded.
    fn driver_entry(irql: &mut Passive, service: &ServiceKey<'_>) -> Result<Self::Controller>;

    /// DriverEntry, for each of [`DEVICES`](Self::DEVICES): the extension of that device
    /// object.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL, with no lock held.
    ///
    /// # Errors
    /// Whatever keeps the driver from being loaded.
    fn create_device(irql: &mut Passive, number: usize) -> Result<Self>;

    /// DriverEntry, last: maps the claimed hardware, connects, enables.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL, with no lock held.
    ///
    /// # Errors
    /// Whatever keeps the driver from being loaded; [`stop`](Self::stop) is called then to
    /// undo what was done.
    fn start(
        controller: &Controller<Self>,
        irql: &mut Passive,
        resources: &HardwareResources<'_>,
    ) -> Result<()>;

    /// Unload, or a start that failed: silence, disconnect, unmap.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL, with no lock held.
    fn stop(controller: &Controller<Self>, irql: &mut Passive);

    /// IRP_MJ_CREATE. A device without a namespace refuses names inside it.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL, with no lock held.
    fn create(_device: &LegacyDevice<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        let result = if irp.has_trailing_name() {
            Err(NtError::STATUS_OBJECT_NAME_NOT_FOUND)
        } else {
            Ok(0)
        };
        irp.complete(irql, result)
    }

    /// IRP_MJ_DEVICE_CONTROL.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL, with no lock held.
    fn device_control(device: &LegacyDevice<Self>, irql: &mut UpToDispatch, irp: Irp)
    -> Dispatched;

    /// StartIo: one packet for each device object at a time. Usually gives it to
    /// [`allocate_controller`](LegacyDevice::allocate_controller). See "Writing StartIo
    /// Routines" in the documentation.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL, with no lock held.
    fn start_io(device: &LegacyDevice<Self>, irql: &mut Dispatch, packet: Packet);

    /// ControllerControl: it is this device's turn. Programs the hardware in a critical
    /// section and keeps the controller, or is done at once and gives it up. See "Writing
    /// ControllerControl Routines" in the documentation.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL, with no lock held.
    fn controller_control(
        device: &LegacyDevice<Self>,
        irql: &mut Dispatch,
        controller: AllocatedController<'_>,
        packet: Packet,
    ) -> Allocation;

    /// DpcForIsr, after one or more interrupts asked for it; it can run on two processors at
    /// once.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL, with no lock held.
    fn dpc_for_isr(controller: &Controller<Self>, irql: &mut Dispatch);
}

/// Makes `DriverEntry` of a [`LegacyDriver`]:
///
/// ```ignore
/// dirql::legacy_driver_entry!(Shared);
/// ```
#[macro_export]
macro_rules! legacy_driver_entry {
    ($driver:ty) => {
        /// The entry point that the kernel calls when it has loaded the image.
        ///
        /// # Safety
        /// Called once, by the kernel.
        #[unsafe(export_name = "DriverEntry")]
        pub unsafe extern "system" fn driver_entry(
            driver: *mut $crate::__private::DRIVER_OBJECT,
            registry_path: *const $crate::__private::UNICODE_STRING,
        ) -> $crate::__private::NTSTATUS {
            // SAFETY: (Caller) the kernel, with its own driver object, once, fact 10.
            unsafe { $crate::__private::initialize_legacy::<$driver>(driver, registry_path) }
        }
    };
}
