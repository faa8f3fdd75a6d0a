//! Controller objects: IoCreateController, IoAllocateController, IoFreeController,
//! IoDeleteController.
//!
//! # Model
//! ```text
//! free --IoAllocateController--> allocated (ControllerControl of that device object)
//! allocated --IoAllocateController--> allocated (queued)
//! allocated --IoFreeController, or DeallocateObject--> allocated (the next) | free
//! ```
//! A device object waits in the queue with the wait block that lies in it, so with one
//! request at a time.
//!
//! # Soundness
//! 1. A controller object is memory of `kernel_memory`, never freed; a deleted one is no
//!    longer in the ledger.

use alloc::collections::{BTreeMap, VecDeque};

use wdk_sys::{
    CONTROLLER_OBJECT, CSHORT, IO_ALLOCATION_ACTION, PCONTROLLER_OBJECT, PDEVICE_OBJECT,
    PDRIVER_CONTROL, PVOID, ULONG,
};

use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device::Device;
use crate::nt::kernel_memory::{allocate, allocate_object};
use crate::nt::legacy::is_model;
use crate::nt::routine::Routine;
use crate::nt::violation::check;

/// `IO_TYPE_CONTROLLER`.
const TYPE: CSHORT = 2;
/// `KeepObject`.
const KEEP: IO_ALLOCATION_ACTION = 1;
/// `DeallocateObject`.
const DEALLOCATE: IO_ALLOCATION_ACTION = 2;

/// A request for a controller.
#[derive(Clone, Copy)]
struct Request {
    device: Device,
    routine: PDRIVER_CONTROL,
    context: usize,
}

/// What the executive knows of a controller object.
#[derive(Default)]
struct Record {
    /// Number of the allocation that has it; none while it is free.
    owner: Option<u64>,
    last_allocation: u64,
    waiting: VecDeque<Request>,
}

static CONTROLLERS: IrqLock<BTreeMap<usize, Record>> = IrqLock::new(BTreeMap::new());

/// Runs `routine` on a controller's record; `None` when there is no such controller.
fn with_record<R>(
    controller: PCONTROLLER_OBJECT,
    routine: impl FnOnce(&mut Record) -> R,
) -> Option<R> {
    CONTROLLERS.with(|controllers| controllers.get_mut(&address::of(controller)).map(routine))
}

/// Makes a controller object with an extension of this size.
pub(crate) fn create(size: usize) -> PCONTROLLER_OBJECT {
    let object = allocate_object::<CONTROLLER_OBJECT>().as_ptr();
    let extension = allocate(size);
    // SAFETY: Fact 1: the memory is new, and nobody else knows it.
    unsafe { (*object).Type = TYPE };
    // SAFETY: As above.
    unsafe { (*object).ControllerExtension = extension.as_ptr().cast() };
    CONTROLLERS.with(|controllers| controllers.insert(address::of(object), Record::default()));
    object
}

/// IoCreateController.
pub(crate) extern "C" fn io_create_controller(size: ULONG) -> PCONTROLLER_OBJECT {
    let routine = Routine::IoCreateController;
    routine.enter();
    check!(
        Ctl01,
        routine,
        is_model(),
        "A driver with an AddDevice routine creates a controller object."
    );
    usize::try_from(size).map_or(core::ptr::null_mut(), create)
}

/// IoDeleteController.
pub(crate) unsafe extern "C" fn io_delete_controller(controller: PCONTROLLER_OBJECT) {
    let routine = Routine::IoDeleteController;
    routine.enter();
    let record = CONTROLLERS.with(|controllers| controllers.remove(&address::of(controller)));
    check!(
        Ctl04,
        routine,
        record
            .as_ref()
            .is_some_and(|record| record.owner.is_none() && record.waiting.is_empty()),
        "The controller object {controller:p} is deleted while {}.",
        record.as_ref().map_or("there is no such object", |record| {
            if record.owner.is_some() {
                "it is allocated"
            } else {
                "devices wait for it"
            }
        })
    );
}

