//! The rig's report, for people.

use std::fmt;

use rig_protocol::Report;

/// A report that is shown as a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary<'a>(pub(crate) &'a Report);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(formatter, "The rig counted:")?;
        for (what, count) in [
            ("IRPs sent to the driver", report.irps_sent),
            ("IRPs completed", report.irps_completed),
            ("control requests", report.device_controls),
            ("calls of the ISR", report.isr_calls),
            ("interrupts that the ISR claimed", report.isr_claimed),
            (
                "critical sections (KeSynchronizeExecution)",
                report.critical_sections,
            ),
            ("waits for a held interrupt lock", report.lock_waits),
            ("DPC calls", report.dpcs),
            ("DPCs that were already queued", report.dpcs_already_queued),
            ("timer DPCs", report.timer_dpcs),
            ("reads of device registers", report.register_reads),
            ("writes of device registers", report.register_writes),
            ("checks of the kernel's rules", report.checks),
        ] {
            writeln!(formatter, "  {what:<44}{count:>10}")?;
        }
        write!(formatter, "  {:<44}{:>10}", "violations", report.violations)
    }
}
