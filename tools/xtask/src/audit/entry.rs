//! Where the kernel enters a driver, and what each entry is.
//!
//! A routine that the kernel calls has its address taken somewhere. What it is called for is
//! in its name: each thunk of `dirql` is for one purpose. What is not in the list here is an
//! error, so a new thunk is not left out without anybody's noticing.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::program::Program;

/// What the kernel, or the library, calls a routine for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Isr,
    CriticalSection,
    Dpc,
    StartIo,
    Cancel,
    Completion,
    ListOrAdapterControl,
    /// A dispatch routine, which IRPs may reach at DISPATCH_LEVEL.
    Dispatch,
    /// That for PnP IRPs, which come at PASSIVE_LEVEL.
    PassiveDispatch,
    /// A routine of a cancel-safe queue.
    Queue,
    WorkItem,
    PassiveIsr,
    PassiveSection,
    /// DriverEntry, AddDevice, unload.
    Load,
    /// Called by the driver itself through a pointer; one of a higher rank may call those
    /// of lower ones.
    Callback(u8),
}

/// Bytes of stack that a routine may take which can run at DISPATCH_LEVEL or above.
pub(super) const STACK_RAISED: u64 = 2 * 1024;
/// As above, of one that runs at PASSIVE_LEVEL only.
pub(super) const STACK_PASSIVE: u64 = 8 * 1024;

impl Kind {
    /// Whether it runs above DISPATCH_LEVEL, with the interrupt's lock held.
    pub(super) const fn is_at_dirql(self) -> bool {
        matches!(self, Self::Isr | Self::CriticalSection)
    }

    /// Whether no panic may be in its reach.
    pub(super) const fn must_not_panic(self) -> bool {
        matches!(self, Self::Isr | Self::CriticalSection | Self::Dpc)
    }

    pub(super) const fn most_stack(self) -> u64 {
        match self {
            Self::WorkItem
            | Self::PassiveIsr
            | Self::PassiveSection
            | Self::PassiveDispatch
            | Self::Load => STACK_PASSIVE,
            _ => STACK_RAISED,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Isr => "ISR",
            Self::CriticalSection => "critical section",
            Self::Dpc => "DPC",
            Self::StartIo => "StartIo",
            Self::Cancel => "cancel routine",
            Self::Completion => "completion routine",
            Self::ListOrAdapterControl => "adapter or list control",
            Self::Dispatch | Self::PassiveDispatch => "dispatch routine",
            Self::Queue => "routine of a cancel-safe queue",
            Self::WorkItem => "work item",
            Self::PassiveIsr => "passive-level ISR",
            Self::PassiveSection => "passive-level critical section",
            Self::Load => "DriverEntry, AddDevice, unload",
            Self::Callback(_) => "callback",
        }
    }

    pub(super) const fn irql(self) -> &'static str {
        match self {
            Self::Isr | Self::CriticalSection => "DIRQL",
            Self::Dpc | Self::StartIo | Self::ListOrAdapterControl => "DISPATCH_LEVEL",
            Self::WorkItem
            | Self::PassiveIsr
            | Self::PassiveSection
            | Self::PassiveDispatch
            | Self::Load => "PASSIVE_LEVEL",
            _ => "at most DISPATCH_LEVEL",
        }
    }
}

