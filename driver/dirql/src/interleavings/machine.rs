//! A machine for one run of a flow: a driver loaded, a device added, threads on processors.

use std::{boxed::Box, cell::RefCell, pin::Pin, rc::Rc, vec::Vec};

use loom::thread::JoinHandle;

use super::kernel::{self, Kernel};
use crate::{device::Device, driver::Driver, irql::Passive, sys, thunks};

/// A device of a driver with extension `E`, as the PnP manager knows it.
pub(super) struct Machine {
    driver: Box<sys::DRIVER_OBJECT>,
    device: *mut sys::DEVICE_OBJECT,
    /// Their memory stays until the run is over.
    requests: RefCell<Vec<Pin<Box<Stack>>>>,
}

impl Machine {
    /// Loads the driver and adds a device.
    pub(super) fn new<E: Driver>(processors: usize) -> Rc<Self> {
        Kernel::begin(processors);
        // SAFETY: integers, pointers and optional functions; zero is valid for all, fact 12.
        let mut driver: Box<sys::DRIVER_OBJECT> = Box::new(unsafe { core::mem::zeroed() });
        let mut extension = sys::DRIVER_EXTENSION { AddDevice: None };
        driver.DriverExtension = &raw mut extension;
        let path = sys::UNICODE_STRING {
            Length: 0,
            MaximumLength: 0,
            Buffer: core::ptr::null_mut(),
        };
        // SAFETY: (Caller) as the kernel calls DriverEntry, facts 10 and 11.
        let status = unsafe { thunks::initialize::<E>(&raw mut *driver, &raw const path) };
        assert_eq!(status, 0, "DriverEntry");
        kernel::current().has_start_io(driver.DriverStartIo);
        let add_device = extension.AddDevice.expect("DriverEntry sets it");
        let physical = kernel::current().physical();
        // SAFETY: (Caller) as the PnP manager calls AddDevice, fact 10.
        let status = unsafe { add_device(&raw mut *driver, physical) };
        assert_eq!(status, 0, "AddDevice");
        let device = kernel::current().latest_device();
        Rc::new(Self {
            driver,
            device,
            requests: RefCell::new(Vec::new()),
        })
    }

    /// The device. Whoever has this is as one of the driver's own routines.
    pub(super) fn device<E: Driver>(&self) -> &Device<E> {
        // SAFETY: (Pointer) AddDevice has written it; its memory stays until the run is over, fact
        // 1.
        unsafe { Device::<E>::of(self.device) }
    }

    /// Sends a request to the driver; what its dispatch routine returned.
    pub(super) fn send(&self, request: &Request, major: u32) -> sys::NTSTATUS {
        let slot = usize::try_from(major).expect("a major function");
        let dispatch = self.driver.MajorFunction[slot].expect("DriverEntry sets it");
        // SAFETY: (Caller) as the I/O manager calls a dispatch routine, fact 10.
        unsafe { dispatch(self.device, request.irp) }
    }

    /// A request of the flow's own, sent on this file.
    pub(super) fn request(&self, file: usize) -> Request {
        // SAFETY: integers, pointers and optional functions; zero is valid for all, fact 12.
        let mut stack: Box<Stack> = Box::new(unsafe { core::mem::zeroed() });
        stack.irp.CurrentLocation = 1;
        stack
            .irp
            .Tail
            .Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation = &raw mut stack.locations[1];
        stack.locations[1].DeviceObject = self.device;
        stack.locations[1].FileObject = core::ptr::without_provenance_mut(file);
        let irp = &raw mut stack.irp;
        kernel::current().made(irp);
        self.requests.borrow_mut().push(Box::into_pin(stack));
        Request { irp }
    }

    /// Sends a PnP request; what the dispatch routine returned.
    pub(super) fn pnp(&self, minor: u32) -> sys::NTSTATUS {
        let request = self.request(0);
        let mut resources = one_interrupt();
        // SAFETY: (Pointer) a request of the flow's, fact 4.
        let location = unsafe { sys::current_location(request.irp) };
        // SAFETY: (Aliasing) it is not sent yet, fact 4.
        let location = unsafe { &mut *location };
        location.MinorFunction = u8::try_from(minor).expect("a minor function");
        if minor == sys::IRP_MN_START_DEVICE {
            location.Parameters.StartDevice = sys::StartDevice {
                AllocatedResourcesTranslated: &raw mut resources,
            };
        }
        self.send(&request, sys::IRP_MJ_PNP)
    }
}

/// An IRP and its stack: the driver's location is the upper one.
struct Stack {
    irp: sys::IRP,
    locations: [sys::IO_STACK_LOCATION; 2],
}

/// A request of the flow's own. It can be cancelled at any time, and is there until the run is
/// over.
#[derive(Clone, Copy)]
pub(super) struct Request {
    irp: *mut sys::IRP,
}

impl Request {
    /// `IoCancelIrp`.
    pub(super) fn cancel(&self) {
        kernel::current().cancel(self.irp);
    }

    /// Whether it was completed; twice is a panic.
    pub(super) fn is_completed(&self) -> bool {
        kernel::current().is_completed(self.irp)
    }
}

/// What START_DEVICE gives the device: a line.
fn one_interrupt() -> sys::CM_RESOURCE_LIST {
    const TYPE_INTERRUPT: u8 = 2;
    // SAFETY: integers; zero is valid for all, fact 12.
    let mut list: sys::CM_RESOURCE_LIST = unsafe { core::mem::zeroed() };
    list.Count = 1;
    let [full] = &mut list.List;
    full.PartialResourceList.Count = 1;
    let [interrupt] = &mut full.PartialResourceList.PartialDescriptors;
    interrupt.Type = TYPE_INTERRUPT;
    interrupt.u.Interrupt = sys::InterruptDescriptor {
        Level: u32::from(kernel::DIRQL),
        Vector: 0x51,
        Affinity: 3,
    };
    list
}

/// The thread's token at PASSIVE_LEVEL.
pub(super) fn passive() -> Passive {
    // SAFETY: (IRQL) a thread of a flow starts there, and every raise is undone, fact 5.
    unsafe { Passive::assume() }
}

/// Threads of a flow, and those that run its DPCs.
pub(super) struct Threads {
    flow: Vec<JoinHandle<()>>,
    dpcs: Vec<JoinHandle<()>>,
}

impl Threads {
    /// One that runs DPCs on each of these processors.
    pub(super) fn new(processors: &[usize]) -> Self {
        let dpcs = processors.iter().map(|processor| {
            let processor = *processor;
            loom::thread::spawn(move || kernel::current().dpcs().run(processor))
        });
        Self {
            flow: Vec::new(),
            dpcs: dpcs.collect(),
        }
    }

    /// A thread at PASSIVE_LEVEL that starts on `processor`.
    pub(super) fn spawn(&mut self, processor: usize, body: impl FnOnce() + 'static) {
        self.flow.push(loom::thread::spawn(move || {
            kernel::start_on(processor);
            body();
        }));
    }

    /// Waits for those of the flow.
    pub(super) fn wait_for_flow(&mut self) {
        for thread in self.flow.drain(..) {
            thread.join().expect("a panic ends the run");
        }
    }

    /// Waits for all of them; the DPCs that are queued have run then.
    pub(super) fn join(mut self) {
        self.wait_for_flow();
        kernel::current().dpcs().over();
        for thread in self.dpcs {
            thread.join().expect("a panic ends the run");
        }
    }
}
