//! The end of a run: close, remove, unload, look at what is left, power off.

use alloc::string::ToString;

use rig_protocol::Reply;

use crate::machine::stop::finish;
use crate::nt::dispatcher::wait_until;
use crate::nt::irp::ledger;
use crate::nt::violation::check;
use crate::nt::work::PnpWork;
use crate::nt::{
    budget, cancel, counters, etw, io_manager, legacy, load, node, pnp, pool, registry, server,
    throughput, work,
};

/// Ends the run. PASSIVE_LEVEL, as the PnP manager's last action.
pub(crate) fn run(number: u32) -> ! {
    // A process that ends has its requests cancelled and its handles closed.
    for irp in io_manager::outstanding() {
        let _called = cancel::cancel(&irp);
    }
    finish_requests();
    throughput::end();
    for handle in io_manager::open_handles() {
        let _reply = io_manager::close(handle);
    }
    while let Some(work) = work::take_pnp() {
        if let PnpWork::CloseFile(file) = work {
            io_manager::send_close(&file);
        }
    }
    legacy::forget_devices();
    for node in node::all() {
        pnp::remove_for_shutdown(&node);
    }
    load::unload();
    assert_nothing_left();
    budget::describe();
    etw::session::describe();
    server::reply(number, Reply::Report(counters::report()));
    finish()
}

/// Answers requests until none is outstanding.
fn finish_requests() {
    while !io_manager::outstanding().is_empty() {
        match work::take_end() {
            Some(irp) => io_manager::finish(&irp),
            None => {
                // A bounded wait: another processor may answer the last one.
                let _ready = wait_until("the end of the last requests", None, || {
                    work::has_ends() || io_manager::outstanding().is_empty()
                });
            }
        }
    }
}

/// Checks what the driver left behind in the executive's books.
pub(crate) fn assert_nothing_left() {
    ledger::assert_ended_untouched();
    let left = ledger::first_live();
    let kept = left
        .as_ref()
        .filter(|irp| irp.progress(|progress| progress.is_kept()));
    check!(
        Irp12,
        "unload",
        kept.is_none(),
        "The IRP {} was kept by a completion routine and never completed.",
        kept.map_or_else(Default::default, ToString::to_string)
    );
    check!(
        Pnp16,
        "unload",
        left.is_none(),
        "The IRP {} was never completed.",
        left.map_or_else(Default::default, |irp| irp.to_string())
    );
    legacy::assert_nothing_left();
    registry::assert_nothing_left();
    etw::provider::assert_nothing_left();
    pool::assert_nothing_left();
}
