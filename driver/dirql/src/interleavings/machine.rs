//! A machine for one run of a flow: a driver loaded, a device added, threads on processors.

use std::{boxed::Box, rc::Rc, vec::Vec};

use loom::thread::JoinHandle;

use super::kernel::{self, Kernel};
use crate::{driver::Driver, irql::Passive, sys, thunks};

/// A device of a driver with extension `E`, as the PnP manager knows it.
pub(super) struct Machine {
    driver: Box<sys::DRIVER_OBJECT>,
    device: *mut sys::DEVICE_OBJECT,
}

/// An IRP of one of the flow's own, with its stack: the driver's location is the upper one.
pub(super) struct Request {
    irp: sys::IRP,
    locations: [sys::IO_STACK_LOCATION; 2],
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
        let add_device = extension.AddDevice.expect("DriverEntry sets it");
        let physical = kernel::current().physical();
        // SAFETY: (Caller) as the PnP manager calls AddDevice, fact 10.
        let status = unsafe { add_device(&raw mut *driver, physical) };
        assert_eq!(status, 0, "AddDevice");
        let device = kernel::current().latest_device();
        Rc::new(Self { driver, device })
    }

    /// Sends a request to the driver; what its dispatch routine returned.
    pub(super) fn send(&self, request: &mut Request, major: u32) -> sys::NTSTATUS {
        let slot = usize::try_from(major).expect("a major function");
        let dispatch = self.driver.MajorFunction[slot].expect("DriverEntry sets it");
        request.irp.CurrentLocation = 1;
        request.locations[1].DeviceObject = self.device;
        let irp = request.irp();
        kernel::current().send(irp);
        // SAFETY: (Caller) as the I/O manager calls a dispatch routine, fact 10.
        unsafe { dispatch(self.device, irp) }
    }

    /// Sends a PnP request; what the dispatch routine returned.
    pub(super) fn pnp(&self, minor: u32) -> sys::NTSTATUS {
        let mut request = Request::new();
        request.locations[1].MinorFunction = u8::try_from(minor).expect("a minor function");
        let mut resources = one_interrupt();
        if minor == sys::IRP_MN_START_DEVICE {
            request.locations[1].Parameters.StartDevice = sys::StartDevice {
                AllocatedResourcesTranslated: &raw mut resources,
            };
        }
        self.send(&mut request, sys::IRP_MJ_PNP)
    }
}

impl Request {
    pub(super) fn new() -> Box<Self> {
        // SAFETY: integers, pointers and optional functions; zero is valid for all, fact 12.
        Box::new(unsafe { core::mem::zeroed() })
    }

    /// The IRP, at the driver's location.
    fn irp(&mut self) -> *mut sys::IRP {
        self.irp
            .Tail
            .Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation = &raw mut self.locations[1];
        &raw mut self.irp
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

    /// Waits for all of them; the DPCs that are queued have run then.
    pub(super) fn join(self) {
        for thread in self.flow {
            thread.join().expect("a panic ends the run");
        }
        kernel::current().dpcs().over();
        for thread in self.dpcs {
            thread.join().expect("a panic ends the run");
        }
        kernel::end();
    }
}
