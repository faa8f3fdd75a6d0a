//! Pool at both levels, with values that have something to drop.

use core::sync::atomic::{AtomicU64, Ordering};

use dirql::{
    irql::{Passive, at_dispatch},
    pool::{PoolBox, PoolVec},
};
use test_driver::{Outcome, check, figures};

use crate::TAG;

/// Counts how many of it there are.
struct Counted(u64);

static ALIVE: AtomicU64 = AtomicU64::new(0);

impl Counted {
    fn new(value: u64) -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Self(value)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

fn alive() -> u64 {
    ALIVE.load(Ordering::Relaxed)
}

/// A value lives in pool until it is dropped, at PASSIVE_LEVEL or at DISPATCH_LEVEL.
pub(crate) fn boxes(irql: &mut Passive) -> Outcome {
    let mut first = PoolBox::new(irql, TAG, Counted::new(1))?;
    first.0 = 2;
    let second = at_dispatch(irql, |irql| PoolBox::new(irql, TAG, Counted::new(3)))?;
    check!(first.0 == 2 && second.0 == 3 && alive() == 2);
    at_dispatch(irql, |_| drop(first));
    check!(alive() == 1);
    let inner = second.into_inner(irql);
    check!(inner.0 == 3 && alive() == 1);
    drop(inner);
    check!(alive() == 0);
    // As large as a page and more, which pool aligns to a page.
    let large = PoolBox::new(irql, TAG, [0x5a_u8; 5000])?;
    check!(large.iter().all(|byte| *byte == 0x5a));
    Ok(figures([]))
}

/// An array grows to `count` values and keeps them.
pub(crate) fn arrays(irql: &mut Passive, [count, ..]: [u64; 4]) -> Outcome {
    let mut array = PoolVec::new(TAG);
    for value in 0..count {
        if value.is_multiple_of(2) {
            array.push(irql, Counted::new(value))?;
        } else {
            at_dispatch(irql, |irql| array.push(irql, Counted::new(value)))?;
        }
    }
    check!(array.iter().map(|value| value.0).eq(0..count));
    check!(alive() == count);
    array.truncate(1);
    check!(alive() == 1.min(count));
    drop(array);
    check!(alive() == 0);
    let mut fixed = PoolVec::with_capacity(irql, TAG, 1)?;
    check!(fixed.push_within_capacity(1_u8).is_ok());
    check!(fixed.push_within_capacity(2) == Err(2));
    let copy = PoolVec::copy_of(irql, TAG, &[1_u16, 2, 3])?;
    check!(*copy == [1, 2, 3]);
    Ok(figures([count]))
}
