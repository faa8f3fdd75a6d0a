//! The device: a functional device object and its extension. Wraps `IoCreateDevice`,
//! `IoAttachDeviceToDeviceStack`, `IoDetachDevice`, `IoDeleteDevice`.
//!
//! # Model
//!
//! ```text
//!   AddDevice: created, extension written, attached --> in use --> REMOVE: quiesced,
//!                                                                   detached, dropped, deleted
//! ```
//!
//! A driver's own part, `E`, is a field of [`Device`], which lives in the device extension.
//! Every routine of the driver is given a `&Device<E>`, at the same time on every processor;
//! what changes is behind a lock, an interrupt or an atomic. See "Device Extensions" and
//! "Removing a Device in a Function Driver".
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | [`Device::pinned`], dereferencing | every routine of the driver | none | no |
//! | [`Device::hold`] | who needs the device after its routine has returned | any up to `Dispatch` | no |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate: this module is where fact 1 is made true.
//!
//! # Not here
//!
//! Named device objects, and several for one driver object's hardware: user mode finds a
//! device by its [interface class](crate::driver::Driver::INTERFACE).

mod held;

use core::{cell::UnsafeCell, ops::Deref, pin::Pin};

use crate::{
    completing,
    device_interface::DeviceInterface,
    io_timer::IoTimerState,
    irp_holders::IrpHolders,
    irql::Passive,
    object_table::{ObjectTable, Registered},
    pnp::PnpState,
    power::PowerRecord,
    remove_lock::RemoveLock,
    start_io::PacketQueue,
    status::{NtError, Result},
    sync::atomic::{AtomicBool, Ordering},
    sys,
};

pub use held::Held;

/// A functional device object, seen as its extension `E`.
///
/// There is one for each device, in the device extension; every routine of the
/// driver is given a reference to it. It dereferences to `E`.
#[derive(Debug)]
#[repr(C)]
pub struct Device<E> {
    header: Header,
    extension: E,
}

/// What every device has, whatever its driver. At the start of the extension, so
/// that it can be found without knowing `E`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    object: *mut sys::DEVICE_OBJECT,
    physical: *mut sys::DEVICE_OBJECT,
    /// The device object that this one is attached to, where IRPs are forwarded.
    lower: *mut sys::DEVICE_OBJECT,
    /// Bytes of the whole extension.
    length: usize,
    remove_lock: RemoveLock,
    state: PnpState,
    packets: PacketQueue,
    power: PowerRecord,
    objects: ObjectTable,
    io_timer: IoTimerState,
    irp_holders: IrpHolders,
    /// Written in AddDevice, before the device has an IRP.
    completing: Option<completing::Routine>,
    /// Registered in AddDevice, before any other routine runs; `None` if the driver
    /// has none.
    interface: UnsafeCell<Option<DeviceInterface>>,
    /// Whether user mode can see the interface. PnP requests alone, one at a time.
    interface_enabled: AtomicBool,
    /// A request of the device waits for the channel of a DMA adapter: one at a time may.
    waits_for_channel: AtomicBool,
}

// SAFETY: the pointers are the kernel's and fixed after AddDevice; everything else is
// `Sync` or written in AddDevice only, facts 1 and 10.
unsafe impl Sync for Header {}
// SAFETY: as above; the header is never moved between threads, but read by all, facts 1 and
// 10.
unsafe impl Send for Header {}

impl<E> Deref for Device<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.extension
    }
}

impl<E> Device<E> {
    /// Writes what a new device starts with into its place, part by part: as a whole it would
    /// be one more copy of the extension on the kernel's small stack.
    ///
    /// # Safety
    /// `place` is the extension of `object`, large enough and aligned, and nobody else is at
    /// it.
    pub(crate) unsafe fn write(
        place: *mut Self,
        object: *mut sys::DEVICE_OBJECT,
        physical: *mut sys::DEVICE_OBJECT,
        extension: E,
    ) {
        // SAFETY: (Pointer) the contract, fact 1.
        let header = unsafe { &raw mut (*place).header };
        // SAFETY: (Pointer) a field of it. (Aliasing) the contract, fact 1.
        unsafe { header.write(Header::new(object, physical, size_of::<Self>())) };
        // SAFETY: (Pointer) the contract, fact 1.
        let place = unsafe { &raw mut (*place).extension };
        // SAFETY: (Pointer) a field of it. (Aliasing) the contract, fact 1.
        unsafe { place.write(extension) };
    }

    /// The device of a device object.
    ///
    /// # Safety
    /// `object` is a device object of this crate with extension `E`, whose AddDevice has
    /// written the extension, and which is not deleted while the result is used.
    pub(crate) unsafe fn of<'a>(object: *mut sys::DEVICE_OBJECT) -> &'a Self {
        // SAFETY: (Pointer) the contract says that it is alive, fact 1.
        let extension = unsafe { (*object).DeviceExtension };
        // SAFETY: (Pointer) AddDevice has put a `Self` there; shared references only are
        // made of it, fact 1.
        unsafe { &*extension.cast::<Self>() }
    }

    /// The extension, pinned: it stays where it is until REMOVE drops it, fact 1. What
    /// the kernel keeps the address of is used through a projection of this.
    ///
    /// # IRQL
    /// Any.
    pub fn pinned(&self) -> Pin<&E> {
        // SAFETY: (Pointer) never moved and dropped in place, fact 1.
        unsafe { Pin::new_unchecked(&self.extension) }
    }

