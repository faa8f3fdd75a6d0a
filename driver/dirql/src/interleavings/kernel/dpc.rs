//! DPCs: queued at most once, taken out before the routine is called, run on any processor.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    vec::Vec,
};

use loom::sync::{Condvar, Mutex, MutexGuard};

use super::{current, level};
use crate::{
    interleavings::{
        mistake::{self, Mistake},
        tracked::Tracked,
    },
    sys::{BOOLEAN, KDPC, NTSTATUS, PROCESSOR_NUMBER, PVOID},
    thunks::DpcRoutine,
};

/// What a KDPC stands for.
#[derive(Clone, Copy)]
struct Routine {
    call: DpcRoutine,
    context: PVOID,
    is_threaded: bool,
}

/// What `state` protects.
pub(super) struct State {
    queue: VecDeque<Queued>,
    /// By ticket.
    running: Vec<Running>,
    next_ticket: usize,
    /// Nothing is queued any more: who runs DPCs may go home.
    is_over: bool,
    pub(super) timers: BTreeMap<usize, super::timer::Pending>,
}

impl State {
    /// A timer expires; what is flushed now waits for its DPC. By the ticket it ends.
    pub(super) fn begin_expiring(&mut self) -> usize {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        self.running.push(Running {
            dpc: 0,
            ticket,
            is_threaded: false,
            processor: level::processor(),
        });
        ticket
    }
}

#[derive(Clone, Copy)]
struct Queued {
    dpc: usize,
    ticket: usize,
    is_threaded: bool,
}

struct Running {
    dpc: usize,
    ticket: usize,
    is_threaded: bool,
    processor: usize,
}

/// The DPCs of a kernel. Timers are behind the same lock: they queue DPCs.
pub(in crate::interleavings) struct Dpcs {
    state: Mutex<State>,
    changed: Condvar,
    /// By address. Entered by `KeInitializeDpc`; each has its cell, whose order the checker sees.
    objects: RefCell<BTreeMap<usize, Rc<Tracked<Routine>>>>,
}

impl Dpcs {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                running: Vec::new(),
                next_ticket: 0,
                is_over: false,
                timers: BTreeMap::new(),
            }),
            changed: Condvar::new(),
            objects: RefCell::new(BTreeMap::new()),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with it")
    }

    fn initialize(&self, dpc: *mut KDPC, routine: Routine) {
        let object = Rc::clone(
            self.objects
                .borrow_mut()
                .entry(dpc.addr())
                .or_insert_with(|| Rc::new(Tracked::new(routine))),
        );
        object.change(|object| *object = routine);
    }

    /// What the object says, which the caller must be allowed to look at.
    fn routine(&self, dpc: usize) -> Routine {
        let object = self.objects.borrow().get(&dpc).map(Rc::clone);
        object
            .expect("a DPC that was initialised")
            .read(|object| *object)
    }

    /// Whoever hands it to the kernel has seen it initialised.
    pub(super) fn expect_initialised(&self, dpc: *mut KDPC) {
        let _routine = self.routine(dpc.addr());
    }

    /// Queues it, unless it is queued.
    pub(super) fn insert(&self, state: &mut State, dpc: usize, is_threaded: bool) -> bool {
        let is_queued = state.queue.iter().any(|queued| queued.dpc == dpc);
        let is_late = mistake::is_made(Mistake::LateDequeue)
            && state.running.iter().any(|running| running.dpc == dpc);
        if is_queued || is_late {
            return false;
        }
        let ticket = state.next_ticket;
        state.next_ticket = ticket.wrapping_add(1);
        state.queue.push_back(Queued {
            dpc,
            ticket,
            is_threaded,
        });
        self.changed.notify_all();
        true
    }

    /// The DPC of a timer that has expired is queued under its ticket, unless it is queued.
    pub(super) fn expired(&self, dpc: usize, ticket: usize) {
        let mut state = self.state();
        state.running.retain(|running| running.ticket != ticket);
        if !state.queue.iter().any(|queued| queued.dpc == dpc) {
            state.queue.push_back(Queued {
                dpc,
                ticket,
                is_threaded: false,
            });
        }
        self.changed.notify_all();
    }

    /// Runs DPCs on `processor` until [`Self::over`].
    pub(in crate::interleavings) fn run(&self, processor: usize) {
        level::be_on(processor);
        while let Some(queued) = self.take() {
            let dpc = self.routine(queued.dpc);
            let old = if queued.is_threaded {
                level::get()
            } else {
                level::raise(level::DISPATCH_LEVEL)
            };
            let null = core::ptr::null_mut;
            // SAFETY: (Caller) the DPC dispatcher calls what `KeInitializeDpc` was given, with the
            // object's address, fact 10.
            unsafe {
                (dpc.call)(
                    core::ptr::with_exposed_provenance_mut(queued.dpc),
                    dpc.context,
                    null(),
                    null(),
                );
            };
            if !queued.is_threaded {
                level::lower(old);
            }
            let mut state = self.state();
            state
                .running
                .retain(|running| running.ticket != queued.ticket);
            self.changed.notify_all();
        }
    }

    /// The next DPC, which runs from here on; `None` when all is over.
    fn take(&self) -> Option<Queued> {
        let mut state = self.state();
        loop {
            if let Some(queued) = state.queue.pop_front() {
                state.running.push(Running {
                    dpc: queued.dpc,
                    ticket: queued.ticket,
                    is_threaded: queued.is_threaded,
                    processor: level::processor(),
                });
                return Some(queued);
            }
            if state.is_over {
                return None;
            }
            state = self.changed.wait(state).expect("nothing panics with it");
        }
    }

    /// Lets those that run DPCs go home when the queue is empty.
    pub(in crate::interleavings) fn over(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }

    /// Returns when no threaded DPC runs on `processor`: a thread does not preempt one.
    pub(super) fn pass_by(&self, processor: usize) {
        let mut state = self.state();
        let runs = |it: &Running| it.is_threaded && it.processor == processor;
        while state.running.iter().any(runs) {
            state = self.changed.wait(state).expect("nothing panics with it");
        }
    }

    /// The driver is unloaded: none of its routines may have an instruction to run.
    pub(in crate::interleavings) fn unload(&self) {
        assert!(
            self.state().running.is_empty(),
            "unloaded while a DPC had not returned"
        );
    }

    /// Returns when all that are queued or run now have run. Threaded ones run on threads.
    fn flush(&self) {
        let mut state = self.state();
        let end = state.next_ticket;
        loop {
            let queued = state.queue.iter();
            let mut queued = queued.filter(|queued| !queued.is_threaded && queued.ticket < end);
            let running = state.running.iter();
            let mut running =
                running.filter(|running| !running.is_threaded && running.ticket < end);
            if queued.next().is_none() && running.next().is_none() {
                return;
            }
            state = self.changed.wait(state).expect("nothing panics with it");
        }
    }
}