/// How the name of each kind of thunk begins, or, behind a star, what is in it.
const THUNKS: &[(&str, Kind)] = &[
    ("dirql::interrupt::service::isr_", Kind::Isr),
    ("dirql::interrupt::messages::isr_", Kind::Isr),
    ("dirql::interrupt::passive::isr", Kind::PassiveIsr),
    (
        "dirql::interrupt::synchronize::synch_crit_section",
        Kind::CriticalSection,
    ),
    (
        "dirql::interrupt::passive::synch_crit_section",
        Kind::PassiveSection,
    ),
    ("dirql::dpc::custom_dpc", Kind::Dpc),
    ("dirql::dpc::threaded::custom_threaded_dpc", Kind::Dpc),
    ("dirql::thunks::dpc_for_isr", Kind::Dpc),
    ("dirql::legacy::thunks::dpc_for_isr", Kind::Dpc),
    ("dirql::timer::custom_timer_dpc", Kind::Dpc),
    ("dirql::io_timer::io_timer", Kind::Dpc),
    ("dirql::thunks::start_io", Kind::StartIo),
    ("dirql::legacy::thunks::start_io", Kind::StartIo),
    (
        "dirql::legacy::thunks::controller_control",
        Kind::ListOrAdapterControl,
    ),
    ("dirql::start_io::cancel::cancel_", Kind::Cancel),
    (
        "dirql::dma::channel::adapter_control",
        Kind::ListOrAdapterControl,
    ),
    ("dirql::dma::list::list_control", Kind::ListOrAdapterControl),
    ("dirql::power::dispatch::powered_up", Kind::Completion),
    ("dirql::power::dispatch::system_done", Kind::Completion),
    ("dirql::power::request::requested", Kind::Completion),
    ("dirql::power::dispatch::at_passive", Kind::WorkItem),
    ("dirql::power::dispatch::dispatch", Kind::Dispatch),
    ("dirql::work_item::work_item", Kind::WorkItem),
    ("dirql::irp_queue::callbacks::", Kind::Queue),
    ("dirql::thunks::add_device", Kind::Load),
    ("dirql::thunks::unload", Kind::Load),
    ("dirql::legacy::load::unload", Kind::Load),
    ("dirql::thunks::", Kind::Dispatch),
    ("dirql::legacy::thunks::", Kind::Dispatch),
    ("dirql::pnp::dispatch", Kind::PassiveDispatch),
    // What `completing`, the searches of a queue, and the objects of a device call through a
    // pointer.
    ("dirql::completing::routine", Kind::Callback(0)),
    ("*dirql::irp_queue::", Kind::Callback(0)),
    ("*closure$", Kind::Callback(0)),
    ("*::take_back", Kind::Callback(0)),
    ("*dirql::irp_holders::", Kind::Callback(1)),
    ("*dirql::interrupt::", Kind::Callback(1)),
    ("dirql::timer::Timer<", Kind::Callback(1)),
    ("dirql::dpc::", Kind::Callback(1)),
    ("dirql::work_item::", Kind::Callback(1)),
    ("dirql::dma::", Kind::Callback(1)),
    ("*dirql::object_table::", Kind::Callback(2)),
    ("dirql::device::Device<", Kind::Callback(2)),
];

/// The entries of a program, by address.
///
/// # Errors
/// If the address of a routine is taken and nobody knows what for.
pub(super) fn all(program: &Program<'_>) -> anyhow::Result<BTreeMap<u64, Kind>> {
    let mut entries = BTreeMap::from([(program.image.entry(), Kind::Load)]);
    let mut unknown = Vec::new();
    for &routine in program.taken.keys() {
        match program
            .symbols
            .names(routine)
            .iter()
            .find_map(|name| kind(name))
        {
            Some(kind) => {
                entries.insert(routine, kind);
            }
            None => unknown.push(program.name(routine)),
        }
    }
    ensure!(
        unknown.is_empty(),
        "the address of {} is taken, and nobody knows what for, so the audit cannot say at \
         which IRQL it runs: add it to THUNKS (tools/xtask/src/audit/entry.rs)",
        unknown.join(" and of ")
    );
    Ok(entries)
}

fn kind(name: &str) -> Option<Kind> {
    let found = THUNKS
        .iter()
        .find(|(pattern, _)| match pattern.strip_prefix('*') {
            Some(part) => name.contains(part),
            None => name.starts_with(pattern),
        });
    found.map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn a_thunk_is_known_by_its_name() {
        let isr = "dirql::interrupt::service::isr_line<edu::bar::Shared,tuple$<> >";
        assert_eq!(kind(isr), Some(Kind::Isr));
        assert_eq!(kind("dirql::thunks::unload"), Some(Kind::Load));
        assert_eq!(
            kind("dirql::thunks::create<edu::Edu>"),
            Some(Kind::Dispatch)
        );
        assert_eq!(kind("DpcForIsr"), None);
        assert_eq!(kind("edu::operations::arm"), None);
    }
}
