//! Levels, pairs and checks of both kinds, on the host's one processor.

use super::{LockRank, QueuedSpinLock, SpinLock};
use crate::irql::{self, DISPATCH_LEVEL, PASSIVE_LEVEL, Passive, Threaded, at_dispatch};

fn passive() -> Passive {
    // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE, fact 5.
    unsafe { Passive::assume() }
}

#[test]
fn lends_the_data_at_dispatch_level_and_comes_back_down() {
    let mut irql = passive();
    let lock = SpinLock::new(1);
    let seen = lock.with(&mut irql, |_, value| {
        *value += 1;
        (*value, irql::current())
    });
    assert_eq!(seen, (2, DISPATCH_LEVEL));
    assert_eq!(irql::current(), PASSIVE_LEVEL);
}

#[test]
fn a_queued_lock_does_the_same() {
    let mut irql = passive();
    let lock = QueuedSpinLock::new(1);
    let seen = lock.with(&mut irql, |irql, value| {
        *value += 1;
        let inner = QueuedSpinLock::new(5).with(irql, |_, inner| *inner);
        (*value + inner, irql::current())
    });
    assert_eq!(seen, (7, DISPATCH_LEVEL));
    assert_eq!(irql::current(), PASSIVE_LEVEL);
}

#[test]
fn a_threaded_dpc_takes_both_kinds_at_either_level() {
    let (plain, queued) = (SpinLock::new(1), QueuedSpinLock::new(2));
    let both = || {
        // SAFETY: PASSIVE_LEVEL and DISPATCH_LEVEL are the levels of threaded DPCs, fact 5.
        let mut irql = unsafe { Threaded::assume() };
        let plain = plain.with(&mut irql, |_, value| (*value, irql::current()));
        let queued = queued.with(&mut irql, |_, value| (*value, irql::current()));
        (plain, queued)
    };
    let seen = ((1, DISPATCH_LEVEL), (2, DISPATCH_LEVEL));
    assert_eq!(both(), seen);
    assert_eq!(irql::current(), PASSIVE_LEVEL);
    assert_eq!(at_dispatch(&mut passive(), |_| both()), seen);
    assert_eq!(irql::current(), PASSIVE_LEVEL);
}

#[test]
fn a_lock_inside_another_is_fine() {
    let mut irql = passive();
    let (outer, inner) = (SpinLock::new(1), SpinLock::new(2));
    let sum = outer.with(&mut irql, |irql, a| inner.with(irql, |_, b| *a + *b));
    assert_eq!(sum, 3);
}

#[test]
fn locks_in_their_order_are_fine_and_again_when_released() {
    let mut irql = passive();
    let first = SpinLock::ranked(LockRank(1), 1);
    let second = QueuedSpinLock::ranked(LockRank(2), 2);
    let unranked = SpinLock::new(3);
    let sum = first.with(&mut irql, |irql, a| {
        unranked.with(irql, |irql, c| second.with(irql, |_, b| *a + *b + *c))
    });
    assert_eq!(sum, 6);
    second.with(&mut irql, |_, _| ());
    first.with(&mut irql, |_, _| ());
}

#[cfg(debug_assertions)]
mod in_debug_builds {
    use super::{LockRank, QueuedSpinLock, SpinLock, at_dispatch, passive};

    #[test]
    #[should_panic(expected = "bug check 0x4452514c (0x1,")]
    fn the_same_lock_again_is_a_bug_check() {
        let lock = SpinLock::new(());
        lock.with(&mut passive(), |irql, ()| lock.with(irql, |_, ()| ()));
    }

    #[test]
    #[should_panic(expected = "bug check 0x4452514c (0x1,")]
    fn the_same_queued_lock_again_is_a_bug_check() {
        let lock = QueuedSpinLock::new(());
        lock.with(&mut passive(), |irql, ()| lock.with(irql, |_, ()| ()));
    }

    #[test]
    #[should_panic(expected = "bug check 0x4452514c (0x6,")]
    fn the_wrong_order_is_a_bug_check() {
        let first = SpinLock::ranked(LockRank(1), ());
        let second = QueuedSpinLock::ranked(LockRank(2), ());
        second.with(&mut passive(), |irql, ()| first.with(irql, |_, ()| ()));
    }

    #[test]
    #[should_panic(expected = "bug check 0x4452514c (0x6,")]
    fn what_lies_between_does_not_hide_the_order() {
        let first = SpinLock::ranked(LockRank(1), ());
        let second = SpinLock::ranked(LockRank(2), ());
        let between = SpinLock::new(());
        second.with(&mut passive(), |irql, ()| {
            between.with(irql, |irql, ()| {
                at_dispatch(irql, |irql| first.with(irql, |_, ()| ()));
            });
        });
    }

    #[test]
    #[should_panic(expected = "bug check 0x4452514c (0x6,")]
    fn two_of_one_rank_are_a_bug_check() {
        let (one, other) = (
            SpinLock::ranked(LockRank(3), ()),
            SpinLock::ranked(LockRank(3), ()),
        );
        one.with(&mut passive(), |irql, ()| other.with(irql, |_, ()| ()));
    }
}
