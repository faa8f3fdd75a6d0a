//! Which routines of a driver the kernel calls before a routine of its own returns.
//!
//! They run on the stack of whoever called the kernel, inside of what may be deep already.
//! Known from the reference pages of the routines, which say so; KeSynchronizeExecution is not
//! here, for its call names the routine.

/// What the kernel calls back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Back {
    /// The kernel's routine; empty where it is an operation of a DMA adapter.
    by: &'static str,
    /// How the names of the driver's routines begin.
    routines: &'static [&'static str],
    nested: Nested,
}

/// Whether a routine that is called back can be on the stack already.
#[derive(Clone, Copy, Debug)]
enum Nested {
    /// The kernel sees to it that it is there so often at most.
    AtMost(u8),
    /// As above, once, in a driver that has asked for that by calling this.
    OnceIfAsked(&'static str),
    /// Nobody sees to anything: that it is there already is an error.
    Unbounded,
}

/// The StartIo routine. With IoSetStartIoAttributes(DeferredStartIo) the kernel does not call
/// it before it has returned.
const START_IO: &[&str] = &["dirql::thunks::start_io", "dirql::legacy::thunks::start_io"];
const DEFERRED: Nested = Nested::OnceIfAsked("IoSetStartIoAttributes");

/// Completion routines that are set on an IRP when it is passed down. Each is for one kind of
/// IRP, of which a device has one at a time: a system power IRP and a device power IRP.
const COMPLETION: &[&str] = &[
    "dirql::power::dispatch::powered_up",
    "dirql::power::dispatch::system_done",
];
/// What a device power IRP's end is told to.
const REQUESTED: &[&str] = &["dirql::power::request::requested"];
/// A device power IRP goes to the top of the device's stack. It can come while a system power IRP
/// is being dispatched, and no third one.
const POWER: &[&str] = &["dirql::power::dispatch::dispatch"];

const LOCK: &str = "dirql::irp_queue::callbacks::acquire_lock";
const UNLOCK: &str = "dirql::irp_queue::callbacks::release_lock";
const REMOVE: &str = "dirql::irp_queue::callbacks::remove";

const fn start_io(by: &'static str) -> Back {
    Back {
        by,
        routines: START_IO,
        nested: DEFERRED,
    }
}

const fn passed_down(by: &'static str) -> Back {
    Back {
        by,
        routines: COMPLETION,
        nested: Nested::AtMost(1),
    }
}

const fn queue(by: &'static str, routines: &'static [&'static str]) -> Back {
    Back {
        by,
        routines,
        nested: Nested::Unbounded,
    }
}

/// AllocateAdapterChannel.
pub(super) const ADAPTER_CONTROL: Back = Back {
    by: "",
    routines: &["dirql::dma::channel::adapter_control"],
    nested: Nested::Unbounded,
};
/// GetScatterGatherList.
pub(super) const LIST_CONTROL: Back = Back {
    by: "",
    routines: &["dirql::dma::list::list_control"],
    nested: Nested::Unbounded,
};

const BACKS: &[Back] = &[
    start_io("IoStartPacket"),
    start_io("IoStartNextPacket"),
    start_io("IoStartNextPacketByKey"),
    passed_down("IofCallDriver"),
    passed_down("PoCallDriver"),
    Back {
        by: "PoRequestPowerIrp",
        routines: POWER,
        nested: Nested::AtMost(2),
    },
    Back {
        by: "PoRequestPowerIrp",
        routines: REQUESTED,
        nested: Nested::AtMost(1),
    },
    Back {
        by: "IofCompleteRequest",
        routines: REQUESTED,
        nested: Nested::AtMost(1),
    },
    Back {
        by: "IoAllocateController",
        routines: &["dirql::legacy::thunks::controller_control"],
        nested: Nested::Unbounded,
    },
    Back {
        by: "IoCancelIrp",
        routines: &[
            "dirql::start_io::cancel::cancel_",
            LOCK,
            REMOVE,
            UNLOCK,
            "dirql::irp_queue::callbacks::complete_cancelled",
        ],
        nested: Nested::Unbounded,
    },
    // An IRP that was cancelled before it was inserted is taken out again.
    queue("IoCsqInsertIrp", &["dirql::irp_queue::callbacks::"]),
    queue("IoCsqInsertIrpEx", &["dirql::irp_queue::callbacks::"]),
    queue("IoCsqRemoveIrp", &[LOCK, REMOVE, UNLOCK]),
    queue(
        "IoCsqRemoveNextIrp",
        &[
            LOCK,
            "dirql::irp_queue::callbacks::peek_next",
            REMOVE,
            UNLOCK,
        ],
    ),
];

impl Back {
    /// Whether it calls a routine of these names.
    pub(super) fn reaches(&self, names: &[&str]) -> bool {
        names
            .iter()
            .any(|name| self.routines.iter().any(|begin| name.starts_with(begin)))
    }

    /// How often such a routine can be on the stack; `None` if nobody bounds that.
    pub(super) fn most(&self, imports: impl Fn(&str) -> bool) -> Option<u8> {
        match self.nested {
            Nested::AtMost(most) => Some(most),
            Nested::OnceIfAsked(import) => imports(import).then_some(1),
            Nested::Unbounded => None,
        }
    }
}

/// What an import calls back.
pub(super) fn of_import(import: &str) -> impl Iterator<Item = &'static Back> {
    BACKS.iter().filter(move |back| back.by == import)
}

/// Whether something calls a routine of these names back.
pub(super) fn is_called_back(names: &[&str]) -> bool {
    [ADAPTER_CONTROL, LIST_CONTROL]
        .iter()
        .chain(BACKS)
        .any(|back| back.reaches(names))
}

#[cfg(test)]
mod tests {
    use super::{super::sources, ADAPTER_CONTROL, BACKS, LIST_CONTROL, is_called_back, of_import};

    #[test]
    fn each_row_is_of_routines_that_there_are() {
        for back in [ADAPTER_CONTROL, LIST_CONTROL].iter().chain(BACKS) {
            for routine in back.routines {
                sources::expect(routine);
            }
        }
    }

    const START_IO: &str = "dirql::thunks::start_io<edu::Edu>";

    #[test]
    fn a_deferred_routine_is_not_called_inside_itself() {
        let back = of_import("IoStartNextPacket").next().expect("a row");
        assert!(back.reaches(&["core::hint::black_box", START_IO]));
        assert!(!back.reaches(&["dirql::thunks::read<edu::Edu>"]));
        assert_eq!(
            back.most(|import| import == "IoSetStartIoAttributes"),
            Some(1)
        );
        assert_eq!(back.most(|_| false), None);
        assert_eq!(ADAPTER_CONTROL.most(|_| true), None);
    }

    #[test]
    fn most_routines_call_nothing_back() {
        assert_eq!(of_import("KeInsertQueueDpc").count(), 0);
        assert!(is_called_back(&[START_IO]));
        assert!(!is_called_back(&["dirql::dpc::custom_dpc<edu::Ended>"]));
    }
}
