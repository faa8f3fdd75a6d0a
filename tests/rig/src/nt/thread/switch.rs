//! Leaving one thread for another: when it ends, waits, is displaced, or may run on
//! other processors only.

use core::sync::atomic::Ordering;

use x86_64::instructions::interrupts;

use super::{ThreadRef, current, database, new_idle, try_current};
use crate::machine::cpu;
use crate::nt::irql::DISPATCH_LEVEL;

/// Makes what runs on this processor its idle thread, with the threads that are ready
/// ahead of it, for good. PASSIVE_LEVEL, once on each processor.
pub(crate) fn become_idle() -> ! {
    let processor = cpu::current_processor();
    let idle = new_idle(processor);
    interrupts::without_interrupts(|| {
        cpu::set_current_thread(idle.key());
        database::locked(|database| database.add_processor(processor, idle));
    });
    loop {
        // A thread that is to run here is announced by a dispatch interrupt.
        cpu::wait_for_interrupt_unless(|| false);
    }
}

/// Runs another thread, if one is due. Interrupts are disabled, and the processor is
/// about to go on below DISPATCH_LEVEL.
pub(crate) fn preempt() {
    let Some(own) = try_current() else { return };
    if cpu::irql() >= DISPATCH_LEVEL {
        return;
    }
    let processor = cpu::current_processor();
    if let Some(next) = database::locked(|database| database.displace(processor)) {
        go_on_with(own, next);
    }
}

/// The clock's part: waits whose time is over end, and a thread whose turn is over is
/// displaced when others of its priority are ready.
pub(crate) fn clock() {
    if try_current().is_none() {
        return;
    }
    if database::has_overdue() {
        database::locked(database::Database::end_overdue);
    }
    if database::has_ready() {
        cpu::request_dispatch_interrupt(cpu::current_processor());
    }
}

/// Goes on with another thread, after `prepare` has seen to it that somebody makes this
/// one ready again; comes back when that has happened. Not if `prepare` says no.
pub(super) fn leave(prepare: impl FnOnce(&mut database::Database, ThreadRef) -> bool) -> bool {
    assert!(
        cpu::irql() < DISPATCH_LEVEL,
        "a thread is left at IRQL {}",
        cpu::irql()
    );
    interrupts::without_interrupts(|| {
        let own = current();
        let processor = cpu::current_processor();
        let next = database::locked(|database| {
            prepare(database, own).then(|| database.take_next(processor))
        });
        match next {
            Some(next) => {
                go_on_with(own, next);
                true
            }
            None => false,
        }
    })
}

/// Ends the thread that runs here.
pub(super) fn end() -> ! {
    leave(|database, own| {
        database.keep_ended(own);
        true
    });
    unreachable!("a thread that has ended was resumed");
}

/// Leaves the thread that runs here, `own`, and comes back when it is resumed.
fn go_on_with(own: ThreadRef, next: ThreadRef) {
    if core::ptr::eq(own, next) {
        return;
    }
    let irql = cpu::irql();
    cpu::set_current_thread(next.key());
    // SAFETY: Interrupts are disabled by all callers. `own` runs here, `next` was taken
    // for this processor under the database's lock, fact 2; threads are never freed.
    unsafe { own.context.switch_to(&next.context) };
    cpu::set_irql(irql);
}

/// Says on which processors the current thread may run; what it was before. On return
/// it runs on one of them, if the IRQL is below DISPATCH_LEVEL; else it will when the
/// IRQL comes down. At most DISPATCH_LEVEL.
pub(crate) fn set_affinity(mask: u64) -> u64 {
    let before = current().affinity.swap(mask, Ordering::AcqRel);
    interrupts::without_interrupts(|| {
        let processor = cpu::current_processor();
        if !current().may_run_on(processor) {
            // It comes at once, as soon as interrupts and the IRQL let it.
            cpu::request_dispatch_interrupt(processor);
        }
    });
    while cpu::irql() < DISPATCH_LEVEL && !current().may_run_on(cpu::current_processor()) {
        core::hint::spin_loop();
    }
    before
}