/// IoAllocateController.
pub(crate) unsafe extern "C" fn io_allocate_controller(
    controller: PCONTROLLER_OBJECT,
    device: PDEVICE_OBJECT,
    routine: PDRIVER_CONTROL,
    context: PVOID,
) {
    let export = Routine::IoAllocateController;
    export.enter();
    let request = Request {
        device: Device::expect(export, device),
        routine,
        context: address::of(context),
    };
    let is_second = with_record(controller, |record| {
        let mut waiting = record.waiting.iter();
        waiting.any(|other| other.device == request.device)
    });
    check!(
        Ctl03,
        export,
        is_second == Some(false),
        "The device object {device:p} waits for the controller {controller:p} already, or there is no such controller."
    );
    let allocation = with_record(controller, |record| {
        if record.owner.is_some() {
            record.waiting.push_back(request);
            None
        } else {
            Some(record.allocate())
        }
    });
    if let Some(allocation) = allocation.flatten() {
        run(controller, request, allocation);
    }
}

/// IoFreeController.
pub(crate) unsafe extern "C" fn io_free_controller(controller: PCONTROLLER_OBJECT) {
    let routine = Routine::IoFreeController;
    routine.enter();
    let is_allocated = with_record(controller, |record| record.owner.is_some());
    check!(
        Ctl02,
        routine,
        is_allocated == Some(true),
        "The controller {controller:p} is freed, and nobody has it."
    );
    if let Some((next, allocation)) = pass_on(controller) {
        run(controller, next, allocation);
    }
}

impl Record {
    /// A new allocation has the controller.
    fn allocate(&mut self) -> u64 {
        self.last_allocation += 1;
        self.owner = Some(self.last_allocation);
        self.last_allocation
    }
}

/// Frees a controller, and allocates it to the next in line.
fn pass_on(controller: PCONTROLLER_OBJECT) -> Option<(Request, u64)> {
    with_record(controller, |record| {
        record.owner = None;
        let next = record.waiting.pop_front()?;
        Some((next, record.allocate()))
    })
    .flatten()
}

/// Calls ControllerControl, and that of the next in line for as long as each
/// deallocates.
fn run(controller: PCONTROLLER_OBJECT, first: Request, allocation: u64) {
    let mut next = Some((first, allocation));
    while let Some((request, allocation)) = next {
        let action = call(request);
        check!(
            Ctl02,
            Callback::ControllerControl,
            matches!(action, KEEP | DEALLOCATE),
            "ControllerControl returned {action}, which is not KeepObject nor DeallocateObject."
        );
        if action == KEEP {
            return;
        }
        let owner = with_record(controller, |record| record.owner).flatten();
        check!(
            Ctl02,
            Callback::ControllerControl,
            owner == Some(allocation),
            "ControllerControl returned DeallocateObject for the controller {controller:p}, which was freed before."
        );
        next = pass_on(controller);
    }
}

/// Calls one ControllerControl routine.
fn call(request: Request) -> IO_ALLOCATION_ACTION {
    let Some(routine) = request.routine else {
        return DEALLOCATE;
    };
    // SAFETY: (Caller) the driver gave the routine to be called so, at DISPATCH_LEVEL, with
    // this device object and context. There are no map registers for a controller.
    call_out(Callback::ControllerControl, || unsafe {
        routine(
            request.device.pointer(),
            request.device.current_irp(),
            core::ptr::null_mut(),
            address::to_pointer(request.context),
        )
    })
}

/// Checks, when the driver is gone, that its controller objects are too.
pub(super) fn assert_nothing_left() {
    let left = CONTROLLERS.with(|controllers| controllers.len());
    check!(
        Pnp16,
        "unload",
        left == 0,
        "The driver left {left} controller objects behind."
    );
}
