//! I/O request packets.
//!
//! # Model
//! An [`Irp`] is the executive's handle on an IRP in memory that drivers see. It
//! records what each stack location's driver did, so that the rules about
//! completing, pending and forwarding can be judged when dispatch routines return,
//! which may be after the IRP was completed on another processor.
//!
//! # Soundness
//! 1. The block of memory is the handle's from its making until the last
//!    clone of the handle is dropped ([`block`]). The ledger keeps one clone from creation to
//!    long after completion, and everybody who touches the block holds another.
//!
//! Stack location indices are 1 to `stack_count`, checked where they are used.

mod block;
pub(crate) mod call;
pub(crate) mod complete;
pub(crate) mod completion_ex;
pub(crate) mod forward;
pub(crate) mod ledger;
pub(crate) mod location;
pub(crate) mod progress;

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wdk_sys::{
    BOOLEAN, CHAR, CSHORT, IO_STACK_LOCATION, IRP, KIRQL, KPROCESSOR_MODE, LIST_ENTRY, NTSTATUS,
    PDRIVER_CANCEL, PFILE_OBJECT, PIO_STACK_LOCATION, PIRP, PMDL, PVOID, ULONG_PTR, USHORT,
};

use crate::machine::sync::IrqLock;
use crate::machine::time::system_time_100ns;
use crate::nt::address;
use crate::nt::file::File;
use crate::nt::irp::block::Block;
use crate::nt::irp::location::Location;
use crate::nt::irp::progress::Progress;
use crate::nt::kernel_memory::fields;
use crate::nt::list::Links;
use crate::nt::mdl::LockedBuffer;
use crate::nt::pnp::requests::Admission;
use crate::nt::power::PowerAsk;
use crate::nt::routine::Routine;
use crate::nt::system_buffer::SystemBuffer;
use crate::nt::violation::check;

/// `IO_TYPE_IRP`.
const TYPE: CSHORT = 6;
/// Deepest device stack that the executive records.
pub(crate) const MAX_STACK: usize = 8;
/// What a completed IRP is filled with.
const COMPLETED_BYTE: u8 = 0xdd;

/// Who waits for an IRP, and how he is told of its end.
pub(crate) enum Originator {
    /// Somebody who looks at [`Irp::outcome`] until there is one.
    Waiter,
    /// The power manager, for itself or for a driver.
    Power(PowerAsk),
    /// A program that has opened a file.
    Channel {
        /// Who is told of the end.
        recipient: Recipient,
        /// The file that the request was sent to.
        file: Arc<File>,
    },
}

/// Who is told of the end of a program's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// The command channel, which has sent it with this number.
    Request(u32),
    /// A lane of a load.
    Lane {
        /// Which.
        lane: usize,
        /// When it began the request, by the time-stamp counter.
        began: u64,
    },
}

/// What an IRP asks for, before any driver has seen it.
pub(crate) struct Request {
    pub(crate) major: u8,
    pub(crate) minor: u8,
    /// What `IoStatus.Status` is preset to.
    pub(crate) status: NTSTATUS,
    pub(crate) mode: KPROCESSOR_MODE,
    pub(crate) file: PFILE_OBJECT,
    pub(crate) buffer: Option<SystemBuffer>,
    pub(crate) originator: Originator,
}

/// How an IRP ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: NTSTATUS,
    pub(crate) information: ULONG_PTR,
}

/// An IRP. Clones are the same IRP.
#[derive(Clone)]
pub(crate) struct Irp(Arc<Inner>);

struct Inner {
    block: Block,
    stack_count: usize,
    major: u8,
    minor: u8,
    sent: u64,
    buffer: Option<SystemBuffer>,
    /// The buffer of a request for direct I/O.
    locked: IrqLock<Option<Arc<LockedBuffer>>>,
    originator: Originator,
    progress: IrqLock<Progress>,
    admission: Admission,
    /// When it was cancelled, in 100 ns since the rig booted; zero if it was not.
    cancelled_at: AtomicU64,
    /// Its cancel routine was called.
    is_cancel_routine_called: AtomicBool,
}

fields!(Irp {
    _ / set_kind: CSHORT = Type;
    _ / set_size: USHORT = Size;
    _ / set_mdl: PMDL = MdlAddress;
    _ / set_system_buffer: PVOID = AssociatedIrp.SystemBuffer;
    status / set_status: NTSTATUS = IoStatus.__bindgen_anon_1.Status;
    information / set_information: ULONG_PTR = IoStatus.Information;
    _ / set_mode: KPROCESSOR_MODE = RequestorMode;
    pending_returned / set_pending_returned: BOOLEAN = PendingReturned;
    _ / set_stack_count: CHAR = StackCount;
    current_field / set_current_field: CHAR = CurrentLocation;
    cancel / set_cancel: BOOLEAN = Cancel;
    cancel_irql / set_cancel_irql: KIRQL = CancelIrql;
    cancel_routine: PDRIVER_CANCEL = CancelRoutine;
    driver_context / set_driver_context: [PVOID; 4] =
        Tail.Overlay.__bindgen_anon_1.__bindgen_anon_1.DriverContext;
    list_entry: LIST_ENTRY = Tail.Overlay.__bindgen_anon_2.ListEntry;
    _ / set_current_location_field: PIO_STACK_LOCATION =
        Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation;
    _ / set_user_buffer: PVOID = UserBuffer;
    _ / set_original_file: PFILE_OBJECT = Tail.Overlay.OriginalFileObject;
});

