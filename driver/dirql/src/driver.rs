//! What a driver implements. Wraps the entries of a `DRIVER_OBJECT`.
//!
//! # Model
//!
//! [`Driver`] is what every function driver has. The rest is optional: a trait of its own for
//! each routine, and a word in [`Routines`] that says that the driver has it. A word
//! without its trait does not compile; what relies on a routine, such as connecting an
//! interrupt that may request DpcForIsr, does not compile without the word.
//!
//! # Contexts
//!
//! | routine | called | token |
//! |---|---|---|
//! | `driver_entry`, `add_device` | once for the driver, once for each device | `Passive` |
//! | `start_device`, `stop_device` | by PnP requests, one at a time | `Passive` |
//! | `create`, `cleanup`, `device_control` | at any time, on several processors at once | `UpToDispatch` |
//! | [`DpcForIsr::dpc_for_isr`] | after the ISR asked for it, on any processor | `Dispatch` |
//!
//! # Not here
//!
//! Filter and bus drivers. See "Introduction to Standard Driver Routines".

use uuid::Uuid;

use crate::{
    completing::{self, Completing},
    device::Device,
    file::FileObject,
    io_timer::{self, IoTimer, IoTimerRoutine},
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    power::{self, Power},
    registry::ServiceKey,
    resources::Resources,
    start_io::{Packet, PacketId, StartIo, TakeBack},
    status::{NtError, Result},
    thunks,
};

/// A function driver, implemented for its device extension.
///
/// PnP and the plumbing of IRPs are done by this crate: a device is started after the
/// drivers below have started it, packets are held while it is stopped, and its
/// extension goes away only after the kernel has let go of everything. Power requests
/// are passed down and nothing more unless the driver implements [`Power`] and says so in
/// its [`Routines`]: without it, it is no driver for a machine that sleeps.
pub trait Driver: Sized + Send + Sync + 'static {
    /// The optional routines that this driver has.
    const ROUTINES: Routines<Self>;

    /// The device interface class by which user mode finds the device.
    const INTERFACE: Option<Uuid>;

    /// DriverEntry, before there is a device: reads the driver's parameters, which are the
    /// same for all of its devices.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// Whatever keeps the driver from being loaded.
    fn driver_entry(_irql: &mut Passive, _service: &ServiceKey<'_>) -> Result<()> {
        Ok(())
    }

    /// AddDevice: the extension of a new device. The hardware may not be touched yet.
    ///
    /// # Errors
    /// Whatever keeps the device from being added.
    fn add_device(irql: &mut Passive) -> Result<Self>;

    /// START_DEVICE, after the drivers below: map, connect, enable.
    ///
    /// # Errors
    /// Whatever keeps the device from being started; [`stop_device`](Self::stop_device)
    /// is called then to undo what was done.
    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()>;

    /// STOP_DEVICE, removal, or a start that failed: silence, disconnect, unmap. Called
    /// in any state, more than once too. Returns the packet that was in the device's
    /// hands; it is started again after a restart, or fails.
    fn stop_device(device: &Device<Self>, irql: &mut Passive, why: Stop) -> Option<Packet>;

    /// IRP_MJ_CREATE. A device without a namespace refuses names inside it.
    fn create(_device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        let result = if irp.has_trailing_name() {
            Err(NtError::STATUS_OBJECT_NAME_NOT_FOUND)
        } else {
            Ok(0)
        };
        irp.complete(irql, result)
    }

    /// IRP_MJ_CLEANUP: the last handle to a file was closed. Its requests in the device
    /// queue and in [`IrpQueue`](crate::irp_queue::IrpQueue)s were completed with
    /// STATUS_CANCELLED, and what StartIo has begun was taken back if the driver can
    /// ([`TakeBack`]); what the driver keeps elsewhere it completes here.
    fn cleanup(_device: &Device<Self>, _irql: &mut UpToDispatch, _file: FileObject) {}

    /// IRP_MJ_DEVICE_CONTROL.
    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched;
}

/// Why a device is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its resources are taken away; it will be started again.
    Rebalance,
    /// It is removed, or could not be started.
    Remove,
    /// It has gone already; its registers read as all ones.
    SurpriseRemoval,
}

