//! From executed instructions and marks to what each request took.
//!
//! The marks nest as calls do: a routine of the driver's is entered, calls the kernel, which
//! may enter another one, or is interrupted by one, and leaves. An instruction belongs to the
//! innermost. It is under the lock if an ISR or a critical section is among those that it is
//! in. What a timer's DPC does is the watchdog's, and no request's: it comes as time goes by.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};

use super::{
    figures::Request,
    plan::{END, Measured},
    trace::Executed,
};

/// Where in an address range something is.
fn offset(address: u64, start: u64, length: u64) -> Option<u64> {
    let offset = address.checked_sub(start)?;
    (offset < length).then_some(offset)
}

/// Marks lie in one page, and the known routine in the next.
const PAGE: u64 = 4096;

/// What happened between two marks of the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) request: Request,
    /// Instructions by where they are in the image.
    pub(super) profile: BTreeMap<u64, u64>,
}

/// A call of one of the driver's routines that has not returned.
#[derive(Debug)]
struct Frame {
    what: Routine,
    name: String,
    /// It, or one that it is in, is a timer's DPC.
    is_timers: bool,
    /// It, or one that it is in, holds the interrupt spin lock.
    is_under_the_lock: bool,
    /// Critical sections that it has entered.
    locks: u64,
    /// The stack pointer at its first instruction.
    stack: Option<u64>,
}

/// Kinds of routines that make a difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Routine {
    Isr,
    CriticalSection,
    StartIo,
    Dpc,
    Other,
}

impl Routine {
    fn of(name: &str) -> Self {
        match name {
            "InterruptService" => Self::Isr,
            "SynchCritSection" => Self::CriticalSection,
            "StartIo" => Self::StartIo,
            "DeferredRoutine" => Self::Dpc,
            _ => Self::Other,
        }
    }
}

/// Keeps account of a run.
#[derive(Debug)]
pub(super) struct Account<'a> {
    run: &'a Measured,
    frames: Vec<Frame>,
    /// An instruction of the driver's was the last thing that happened.
    after_instruction: bool,
    /// The next DPC is a timer's.
    timer_expired: bool,
    /// Interrupt spin locks that were acquired by name and not released.
    locks_by_name: u64,
    /// The phase that goes on, and what it has come to.
    unit: Option<(u8, Unit)>,
    units: BTreeMap<u8, Vec<Unit>>,
    /// Instructions of each call of a timer's DPC, outermost ones.
    ticks: Vec<u64>,
    known: u64,
    marks_of_known: u32,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Accounts {
    /// The units of each phase, by its number.
    pub(super) units: BTreeMap<u8, Vec<Unit>>,
    /// Instructions of each call of a timer's DPC.
    pub(super) ticks: Vec<u64>,
}

impl<'a> Account<'a> {
    pub(super) const fn new(run: &'a Measured) -> Self {
        Self {
            run,
            frames: Vec::new(),
            after_instruction: false,
            timer_expired: false,
            locks_by_name: 0,
            unit: None,
            units: BTreeMap::new(),
            ticks: Vec::new(),
            known: 0,
            marks_of_known: 0,
        }
    }

    /// Takes the next thing that was executed.
    ///
    /// # Errors
    /// When it makes no sense after what came before.
    pub(super) fn take(&mut self, executed: Executed) -> anyhow::Result<()> {
        let run = self.run;
        if let Some(offset) = offset(executed.address, run.image, run.size) {
            self.instruction(offset, executed.stack);
            self.after_instruction = true;
        } else if let Some(code) = offset(executed.address, run.marks, PAGE) {
            self.mark(u16::try_from(code)?)?;
            self.after_instruction = false;
        } else if offset(executed.address, run.known, PAGE).is_some() {
            self.known += 1;
        } else {
            bail!(
                "an instruction at {:#x} was executed, which is neither the driver's nor a mark",
                executed.address
            );
        }
        Ok(())
    }

    /// All of it, at the end of the run.
    ///
    /// # Errors
    /// When something is missing.
    pub(super) fn finish(self) -> anyhow::Result<Accounts> {
        ensure!(
            self.known == self.run.known_instructions && self.marks_of_known == 2,
            "QEMU wrote down {} instructions of a routine that has {}: its log cannot be \
             counted on",
            self.known,
            self.run.known_instructions
        );
        ensure!(
            self.frames.is_empty() && self.unit.is_none(),
            "the log ends in the middle of something: {:?}",
            self.frames.last()
        );
        for phase in &self.run.phases {
            let units = self.units.get(&phase.number).map_or(0, Vec::len);
            ensure!(
                u32::try_from(units) == Ok(phase.units),
                "{} of {} units of phase {} ({}) are in the log",
                units,
                phase.units,
                phase.number,
                phase.kind
            );
        }
        Ok(Accounts {
            units: self.units,
            ticks: self.ticks,
        })
    }

    /// Where what happens now belongs; none if it is no request's.
    fn request(&mut self) -> Option<&mut Request> {
        if self.frames.last().is_some_and(|frame| frame.is_timers) {
            return None;
        }
        self.unit.as_mut().map(|(_, unit)| &mut unit.request)
    }