impl Irp {
    /// A new IRP for a stack of `stack_count` devices, known to the ledger. Its
    /// first driver's stack location is filled as far as the request says.
    pub(crate) fn create(stack_count: usize, request: Request) -> Self {
        assert!(
            (1..=MAX_STACK).contains(&stack_count),
            "an IRP for a stack of {stack_count} devices"
        );
        let size = size_of::<IRP>() + stack_count * size_of::<IO_STACK_LOCATION>();
        let irp = Self(Arc::new(Inner {
            block: Block::new(size),
            stack_count,
            major: request.major,
            minor: request.minor,
            sent: system_time_100ns(),
            buffer: request.buffer,
            locked: IrqLock::new(None),
            admission: Admission::of(&request.originator),
            originator: request.originator,
            progress: IrqLock::new(Progress::new()),
            cancelled_at: AtomicU64::new(0),
            is_cancel_routine_called: AtomicBool::new(false),
        }));
        irp.set_kind(TYPE);
        irp.set_size(USHORT::try_from(size).unwrap_or(USHORT::MAX));
        irp.set_stack_count(CHAR::try_from(stack_count).unwrap_or(CHAR::MAX));
        irp.set_current(stack_count + 1);
        irp.set_status(request.status);
        irp.set_mode(request.mode);
        irp.set_original_file(request.file);
        if let Some(buffer) = &irp.0.buffer {
            irp.set_system_buffer(buffer.pointer());
        }
        let top = irp.location(stack_count);
        top.set_major(request.major);
        top.set_minor(request.minor);
        top.set_file(request.file);
        ledger::add(&irp);
        irp
    }

    /// The IRP as drivers see it.
    pub(crate) fn pointer(&self) -> PIRP {
        self.0.block.pointer()
    }

    /// How many stack locations it has.
    pub(crate) fn stack_count(&self) -> usize {
        self.0.stack_count
    }