/// A DpcForIsr routine.
pub trait DpcForIsr: Driver {
    /// Runs after one or more interrupts asked for it, on any processor, maybe on two
    /// at once. Takes all results out of the interrupt's state in one critical section.
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch);
}

/// Read and write routines, for a device whose buffers are locked (DO_DIRECT_IO).
pub trait DirectIo: Driver {
    /// IRP_MJ_READ: the buffer is the request's [`mdl`](crate::direct_io::DirectRequest::mdl).
    /// Is `DispatchRead`; see "DispatchRead, DispatchWrite, and DispatchReadWrite Routines".
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    fn read(_device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST))
    }

    /// IRP_MJ_WRITE, likewise. Is `DispatchWrite`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    fn write(_device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST))
    }
}

/// The routines that a driver has beside those that all have.
#[derive(Debug)]
pub struct Routines<E: Driver> {
    pub(crate) start_io: Option<thunks::StartIoRoutine>,
    pub(crate) resume: Option<fn(&Device<E>, &mut Passive)>,
    pub(crate) dpc_for_isr: Option<thunks::DpcRoutine>,
    pub(crate) io_timer: Option<IoTimerRoutine>,
    pub(crate) power: Option<thunks::DispatchRoutine>,
    pub(crate) take_back: Option<TakeBackRoutine<E>>,
    /// IRP_MJ_READ and IRP_MJ_WRITE.
    pub(crate) direct_io: Option<[thunks::DispatchRoutine; 2]>,
    pub(crate) completing: Option<completing::Routine>,
}

/// [`TakeBack::take_back`].
type TakeBackRoutine<E> = fn(&Device<E>, &mut UpToDispatch, PacketId) -> Option<Packet>;

impl<E: Driver> Default for Routines<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Driver> Routines<E> {
    /// None of them.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start_io: None,
            resume: None,
            dpc_for_isr: None,
            io_timer: None,
            power: None,
            take_back: None,
            direct_io: None,
            completing: None,
        }
    }

    /// The driver has a StartIo routine.
    #[must_use]
    pub const fn start_io(mut self) -> Self
    where
        E: StartIo,
    {
        self.start_io = Some(thunks::start_io::<E>);
        self.resume = Some(Device::<E>::resume_packets);
        self
    }

    /// The driver can take back what StartIo has begun.
    #[must_use]
    pub const fn take_back(mut self) -> Self
    where
        E: TakeBack,
    {
        self.take_back = Some(E::take_back);
        self
    }

    /// The driver has a DpcForIsr routine.
    #[must_use]
    pub const fn dpc_for_isr(mut self) -> Self
    where
        E: DpcForIsr,
    {
        self.dpc_for_isr = Some(thunks::dpc_for_isr::<E>);
        self
    }

    /// The driver has an IoTimer routine.
    #[must_use]
    pub const fn io_timer(mut self) -> Self
    where
        E: IoTimer,
    {
        self.io_timer = Some(io_timer::io_timer::<E>);
        self
    }

    pub(crate) const fn has_io_timer(&self) -> bool {
        self.io_timer.is_some()
    }

    /// The driver is the power policy owner of its device, which can sleep.
    #[must_use]
    pub const fn power(mut self) -> Self
    where
        E: Power,
    {
        self.power = Some(power::dispatch::<E>);
        self
    }

    /// The driver has read and write routines, and its devices do direct I/O.
    #[must_use]
    pub const fn direct_io(mut self) -> Self
    where
        E: DirectIo,
    {
        self.direct_io = Some([thunks::read::<E>, thunks::write::<E>]);
        self
    }

    /// The driver is told of each request that is completed.
    #[must_use]
    pub const fn completing(mut self) -> Self
    where
        E: Completing,
    {
        self.completing = Some(completing::routine::<E>);
        self
    }

    pub(crate) const fn has_dpc_for_isr(&self) -> bool {
        self.dpc_for_isr.is_some()
    }

    pub(crate) const fn has_start_io(&self) -> bool {
        self.start_io.is_some()
    }
}

/// Makes `DriverEntry` of a [`Driver`]:
///
/// ```ignore
/// dirql::driver_entry!(Edu);
/// ```
#[macro_export]
macro_rules! driver_entry {
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
            unsafe { $crate::__private::initialize::<$driver>(driver, registry_path) }
        }
    };
}