    fn is_under_the_lock(&self) -> bool {
        let by_routine = self
            .frames
            .last()
            .is_some_and(|frame| frame.is_under_the_lock);
        by_routine || self.locks_by_name > 0
    }

    fn instruction(&mut self, offset: u64, stack: Option<u64>) {
        let is_under_the_lock = self.is_under_the_lock();
        let mut depth = 0;
        if let Some(frame) = self.frames.last_mut() {
            // At the first instruction the return address is on the stack.
            let top = *frame.stack.get_or_insert(stack.unwrap_or_default());
            depth = (top + 8).saturating_sub(stack.unwrap_or(top));
        }
        if let Some(frame) = self.frames.last()
            && frame.is_timers
        {
            if let Some(tick) = self.ticks.last_mut() {
                *tick += 1;
            }
            return;
        }
        if let Some((_, unit)) = &mut self.unit {
            *unit.profile.entry(offset).or_default() += 1;
            unit.request.instructions += 1;
            unit.request.under_the_lock += u64::from(is_under_the_lock);
            unit.request.stack = unit.request.stack.max(depth);
        }
    }

    fn mark(&mut self, code: u16) -> anyhow::Result<()> {
        if let Ok(number) = u8::try_from(code) {
            return self.number(number);
        }
        let meaning = self
            .run
            .names
            .get(&code)
            .with_context(|| format!("the rig did not say what the mark {code:#x} means"))?;
        match (meaning.what.as_str(), meaning.name.as_str()) {
            ("enter", name) => self.enter(name),
            ("leave", name) => return self.leave(name),
            ("call", name) => self.call(name),
            ("register", "read") => {
                if let Some(request) = self.request() {
                    request.register_reads += 1;
                }
            }
            ("register", "write") => {
                if let Some(request) = self.request() {
                    request.register_writes += 1;
                }
            }
            ("timer", _) => self.timer_expired = true,
            ("known", _) => self.marks_of_known += 1,
            (what, name) => bail!("the rig has a mark that is not known here: {what} {name}"),
        }
        Ok(())
    }

    /// A unit begins or ends.
    fn number(&mut self, number: u8) -> anyhow::Result<()> {
        if number == END {
            let (phase, unit) = self.unit.take().context("a unit ends that has not begun")?;
            self.units.entry(phase).or_default().push(unit);
        } else {
            ensure!(
                self.unit.is_none(),
                "phase {number} begins while another unit goes on"
            );
            self.unit = Some((number, Unit::default()));
        }
        Ok(())
    }

    fn enter(&mut self, name: &str) {
        let what = Routine::of(name);
        let takes_the_lock = matches!(what, Routine::Isr | Routine::CriticalSection);
        let expired = what == Routine::Dpc && std::mem::take(&mut self.timer_expired);
        let (was_timers, was_under) = self.frames.last().map_or((false, false), |frame| {
            (frame.is_timers, frame.is_under_the_lock)
        });
        if expired && !was_timers {
            self.ticks.push(0);
        }
        if what == Routine::CriticalSection
            && let Some(frame) = self.frames.last_mut()
        {
            frame.locks += 1;
        }
        self.frames.push(Frame {
            what,
            name: name.to_owned(),
            // An interrupt may come at any time, and is not what it interrupts.
            is_timers: what != Routine::Isr && (was_timers || expired),
            is_under_the_lock: was_under || takes_the_lock,
            locks: 0,
            stack: None,
        });
        if takes_the_lock && let Some(request) = self.request() {
            request.lock_acquisitions += 1;
        }
    }

    fn leave(&mut self, name: &str) -> anyhow::Result<()> {
        let frame = self
            .frames
            .pop()
            .with_context(|| format!("a call of {name} returns that was not made"))?;
        ensure!(
            frame.name == name,
            "{name} returns while {} goes on",
            frame.name
        );
        if frame.is_timers {
            return Ok(());
        }
        if let Some((_, unit)) = &mut self.unit {
            let most = match frame.what {
                Routine::StartIo => &mut unit.request.locks_in_start_io,
                Routine::Dpc => &mut unit.request.locks_in_dpc,
                _ => return Ok(()),
            };
            *most = frame.locks.max(*most);
        }
        Ok(())
    }

    /// A routine of the kernel's is called: by the driver, if that was at work just before. The
    /// kernel calls its own routines, too.
    fn call(&mut self, name: &str) {
        if !self.after_instruction {
            return;
        }
        let is_under_the_lock = self.is_under_the_lock();
        match name {
            "KeAcquireInterruptSpinLock" => self.locks_by_name += 1,
            "KeReleaseInterruptSpinLock" => {
                self.locks_by_name = self.locks_by_name.saturating_sub(1);
            }
            _ => {}
        }
        let Some(request) = self.request() else {
            return;
        };
        *request.kernel_calls.entry(name.to_owned()).or_default() += 1;
        if is_under_the_lock {
            *request
                .calls_under_the_lock
                .entry(name.to_owned())
                .or_default() += 1;
        }
        if name == "KeAcquireInterruptSpinLock" {
            request.lock_acquisitions += 1;
        } else if name.contains("Acquire") && name.contains("SpinLock") {
            request.spin_locks += 1;
        } else if name.starts_with("ExAllocatePool") {
            request.allocations += 1;
        }
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