    /// The stack location with this index, 1 to [`stack_count`](Self::stack_count).
    pub(crate) fn location(&self, index: usize) -> Location<'_> {
        assert!(
            (1..=self.0.stack_count).contains(&index),
            "stack location {index} of {}",
            self.0.stack_count
        );
        Location::new(self, self.location_address(index))
    }

    /// The stack location of the first driver that the IRP is sent to.
    pub(crate) fn first_location(&self) -> Location<'_> {
        self.location(self.0.stack_count)
    }

    /// Where the stack location with this index is; one past the last is where
    /// an IRP's current location points before it is sent.
    fn location_address(&self, index: usize) -> usize {
        address::of(self.pointer())
            + size_of::<IRP>()
            + (index - 1) * size_of::<IO_STACK_LOCATION>()
    }

    /// Index of the current stack location, as the drivers' inline routines left it.
    pub(crate) fn current(&self) -> usize {
        usize::try_from(self.current_field()).unwrap_or_default()
    }

    /// Makes a stack location the current one.
    pub(crate) fn set_current(&self, index: usize) {
        self.set_current_field(CHAR::try_from(index).unwrap_or(CHAR::MAX));
        self.set_current_location_field(address::to_pointer(self.location_address(index)));
    }

    /// Its list entry, and where that is.
    pub(crate) fn links(&self) -> (Links, usize) {
        // SAFETY: Fact 1: the block is alive, and only the field's address is taken.
        let entry = unsafe { &raw const (*self.pointer()).Tail.Overlay.__bindgen_anon_2.ListEntry };
        (Links::of(self.list_entry()), address::of(entry))
    }

    /// What ties the IRP to the cancel-safe queue that it is in.
    pub(crate) fn queue_context(&self) -> PVOID {
        self.driver_context()[3]
    }

    /// Ties the IRP to a cancel-safe queue, or to none.
    pub(crate) fn set_queue_context(&self, context: PVOID) {
        let mut all = self.driver_context();
        all[3] = context;
        self.set_driver_context(all);
    }

    /// The system buffer, if the request has one.
    pub(crate) fn buffer(&self) -> Option<&SystemBuffer> {
        self.0.buffer.as_ref()
    }

    /// Gives the IRP a locked buffer, before anybody has seen it.
    pub(crate) fn attach(&self, buffer: Option<Arc<LockedBuffer>>) {
        if let Some(buffer) = &buffer {
            self.set_mdl(buffer.pointer());
        }
        self.0.locked.with(|locked| *locked = buffer);
    }

    /// The locked buffer, if the request has one.
    pub(crate) fn locked(&self) -> Option<Arc<LockedBuffer>> {
        self.0.locked.with(|locked| locked.clone())
    }

    /// Its major function code.
    pub(crate) fn major(&self) -> u8 {
        self.0.major
    }

    /// Its minor function code.
    pub(crate) fn minor(&self) -> u8 {
        self.0.minor
    }

    /// Who waits for it.
    pub(crate) fn originator(&self) -> &Originator {
        &self.0.originator
    }

    /// When it was made, in 100 ns since the rig booted.
    pub(crate) fn sent(&self) -> u64 {
        self.0.sent
    }

    /// What has happened to it.
    pub(crate) fn progress<R>(&self, routine: impl FnOnce(&mut Progress) -> R) -> R {
        self.0.progress.with(routine)
    }

    /// What it met when it was sent.
    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// How it ended, if it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.progress(|progress| progress.outcome())
    }

    /// Whether a driver made it, who alone may cancel it then. The executive makes those
    /// that there are.
    pub(crate) fn is_made_by_driver(&self) -> bool {
        match self.originator() {
            Originator::Waiter | Originator::Power(_) | Originator::Channel { .. } => false,
        }
    }

    /// It is being cancelled, now.
    pub(crate) fn note_cancelled(&self) {
        let now = system_time_100ns().max(1);
        let _first =
            self.0
                .cancelled_at
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// When it was cancelled, if it was.
    pub(crate) fn cancelled_at(&self) -> Option<u64> {
        Some(self.0.cancelled_at.load(Ordering::Relaxed)).filter(|since| *since != 0)
    }

    /// Its cancel routine is being called.
    pub(crate) fn note_cancel_routine(&self) {
        self.0
            .is_cancel_routine_called
            .store(true, Ordering::Relaxed);
    }

    /// Whether its cancel routine was called.
    pub(crate) fn is_cancel_routine_called(&self) -> bool {
        self.0.is_cancel_routine_called.load(Ordering::Relaxed)
    }

    /// Checks that a driver that gives the IRP to others has marked it pending.
    pub(crate) fn assert_marked_pending(&self, routine: Routine) {
        let current = self.current();
        check!(
            Irp08,
            routine,
            (1..=self.stack_count()).contains(&current)
                && self.location(current).is_marked_pending(),
            "The IRP {self} was queued before it was marked pending: by now it may be completed."
        );
    }

    /// Gives up an IRP that was never sent.
    pub(crate) fn abandon(&self) {
        ledger::forget(self);
    }

    /// Fills a completed IRP, so that whoever still uses it is found.
    pub(crate) fn fill_completed(&self) {
        self.0.block.fill(COMPLETED_BYTE);
    }

    /// Whether a completed IRP still is as [`fill_completed`](Self::fill_completed) left it.
    pub(crate) fn is_untouched(&self) -> bool {
        self.0.block.is_filled(COMPLETED_BYTE)
    }
}

impl fmt::Display for Irp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:p} ({})",
            self.pointer(),
            Function(self.0.major, self.0.minor)
        )
    }
}

/// A major and minor function code as people say it.
pub(crate) struct Function(pub(crate) u8, pub(crate) u8);

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor) = *self;
        let name = match major {
            0 => "IRP_MJ_CREATE",
            2 => "IRP_MJ_CLOSE",
            3 => "IRP_MJ_READ",
            4 => "IRP_MJ_WRITE",
            14 => "IRP_MJ_DEVICE_CONTROL",
            15 => "IRP_MJ_INTERNAL_DEVICE_CONTROL",
            18 => "IRP_MJ_CLEANUP",
            22 => return write!(formatter, "IRP_MJ_POWER, {}", power_minor(minor)),
            23 => "IRP_MJ_SYSTEM_CONTROL",
            27 => return write!(formatter, "IRP_MJ_PNP, {}", pnp_minor(minor)),
            _ => return write!(formatter, "major function {major}"),
        };
        formatter.write_str(name)
    }
}

/// A power minor code's name.
fn power_minor(minor: u8) -> &'static str {
    match minor {
        0x00 => "WAIT_WAKE",
        0x01 => "POWER_SEQUENCE",
        0x02 => "SET_POWER",
        0x03 => "QUERY_POWER",
        _ => "another minor code",
    }
}

/// A PnP minor code's name.
fn pnp_minor(minor: u8) -> &'static str {
    match minor {
        0x00 => "START_DEVICE",
        0x01 => "QUERY_REMOVE_DEVICE",
        0x02 => "REMOVE_DEVICE",
        0x03 => "CANCEL_REMOVE_DEVICE",
        0x04 => "STOP_DEVICE",
        0x05 => "QUERY_STOP_DEVICE",
        0x06 => "CANCEL_STOP_DEVICE",
        0x17 => "SURPRISE_REMOVAL",
        _ => "another minor code",
    }
}