    pub(crate) const fn header(&self) -> &Header {
        &self.header
    }

    /// See [`Header::expect_within`].
    pub(crate) fn expect_within<T>(&self, object: &T) -> Result<()> {
        self.header.expect_within(object)
    }

    /// Enters an object of this device's extension that the kernel is about to keep
    /// the address of.
    pub(crate) fn register(&self, irql: &mut Passive, object: Registered<'_>) -> Result<()> {
        self.header.objects.register(
            irql,
            core::ptr::from_ref(self).addr(),
            self.header.length,
            object,
        )
    }
}

impl Header {
    fn new(
        object: *mut sys::DEVICE_OBJECT,
        physical: *mut sys::DEVICE_OBJECT,
        length: usize,
    ) -> Self {
        Self {
            object,
            physical,
            lower: core::ptr::null_mut(),
            length,
            remove_lock: RemoveLock::new(),
            state: PnpState::new(),
            packets: PacketQueue::new(),
            power: PowerRecord::new(),
            objects: ObjectTable::new(),
            io_timer: IoTimerState::new(),
            irp_holders: IrpHolders::new(),
            completing: None,
            interface: UnsafeCell::new(None),
            interface_enabled: AtomicBool::new(false),
            waits_for_channel: AtomicBool::new(false),
        }
    }

    /// The header of a device object.
    ///
    /// # Safety
    /// As [`Device::of`], whatever `E`.
    pub(crate) unsafe fn of<'a>(object: *mut sys::DEVICE_OBJECT) -> &'a Self {
        // SAFETY: (Pointer) the contract says that it is alive, fact 1.
        let extension = unsafe { (*object).DeviceExtension };
        // SAFETY: (Pointer) `Device` begins with its header, fact 1.
        unsafe { &*extension.cast::<Self>() }
    }

    pub(crate) const fn object(&self) -> *mut sys::DEVICE_OBJECT {
        self.object
    }

    pub(crate) const fn physical(&self) -> *mut sys::DEVICE_OBJECT {
        self.physical
    }

    pub(crate) const fn lower(&self) -> *mut sys::DEVICE_OBJECT {
        self.lower
    }

    pub(crate) const fn remove_lock(&self) -> &RemoveLock {
        &self.remove_lock
    }

    pub(crate) const fn state(&self) -> &PnpState {
        &self.state
    }

    pub(crate) const fn packets(&self) -> &PacketQueue {
        &self.packets
    }

    pub(crate) const fn power(&self) -> &PowerRecord {
        &self.power
    }

    pub(crate) const fn irp_holders(&self) -> &IrpHolders {
        &self.irp_holders
    }

    /// The queue of the packets that wait for StartIo.
    pub(crate) fn device_queue(&self) -> *mut sys::KDEVICE_QUEUE {
        // SAFETY: (Pointer) the device object outlives its extension, fact 1.
        unsafe { &raw mut (*self.object).DeviceQueue }
    }

    /// Fails unless an object lies in this device's extension, where it stays (fact 2).
    pub(crate) fn expect_within<T>(&self, object: &T) -> Result<()> {
        let start = core::ptr::from_ref(self).addr();
        let offset = core::ptr::from_ref(object).addr().checked_sub(start);
        let end = offset.and_then(|offset| offset.checked_add(size_of::<T>()));
        if end.is_some_and(|end| end <= self.length) {
            Ok(())
        } else {
            Err(NtError::STATUS_INVALID_PARAMETER)
        }
    }

    pub(crate) const fn objects(&self) -> &ObjectTable {
        &self.objects
    }

    pub(crate) const fn io_timer(&self) -> &IoTimerState {
        &self.io_timer
    }

    /// A request is about to wait for a DMA channel; false if another one does.
    pub(crate) fn begin_channel_request(&self) -> bool {
        !self.waits_for_channel.swap(true, Ordering::Acquire)
    }

    /// The request has got the channel, or was refused.
    pub(crate) fn end_channel_request(&self) {
        self.waits_for_channel.store(false, Ordering::Release);
    }

    /// AddDevice attaches the device after it has written the extension.
    pub(crate) const fn attached_to(&mut self, lower: *mut sys::DEVICE_OBJECT) {
        self.lower = lower;
    }

    /// AddDevice tells whom to tell of completions.
    pub(crate) const fn tells(&mut self, completing: Option<completing::Routine>) {
        self.completing = completing;
    }

    pub(crate) const fn completing(&self) -> Option<completing::Routine> {
        self.completing
    }

    /// AddDevice registers the interface after it has attached the device.
    pub(crate) fn has_interface(&mut self, interface: DeviceInterface) {
        *self.interface.get_mut() = Some(interface);
    }

    /// Shows the device interface to user mode or hides it, once each way.
    pub(crate) fn show_interface(&self, irql: &mut Passive, shown: bool) -> Result<()> {
        if self.interface_enabled.load(Ordering::Relaxed) == shown {
            return Ok(());
        }
        // SAFETY: (Aliasing) written in AddDevice only, which came before, fact 1.
        let interface = unsafe { &*self.interface.get() };
        if let Some(interface) = interface {
            interface.set_state(irql, shown)?;
        }
        self.interface_enabled.store(shown, Ordering::Relaxed);
        Ok(())
    }
}
