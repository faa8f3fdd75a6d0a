//! Device objects of a driver without PnP.

use core::{ops::Deref, ptr::NonNull};

use super::{Controller, LegacyDriver, thunks};
use crate::{
    device::Device,
    irp::PendingIrp,
    irql::{AtMostDispatch, Dispatch},
    spin_lock::SpinLock,
    start_io::Packet,
    stop_code::{Reason, stop},
    sys,
    unicode::UnicodeStr,
};

/// The names of a device object.
#[derive(Clone, Copy, Debug)]
pub struct DeviceName {
    /// In the kernel: `\Device\NAME`.
    pub device: UnicodeStr<'static>,
    /// For user mode, a symbolic link: `\DosDevices\NAME`.
    pub link: UnicodeStr<'static>,
}

/// A device object of a [`LegacyDriver`]; it dereferences to the driver's extension `E`.
pub type LegacyDevice<E> = Device<Attached<E>>;

/// A device extension and the controller that it belongs to.
#[derive(Debug)]
pub struct Attached<E: LegacyDriver> {
    controller: NonNull<Controller<E>>,
    /// The packet that waits for the controller. There is one at most: StartIo has one
    /// packet of a device object at a time.
    waiting: SpinLock<Option<Packet>>,
    pub(super) name: DeviceName,
    extension: E,
}

// SAFETY: (Pointer) the controller is `Sync` and outlives the device, fact 40; everything else
// is `Sync`.
unsafe impl<E: LegacyDriver> Sync for Attached<E> {}
// SAFETY: as above; it is moved before anybody else knows it, fact 1.
unsafe impl<E: LegacyDriver> Send for Attached<E> {}

impl<E: LegacyDriver> Deref for Attached<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.extension
    }
}

impl<E: LegacyDriver> Attached<E> {
    /// What DriverEntry writes into the device extension.
    pub(super) const fn new(
        controller: NonNull<Controller<E>>,
        name: DeviceName,
        extension: E,
    ) -> Self {
        Self {
            controller,
            waiting: SpinLock::new(None),
            name,
            extension,
        }
    }

    /// The controller that its device objects share.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn controller(&self) -> &Controller<E> {
        // SAFETY: (Pointer) written before any device extension and dropped after all of
        // them, fact 40; shared references only are made of it.
        unsafe { self.controller.as_ref() }
    }

    /// The packet whose turn has come.
    pub(super) fn take_waiting(&self, irql: &mut Dispatch) -> Option<Packet> {
        self.waiting.with(irql, |_, waiting| waiting.take())
    }
}

impl<E: LegacyDriver> LegacyDevice<E> {
    /// Gives an IRP to the device queue: [`start_io`](LegacyDriver::start_io) gets it now or
    /// when its turn comes. Wraps `IoStartPacket`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL. See "IoStartPacket" in the documentation.
    pub fn queue_packet<I: AtMostDispatch>(&self, irql: &mut I, irp: PendingIrp) {
        self.header().start_packet(irql, irp, core::ptr::null_mut());
    }

    /// Has [`controller_control`](LegacyDriver::controller_control) called with this packet,
    /// now or when the controller is free. Wraps `IoAllocateController`.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL. See "IoAllocateController" in the documentation.
    pub fn allocate_controller(&self, irql: &mut Dispatch, packet: Packet) {
        self.header().expect_own(packet.device_object());
        let second = self
            .waiting
            .with(irql, |_, waiting| waiting.replace(packet).is_some());
        if second {
            stop(Reason::SecondPacketHeld, self.header().object().addr());
        }
        let context = core::ptr::null_mut();
        // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Pointer) both objects outlive the
        // turn: the packet holds the device's remove lock, facts 4 and 41, and the controller
        // outlives its devices, fact 40. (Caller) the device object waits once: it had no
        // packet waiting.
        unsafe {
            sys::IoAllocateController(
                self.controller().object(),
                self.header().object(),
                Some(thunks::controller_control::<E>),
                context,
            );
        };
    }
}
