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

    /// Whether no panic may be in its reach. A callback may be called by a DPC.
    pub(super) const fn must_not_panic(self) -> bool {
        matches!(
            self,
            Self::Isr | Self::CriticalSection | Self::Dpc | Self::Callback(_)
        )
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

/// How the name of each thunk begins that the kernel calls, and what it calls it for.
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
];

/// By what a routine is known that the library or the driver itself calls through a pointer.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// How its name begins.
    By(&'static str),
    /// Its last part is made by the compiler for a closure.
    Closure,
    /// A closure that was made a function of these arguments.
    ClosureOf(&'static str),
    /// A function of a driver's own, by its last part.
    Method(&'static str),
}

/// Callbacks, each with its rank.
const CALLBACKS: &[(Known, u8)] = &[
    (Known::By("dirql::completing::routine<"), 0),
    // What is asked of each IRP in a queue.
    (Known::Closure, 0),
    (Known::ClosureOf("dirql::irp_queue::search::Queued"), 0),
    (Known::By("dirql::irp_holders::impl$2::new::"), 1),
    // How an object of a device is taken down.
    (Known::By("dirql::timer::Timer<"), 1),
    (Known::By("dirql::dpc::Dpc<"), 1),
    (Known::By("dirql::dpc::threaded::ThreadedDpc<"), 1),
    (Known::By("dirql::work_item::WorkItem<"), 1),
    (Known::By("dirql::work_item::queue_erased<"), 1),
    (Known::By("dirql::dma::adapter::DmaAdapter::close"), 1),
    (Known::By("dirql::dma::common_buffer::CommonBuffer<"), 1),
    (Known::ClosureOf("dirql::irql::Passive"), 1),
    // These complete requests.
    (Known::Method("take_back"), 1),
    (Known::By("dirql::object_table::impl$1::new::call<"), 2),
    (Known::By("dirql::device::Device<"), 2),
];

impl Known {
    fn fits(self, name: &str) -> bool {
        // What is in brackets has paths of its own.
        let path = name.split('<').next().unwrap_or(name);
        let last = path.rsplit("::").next().unwrap_or(path);
        match self {
            Self::By(begin) => name.starts_with(begin),
            Self::Closure => last.starts_with("closure$"),
            Self::ClosureOf(argument) => {
                name.starts_with("core::ops::function::Fn")
                    && matches!(last, "call" | "call_mut" | "call_once")
                    && name.contains(argument)
            }
            Self::Method(method) => last == method && !name.starts_with("dirql::"),
        }
    }
}

/// The entries of a program, by address.
///
/// # Errors
/// If the address of a routine is taken and nobody knows what for.
pub(super) fn all(program: &Program<'_>) -> anyhow::Result<BTreeMap<u64, Kind>> {
    let mut entries = BTreeMap::from([(program.image.entry(), Kind::Load)]);
    let mut unknown = Vec::new();
    for &routine in program.taken.keys() {
        match strictest(program.symbols.names(routine))? {
            Some(kind) => {
                entries.insert(routine, kind);
            }
            None => unknown.push(program.name(routine)),
        }
    }
    ensure!(
        unknown.is_empty(),
        "the address of {} is taken, and nobody knows what for, so the audit cannot say at \
         which IRQL it runs: add it to THUNKS or \
         CALLBACKS (tools/xtask/src/audit/entry.rs)",
        unknown.join(" and of ")
    );
    Ok(entries)
}

/// What a routine of these names is held to: identical routines are folded into one, which then is
/// each of them.
///
/// # Errors
/// If it is called at DIRQL and elsewhere too, which no one figure says.
fn strictest(names: &[String]) -> anyhow::Result<Option<Kind>> {
    let kinds: Vec<Kind> = names.iter().filter_map(|name| kind(name)).collect();
    let at_dirql = kinds.iter().filter(|kind| kind.is_at_dirql()).count();
    ensure!(
        at_dirql == 0 || at_dirql == kinds.len(),
        "{} are one routine, which runs at DIRQL and elsewhere: the linker has folded them, so \
         the audit cannot tell them apart",
        names.join(" and ")
    );
    Ok(kinds.into_iter().min_by_key(|kind| {
        // A kind that the kernel calls is on the page; a callback is not.
        let is_callback = matches!(kind, Kind::Callback(_));
        (
            is_callback,
            !kind.must_not_panic(),
            kind.most_stack(),
            *kind,
        )
    }))
}

fn kind(name: &str) -> Option<Kind> {
    let thunk = THUNKS.iter().find(|(begin, _)| name.starts_with(begin));
    let callback = || CALLBACKS.iter().find(|(known, _)| known.fits(name));
    thunk
        .map(|(_, kind)| *kind)
        .or_else(|| callback().map(|(_, rank)| Kind::Callback(*rank)))
}

#[cfg(test)]
mod tests {
    use super::{super::sources, CALLBACKS, Kind, Known, THUNKS, kind, strictest};

    #[test]
    fn each_row_is_of_a_thunk_that_there_is() {
        for (thunk, _) in THUNKS {
            sources::expect(thunk);
        }
        for (known, _) in CALLBACKS {
            if let Known::By(begin) = known {
                sources::expect(begin);
            }
        }
    }

    fn of(names: &[&str]) -> Result<Option<Kind>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        strictest(&names).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_folded_is_held_to_the_strictest() {
        let (passive, raised) = ("dirql::thunks::unload", "dirql::thunks::create<edu::Edu>");
        assert_eq!(of(&[passive, raised]), Ok(Some(Kind::Dispatch)));
        assert_eq!(
            of(&["core::hint::black_box", passive]),
            Ok(Some(Kind::Load))
        );
        assert_eq!(of(&["core::hint::black_box"]), Ok(None));
        let isr = "dirql::interrupt::service::isr_line<S>";
        let said = of(&[isr, raised]).expect_err("at DIRQL and elsewhere");
        assert!(said.contains("runs at DIRQL and elsewhere"), "{said}");
    }

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

    #[test]
    fn a_new_thunk_is_no_callback() {
        let callbacks = [
            ("edu::events::answer_waiting::closure$1", 0),
            (
                "core::ops::function::FnOnce::call_once<edu::events::closure_env$1,\
                 tuple$<ref$<dirql::irp_queue::search::Queued> > >",
                0,
            ),
            ("dirql::dpc::Dpc<edu::Ended>::stop<edu::Ended>", 1),
            ("edu::operations::impl$1::take_back", 1),
        ];
        for (name, rank) in callbacks {
            assert_eq!(kind(name), Some(Kind::Callback(rank)), "{name}");
        }
        for name in [
            "dirql::interrupt::polled::isr_edge<edu::bar::Shared>",
            "dirql::interrupt::service::edge<edu::bar::Shared>",
            "dirql::dpc::high::routine<edu::Ended>",
            "dirql::timer::expired<edu::closure$0>",
            "dirql::irp_queue::callbacks_of<a>",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
    }
}
