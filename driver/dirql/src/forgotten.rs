//! What happens when a handle is forgotten: nothing in this crate rests on a `Drop`.
//!
//! Handles that need a device are forgotten by the test driver `leaks`, in the rig; here
//! are those that a host can have.

use std::{sync::Arc, thread, time::Duration};

use crate::{
    irql::{self, Passive, UpToDispatch},
    pool::{PoolBox, PoolVec, Tag},
    run_down::RunDown,
    spin_lock::SpinLock,
    wait,
};

const TAG: Tag = Tag::new(*b"Test");

/// Forgets it, as any safe code may.
#[expect(
    clippy::mem_forget,
    reason = "what a driver's author may do is what these tests are about"
)]
fn forget<T>(handle: T) {
    core::mem::forget(handle);
}

fn passive() -> Passive {
    // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE, fact 5.
    unsafe { Passive::assume() }
}

#[test]
fn a_token_that_was_found_leaves_the_level_as_it_is() {
    // SAFETY: as above, fact 5.
    let mut irql = unsafe { UpToDispatch::assume() };
    forget(irql.try_passive());
    assert_eq!(irql::current(), irql::PASSIVE_LEVEL);
    // The token that it froze is of use again, and says nothing that is not so.
    let lock = SpinLock::new(1);
    assert_eq!(lock.with(&mut irql, |_, value| *value), 1);
    let mut again = irql.try_passive().expect("still at PASSIVE_LEVEL");
    wait::delay(again.token(), 0);
}

#[test]
fn a_block_of_pool_is_leaked_with_what_is_in_it() {
    let mut irql = passive();
    let value = Arc::new(7);
    forget(PoolBox::new(&mut irql, TAG, Arc::clone(&value)).expect("memory"));
    let mut values = PoolVec::with_capacity(&mut irql, TAG, 1).expect("memory");
    assert!(values.push_within_capacity(Arc::clone(&value)).is_ok());
    forget(values);
    // Neither dropped nor freed: the values are there for good.
    assert_eq!((*value, Arc::strong_count(&value)), (7, 3));
}

#[test]
fn a_run_down_waits_for_who_forgot_to_leave() {
    let run_down = RunDown::new();
    assert!(run_down.begin_opening());
    run_down.opened();
    forget(run_down.enter().expect("it is open"));
    assert!(run_down.begin_closing(&mut passive()));
    assert!(run_down.enter().is_none());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| run_down.wait(&mut passive()));
        thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished(), "what is inside may still be used");
        // So that the test ends.
        run_down.leave();
    });
}