impl super::Kernel {
    pub(in crate::interleavings) const fn dpcs(&self) -> &Dpcs {
        &self.dpcs
    }
}

pub(crate) unsafe fn KeInitializeDpc(dpc: *mut KDPC, routine: Option<DpcRoutine>, context: PVOID) {
    initialize(dpc, routine, context, false);
}

pub(crate) unsafe fn KeInitializeThreadedDpc(
    dpc: *mut KDPC,
    routine: Option<DpcRoutine>,
    context: PVOID,
) {
    initialize(dpc, routine, context, true);
}

fn initialize(dpc: *mut KDPC, routine: Option<DpcRoutine>, context: PVOID, is_threaded: bool) {
    dpc.expose_provenance();
    let routine = Routine {
        call: routine.expect("a routine"),
        context,
        is_threaded,
    };
    let kernel = current();
    let is_queued = kernel
        .dpcs
        .state()
        .queue
        .iter()
        .any(|queued| queued.dpc == dpc.addr());
    assert!(!is_queued, "a DPC is initialised while it is queued");
    kernel.dpcs.initialize(dpc, routine);
}

pub(crate) unsafe fn KeInsertQueueDpc(dpc: *mut KDPC, _: PVOID, _: PVOID) -> BOOLEAN {
    let kernel = current();
    let is_threaded = kernel.dpcs.routine(dpc.addr()).is_threaded;
    let mut state = kernel.dpcs.state();
    kernel
        .dpcs
        .insert(&mut state, dpc.addr(), is_threaded)
        .into()
}

pub(crate) unsafe fn KeRemoveQueueDpc(dpc: *mut KDPC) -> BOOLEAN {
    let kernel = current();
    let _routine = kernel.dpcs.routine(dpc.addr());
    let mut state = kernel.dpcs.state();
    let before = state.queue.len();
    state.queue.retain(|queued| queued.dpc != dpc.addr());
    let was_queued = state.queue.len() != before;
    kernel.dpcs.changed.notify_all();
    was_queued.into()
}

pub(crate) unsafe fn KeFlushQueuedDpcs() {
    assert_eq!(level::get(), level::PASSIVE_LEVEL);
    if !mistake::is_made(Mistake::NoFlush) {
        current().dpcs.flush();
    }
}

pub(crate) unsafe fn KeSetImportanceDpc(_: *mut KDPC, _: i32) {}

/// Any processor will do, so this one does.
pub(crate) unsafe fn KeSetTargetProcessorDpcEx(_: *mut KDPC, _: *mut PROCESSOR_NUMBER) -> NTSTATUS {
    0
}
