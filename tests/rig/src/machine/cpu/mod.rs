//! Processors: who runs, at which IRQL, waiting, waking, stopping.

mod block;
mod context;
mod descriptors;
mod features;
mod idle;
mod irql;
mod irql_time;
mod pageable;
mod startup;
mod trampoline;

pub(crate) use block::{
    MAX_PROCESSORS, current_processor, current_thread, install_block, processor_count,
    set_current_thread,
};
pub(crate) use context::Context;
pub(crate) use descriptors::{DOUBLE_FAULT_STACK, MACHINE_CHECK_STACK, NMI_STACK};
pub(crate) use features::{enable_features, has_five_levels};
pub(crate) use idle::wait_for_interrupt_unless;
pub(crate) use irql::{irql, may_page, set_irql};
pub(crate) use irql_time::{
    count_irql_times, counts_irql_times, idle_time_100ns, time_at_irql_100ns,
};
pub(crate) use pageable::{
    is_watched as is_pageable_memory_watched, permit_late_pageable_access,
    watch_code as watch_pageable_code,
};
pub(crate) use startup::{
    continue_on, initialize_this_processor, release_others, start_others, wait_until_released,
};

pub(crate) use crate::machine::interrupts::{halt_others, request_dispatch_interrupt};
pub(crate) use crate::machine::time::{SpinLimit, stall};
