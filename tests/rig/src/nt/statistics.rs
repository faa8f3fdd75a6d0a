//! What a run did, in lines of the log for the host's report: with the option
//! `statistics=on`, however the run ends.
//!
//! Nothing here takes a lock or allocates, for a run that was stopped has its other
//! processors halted in the middle of whatever they did.

use crate::machine::cpu;
use crate::machine::log::record;
use crate::nt::counters;
use crate::nt::irql::HIGH_LEVEL;
use crate::nt::routine::Routine;
use crate::nt::rule::Rule;

/// Has this run end with its statistics.
pub(crate) fn enable() {
    cpu::count_irql_times();
}

/// Writes them, if the run was to have them. The other processors are halted.
pub(crate) fn write() {
    if !cpu::counts_irql_times() {
        return;
    }
    for (name, count) in counters::named() {
        record(format_args!("@count {name} {count}"));
    }
    for rule in Rule::ALL {
        record(format_args!(
            "@rule {} {}",
            rule.id(),
            counters::checks_of(*rule)
        ));
    }
    for routine in Routine::ALL {
        if counters::is_imported(*routine) {
            record(format_args!(
                "@import {} {}",
                routine.name(),
                counters::calls_of(*routine)
            ));
        }
    }
    for processor in 0..cpu::processor_count() {
        let idle = cpu::idle_time_100ns(processor);
        record(format_args!("@irql-time {processor} idle {idle}"));
        for irql in 0..=HIGH_LEVEL {
            let time = cpu::time_at_irql_100ns(processor, irql);
            if time > 0 {
                record(format_args!("@irql-time {processor} {irql} {time}"));
            }
        }
    }
}
