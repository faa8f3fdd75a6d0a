//! Interrupts: connected, an ISR comes at any moment, on any processor; critical sections and it
//! hold the interrupt's lock.

use std::{boxed::Box, cell::RefCell, rc::Rc, vec::Vec};

use loom::sync::{Mutex, MutexGuard};

use super::{current, level, lock::Lock};
use crate::{
    interleavings::{
        mistake::{self, Mistake},
        tracked::Tracked,
    },
    sys::{
        BOOLEAN, IO_CONNECT_INTERRUPT_PARAMETERS, IO_DISCONNECT_INTERRUPT_PARAMETERS, KINTERRUPT,
        NTSTATUS, PVOID,
    },
};

const STATUS_NOT_FOUND: NTSTATUS = 0xC000_0225_u32.cast_signed();
const LINE_BASED: u32 = 2;

type Routine = unsafe extern "C" fn(*mut KINTERRUPT, PVOID) -> BOOLEAN;

/// A connection of a line.
struct Connection {
    object: Box<KINTERRUPT>,
    routine: Routine,
    context: PVOID,
    lock: Lock,
    /// The object may be used.
    is_there: Tracked<bool>,
}

/// The interrupts of a kernel.
pub(super) struct Interrupts {
    /// What the processors' tables say: the connection that a vector leads to.
    vector: Mutex<Option<Rc<Connection>>>,
    /// All that there were, by the number in the object.
    all: RefCell<Vec<Rc<Connection>>>,
}

impl Interrupts {
    pub(super) fn new() -> Self {
        Self {
            vector: Mutex::new(None),
            all: RefCell::new(Vec::new()),
        }
    }

    fn vector(&self) -> MutexGuard<'_, Option<Rc<Connection>>> {
        self.vector.lock().expect("nothing panics with it")
    }

    fn connect(&self, routine: Routine, context: PVOID) -> *mut KINTERRUPT {
        let reserved = self.all.borrow().len();
        let mut object = Box::new(KINTERRUPT { reserved });
        let address = &raw mut *object;
        let connection = Rc::new(Connection {
            object,
            routine,
            context,
            lock: Lock::new(),
            is_there: Tracked::new(false),
        });
        connection.is_there.change(|is_there| *is_there = true);
        self.all.borrow_mut().push(Rc::clone(&connection));
        *self.vector() = Some(connection);
        address
    }

    /// The connection of an object that may be used.
    fn of(&self, object: *mut KINTERRUPT) -> Rc<Connection> {
        // SAFETY: (Pointer) objects stay as long as the kernel, fact 10.
        let number = unsafe { (*object).reserved };
        let connection = Rc::clone(&self.all.borrow()[number]);
        assert!(
            connection.is_there.read(|is_there| *is_there),
            "an interrupt object was used after it was disconnected"
        );
        connection
    }
}

impl Connection {
    fn lock(&self) -> u8 {
        let old = level::raise(level::DIRQL);
        if !mistake::is_made(Mistake::NoInterruptLock) {
            self.lock.acquire();
        }
        old
    }

    fn unlock(&self, old: u8) {
        if !mistake::is_made(Mistake::NoInterruptLock) {
            self.lock.release();
        }
        level::lower(old);
    }
}

impl super::Kernel {
    /// The device interrupts. Its ISR waits for the lock, and is not called if it was
    /// disconnected meanwhile.
    pub(in crate::interleavings) fn interrupt(&self) {
        let Some(connection) = self.interrupts.vector().clone() else {
            return;
        };
        level::interrupting(|| {
            connection.lock.acquire();
            let now = self.interrupts.vector().clone();
            if now.is_some_and(|now| Rc::ptr_eq(&now, &connection)) {
                let object = (&raw const *connection.object).cast_mut();
                // SAFETY: (Caller) the kernel calls what was connected, with its context, fact 10.
                let _claimed = unsafe { (connection.routine)(object, connection.context) };
            }
            connection.lock.release();
        });
    }
}

/// Line-based connections only: the library goes on to that form by itself.
pub(crate) unsafe fn IoConnectInterruptEx(
    parameters: *mut IO_CONNECT_INTERRUPT_PARAMETERS,
) -> NTSTATUS {
    assert_eq!(level::get(), level::PASSIVE_LEVEL);
    // SAFETY: the caller's structure, fact 10.
    if unsafe { (*parameters).Version } != LINE_BASED {
        return STATUS_NOT_FOUND;
    }
    // SAFETY: the caller's structure, fact 10.
    let form = unsafe { (*parameters).__bindgen_anon_1 };
    // SAFETY: the version says which form it has, facts 10 and 12.
    let line = unsafe { form.LineBased };
    let routine = line.ServiceRoutine.expect("an ISR");
    let object = current().interrupts.connect(routine, line.ServiceContext);
    // SAFETY: the caller's variable, fact 10.
    unsafe { line.InterruptObject.write(object) };
    0
}

/// Returns after the ISR has, if it runs.
pub(crate) unsafe fn IoDisconnectInterruptEx(parameters: *mut IO_DISCONNECT_INTERRUPT_PARAMETERS) {
    assert_eq!(level::get(), level::PASSIVE_LEVEL);
    // SAFETY: the caller's structure, fact 10.
    let context = unsafe { (*parameters).ConnectionContext };
    // SAFETY: a line's context is its object, facts 10 and 12.
    let object = unsafe { context.Generic }.cast();
    let kernel = current();
    let connection = kernel.interrupts.of(object);
    if mistake::is_made(Mistake::NoDisconnect) {
        return;
    }
    let old = level::raise(level::DIRQL);
    connection.lock.acquire();
    *kernel.interrupts.vector() = None;
    connection.lock.release();
    level::lower(old);
    connection.is_there.change(|is_there| *is_there = false);
}

/// The driver is told of interrupts all the same: more than the documentation lets happen.
pub(crate) unsafe fn IoReportInterruptInactive(_: *mut IO_DISCONNECT_INTERRUPT_PARAMETERS) {
    assert!(level::get() <= level::DISPATCH_LEVEL);
}

pub(crate) unsafe fn IoReportInterruptActive(_: *mut IO_DISCONNECT_INTERRUPT_PARAMETERS) {
    assert!(level::get() <= level::DISPATCH_LEVEL);
}

pub(crate) unsafe fn KeSynchronizeExecution(
    object: *mut KINTERRUPT,
    routine: Option<unsafe extern "C" fn(PVOID) -> BOOLEAN>,
    context: PVOID,
) -> BOOLEAN {
    let connection = current().interrupts.of(object);
    let old = connection.lock();
    // SAFETY: (Caller) with the interrupt lock held, as documented, fact 10.
    let result = unsafe { routine.expect("a routine")(context) };
    connection.unlock(old);
    result
}

pub(crate) unsafe fn KeAcquireInterruptSpinLock(object: *mut KINTERRUPT) -> u8 {
    current().interrupts.of(object).lock()
}

pub(crate) unsafe fn KeReleaseInterruptSpinLock(object: *mut KINTERRUPT, old: u8) {
    current().interrupts.of(object).unlock(old);
}
