//! What may be called with an interrupt's spin lock held: looked up in the rig's table of
//! kernel routines, which says so of each from its reference page. So the rig, which sees
//! what a run calls, and the audit, which sees what the code could call, hold a driver to the
//! same.

/// At which IRQL a routine may be called, in the words of the table.
struct Rule {
    name: &'static str,
    range: &'static str,
}

/// Makes the table out of the rig's rows.
macro_rules! exports {
    ($($name:ident $range:tt $function:path;)+) => {
        const RULES: &[Rule] = &[
            $(Rule { name: stringify!($name), range: stringify!($range) },)+
        ];
    };
}

include!("../../../../tests/rig/src/nt/exports.rs");

/// Whether an ISR or a critical section may call a routine; `None` if the table does not have
/// it.
pub(super) fn is_permitted_at_dirql(name: &str) -> Option<bool> {
    RULES
        .iter()
        .find(|rule| rule.name == name)
        .map(|rule| rule.range == "any")
}

#[cfg(test)]
mod tests {
    use super::is_permitted_at_dirql;

    #[test]
    fn little_may_be_called_at_dirql() {
        for name in [
            "KeInsertQueueDpc",
            "KeQueryPerformanceCounter",
            "KeBugCheckEx",
        ] {
            assert_eq!(is_permitted_at_dirql(name), Some(true), "{name}");
        }
        for name in [
            "ExAllocatePool2",
            "IofCompleteRequest",
            "IoStartNextPacket",
            "KeSynchronizeExecution",
            "KeAcquireSpinLockRaiseToDpc",
            "KeInitializeDpc",
            "KeWaitForSingleObject",
        ] {
            assert_eq!(is_permitted_at_dirql(name), Some(false), "{name}");
        }
        assert_eq!(is_permitted_at_dirql("ExNobodyKnows"), None);
    }
}
