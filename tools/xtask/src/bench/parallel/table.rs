//! The parallel figures for a terminal.

use std::fmt;

use super::{Cell, Parallel};

impl fmt::Display for Parallel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "Parallel, {} rounds of {} requests or more: edu.sys to the driver in C, median (lowest-highest)",
            self.rounds, self.requests
        )?;
        writeln!(
            formatter,
            "{:<6}{:>11}{:>12}  {:<18}{:<18}{:<18}{:<18}{:<19}{:<19}",
            "load",
            "processors",
            "outstanding",
            "requests/s",
            "latency p50",
            "latency p99",
            "ISR to DPC p50",
            "lock wait, ours",
            "lock wait, C"
        )?;
        self.cells
            .iter()
            .try_for_each(|cell| writeln!(formatter, "{}", Row(cell)))
    }
}

/// One load's line.
struct Row<'a>(&'a Cell);

impl fmt::Display for Row<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell {
            setting,
            throughput,
            latency,
            isr_to_dpc,
            lock_wait,
            ..
        } = self.0;
        let line = format!(
            "{:<6}{:>11}{:>12}  {throughput:<18}{:<18}{:<18}{:<18}{:<19}{:<19}",
            setting.mix,
            setting.processors,
            setting.outstanding,
            latency.p50,
            latency.p99,
            isr_to_dpc.p50,
            lock_wait.ours.percent(),
            lock_wait.c.percent()
        );
        formatter.write_str(line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parallel, figures::tests::runs};

    #[test]
    fn each_load_has_a_line() {
        let table = Parallel::of(&runs()).unwrap().to_string();
        assert_eq!(table.lines().count(), 4, "{table}");
        let line = table.lines().nth(2).unwrap();
        assert!(
            line.contains("1.50 (1.00-2.00)") && line.contains("5.0 % (5.0-5.0)"),
            "{table}"
        );
    }
}
