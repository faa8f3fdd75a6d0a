//! IRQL values, KfRaiseIrql and KeLowerIrql, and raising for the executive's own
//! work.

use wdk_sys::KIRQL;

use crate::machine::cpu;
use crate::nt::processor;
use crate::nt::routine::Routine;
use crate::nt::violation::check;

pub(crate) const PASSIVE_LEVEL: u8 = 0;
pub(crate) const APC_LEVEL: u8 = 1;
pub(crate) const DISPATCH_LEVEL: u8 = 2;
pub(crate) const HIGH_LEVEL: u8 = 15;

/// Runs `work` at `level`, which is at or above the present IRQL, and comes back.
pub(crate) fn raised<R>(level: u8, work: impl FnOnce() -> R) -> R {
    let old = cpu::irql();
    debug_assert!(old <= level, "raised() lowers");
    if old == level {
        return work();
    }
    cpu::set_irql(level);
    let result = work();
    cpu::set_irql(old);
    result
}

/// KfRaiseIrql, which KeRaiseIrql is.
pub(crate) extern "C" fn kf_raise_irql(new: KIRQL) -> KIRQL {
    let routine = Routine::KfRaiseIrql;
    routine.enter();
    let old = cpu::irql();
    check!(
        Irql02,
        routine,
        (old..=HIGH_LEVEL).contains(&new),
        "The IRQL is {old} and is to be raised to {new}."
    );
    processor::push_raise(processor::Raise { old, new });
    cpu::set_irql(new);
    old
}

/// KeLowerIrql.
pub(crate) extern "C" fn ke_lower_irql(new: KIRQL) {
    let routine = Routine::KeLowerIrql;
    routine.enter();
    let irql = cpu::irql();
    let last = processor::take_raise();
    check!(
        Irql02,
        routine,
        last.is_some_and(|last| last.old == new && last.new == irql),
        "The IRQL is {irql} and is to be lowered to {new}, which undoes no KeRaiseIrql."
    );
    cpu::set_irql(new);
}
