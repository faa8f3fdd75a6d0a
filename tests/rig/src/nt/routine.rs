//! The kernel routines that a driver can import: names, IRQL ranges, addresses.
//!
//! One table is everything: a routine that is missing here is an import that the
//! loader refuses by name, and a routine whose row is missing cannot name itself
//! at its gate, so it does not compile.
//!
//! The ranges are those of each routine's reference page. Where a rule of its own
//! governs a routine's IRQL (completion, waits, spin locks, critical sections),
//! the row says "ruled" and the routine checks that rule, so that the stop names it; none of
//! these rules lets an ISR or a critical section call it. Of the
//! routines that may be called at any IRQL those are "any" that belong into an ISR or a
//! critical section; the others say "outside", and are refused where an interrupt's spin
//! lock is held.

use crate::machine::cpu;
use crate::nt::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use crate::nt::measure::{Mark, mark};
use crate::nt::violation::check;
use crate::nt::{
    affinity, at_call, c_runtime, cancel, cancel_storm, counters, csq, debug, device, device_queue,
    dispatcher, dma, dpc, etw, event, interface, interrupt, io_timer, irp, irql, mdl, mmio, pool,
    power, processor, property, remove_lock, rtl, spin_lock, start_io, time, timer, work_item,
};

/// Defines [`Routine`] and the look-up by name from one line for each export.
macro_rules! exports {
    ($($name:ident $range:tt $function:path;)+) => {
        /// A routine that the executive exports.
        #[expect(non_camel_case_types, reason = "the C run-time's names")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Routine {
            $(#[doc = stringify!($name)] $name,)+
        }

        impl Routine {
            /// All of them, each at its own place as a number.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name under which a driver imports it.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// Lowest and highest IRQL at which it may be called.
            const fn irql_range(self) -> (u8, u8) {
                match self { $(Self::$name => exports!(@range $range),)+ }
            }

            /// Whether it has no business where an interrupt's spin lock is held, and no
            /// rule of its own says so.
            const fn is_for_outside(self) -> bool {
                match self { $(Self::$name => exports!(@outside $range),)+ }
            }
        }

        /// The export with this name, and its address.
        fn find(name: &str) -> Option<(Routine, usize)> {
            match name {
                $(stringify!($name) => {
                    Some((Routine::$name, ($function as *const ()).expose_provenance()))
                })+
                _ => None,
            }
        }
    };
    (@range passive) => { (PASSIVE_LEVEL, PASSIVE_LEVEL) };
    (@range up_to_apc) => { (PASSIVE_LEVEL, APC_LEVEL) };
    (@range up_to_dispatch) => { (PASSIVE_LEVEL, DISPATCH_LEVEL) };
    (@range dispatch) => { (DISPATCH_LEVEL, DISPATCH_LEVEL) };
    (@range any) => { (PASSIVE_LEVEL, HIGH_LEVEL) };
    (@range ruled) => { (PASSIVE_LEVEL, HIGH_LEVEL) };
    (@range outside) => { (PASSIVE_LEVEL, HIGH_LEVEL) };
    (@outside outside) => { true };
    (@outside $range:tt) => { false };
}

include!("exports.rs");

/// Address of the export with this name, which the driver can call from now on.
pub(crate) fn resolve(name: &str) -> Option<usize> {
    let (routine, address) = find(name)?;
    counters::imported(routine);
    Some(address)
}

impl AsRef<str> for Routine {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl From<Routine> for &'static str {
    fn from(routine: Routine) -> Self {
        routine.name()
    }
}

impl Routine {
    /// The gate of every export: is the caller's IRQL one at which it may be called?
    pub(crate) fn enter(self) {
        mark(Mark::Call(self));
        counters::called(self);
        cancel_storm::strike();
        at_call::pass(self);
        let irql = cpu::irql();
        let (lowest, highest) = self.irql_range();
        check!(
            Irql01,
            self,
            (lowest..=highest).contains(&irql),
            "{self:?} was called at IRQL {irql}; it may be called at {lowest} to {highest}."
        );
        if irql > DISPATCH_LEVEL {
            check!(
                Syn05,
                self,
                !self.is_for_outside() || !processor::is_in_critical_section(),
                "{self:?} was called with an interrupt's spin lock held."
            );
        }
    }
}
