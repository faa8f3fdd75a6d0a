//! The verdict: every entry of a driver, measured and held to the limits.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use iced_x86::Register;

use super::{
    entry::{self, Kind},
    irql,
    measure::{Access, Measure, Measurer},
    name::{self, Named},
    program::Program,
    reach::{self, Reach},
    routine::{Call, Routine, Target},
    stack::Stacks,
    values::Value,
};

/// Instructions that an ISR or a critical section may take at most.
pub(super) const LONGEST: u64 = 150;

/// Bytes that a critical section or an ISR may copy or fill at most, which are no instructions.
pub(super) const MOST_COPIED: u64 = 512;

/// An ISR or a critical section.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) kind: Kind,
    pub(super) named: Named,
    pub(super) longest: u64,
    /// Instructions there are, on any way.
    pub(super) total: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
    /// The registers, each with what is done to it.
    pub(super) registers: BTreeSet<Access>,
    pub(super) copied: u64,
    pub(super) stack: u64,
    pub(super) imports: BTreeSet<String>,
}

/// Any entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) named: Named,
    pub(super) stack: u64,
    /// Reasons for which the library may stop the machine there.
    pub(super) stops: BTreeSet<u64>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    pub(super) sections: Vec<Section>,
    pub(super) entries: Vec<Entry>,
    /// Panics in the whole image.
    pub(super) panics: Vec<String>,
    /// The library's deliberate stops: how many of each reason.
    pub(super) stops: BTreeMap<u64, usize>,
    /// What is wrong.
    pub(super) failures: Vec<String>,
}

/// Audits a program.
///
/// # Errors
/// If it cannot be audited at all.
pub(super) fn judge(program: &Program<'_>) -> anyhow::Result<Audit> {
    program.check_imports(|name| irql::is_permitted_at_dirql(name).is_some())?;
    let entries = entry::all(program)?;
    let mut judge = Judge {
        program,
        entries: &entries,
        measurer: Measurer::new(program),
        stacks: Stacks::new(program, &entries),
        audit: Audit::default(),
    };
    judge.entries()?;
    judge.handed_over();
    judge.connected();
    judge.locked();
    judge.unread();
    judge.panics()?;
    let mut audit = judge.audit;
    audit.sections.sort_by(|one, other| {
        (one.kind, &one.named.name, &one.named.place).cmp(&(
            other.kind,
            &other.named.name,
            &other.named.place,
        ))
    });
    audit
        .entries
        .sort_by(|one, other| (one.kind, &one.named.name).cmp(&(other.kind, &other.named.name)));
    Ok(audit)
}

struct Judge<'a> {
    program: &'a Program<'a>,
    entries: &'a BTreeMap<u64, Kind>,
    measurer: Measurer<'a>,
    stacks: Stacks<'a>,
    audit: Audit,
}

impl Judge<'_> {
    fn fail(&mut self, what: String) {
        self.audit.failures.push(what);
    }

    fn entries(&mut self) -> anyhow::Result<()> {
        for (&routine, &kind) in self.entries {
            let named = name::of(self.program, routine, kind)?;
            let reach = reach::from(self.program, routine);
            let stack = match self.stacks.below(routine) {
                Ok(stack) => stack,
                Err(error) => {
                    self.fail(format!("{}: {error:#}", named.name));
                    continue;
                }
            };
            if stack > kind.most_stack() && !matches!(kind, Kind::Callback(_)) {
                self.fail(format!(
                    "{} may take {stack} bytes of stack; a {} may take {}",
                    named.name,
                    kind.name(),
                    kind.most_stack()
                ));
            }
            if kind.must_not_panic() && !reach.panics.is_empty() {
                let places = self.described(&reach.panics)?;
                self.fail(format!("{} can panic: {}", named.name, places.join("; ")));
            }
            if kind.is_at_dirql() {
                for at in &reach.pointers {
                    self.fail(format!(
                        "{} calls, at {at:#x}, through a pointer, and the code does not say whom",
                        named.name
                    ));
                }
                self.section(routine, kind, &named, &reach, stack)?;
            }
            let stops = self.reasons(&reach);
            self.audit.entries.push(Entry {
                kind,
                named,
                stack,
                stops,
            });
        }
        Ok(())
    }

    /// What holds of ISRs and critical sections alone.
    fn section(
        &mut self,
        routine: u64,
        kind: Kind,
        named: &Named,
        reach: &Reach,
        stack: u64,
    ) -> anyhow::Result<()> {
        for import in &reach.imports {
            if irql::is_permitted_at_dirql(import) != Some(true) {
                self.fail(format!(
                    "{} can call {import}, which may not be called with an interrupt's spin lock \
                     held",
                    named.name
                ));
            }
        }
        let mut figures = Vec::new();
        for measure in [
            Measure::Instructions,
            Measure::RegisterReads,
            Measure::RegisterWrites,
            Measure::BytesCopied,
        ] {
            match self.measurer.longest(routine, measure) {
                Ok(figure) => figures.push(figure),
                Err(error) => {
                    self.fail(format!("{}: {error:#}", named.name));
                    return Ok(());
                }
            }
        }
        let [longest, reads, writes, copied] = figures.try_into().unwrap_or_default();
        if longest > LONGEST {
            self.fail(format!(
                "{} may take {longest} instructions, and {LONGEST} are allowed",
                named.name
            ));
        }
        if copied > MOST_COPIED {
            self.fail(format!(
                "{} may copy {copied} bytes, and {MOST_COPIED} are allowed",
                named.name
            ));
        }
        let mut total = 0;
        let mut registers = BTreeSet::new();
        for start in &reach.routines {
            let Some(code) = self.program.routines.get(start) else {
                continue;
            };
            total += u64::try_from(code.instructions().count())?;
            let accesses = self.measurer.accesses(code)?;
            registers.extend(accesses.into_iter().map(|(_, access)| access));
        }
        self.audit.sections.push(Section {
            kind,
            named: named.clone(),
            longest,
            total,
            reads,
            writes,
            registers,
            copied,
            stack,
            imports: reach.imports.clone(),
        });
        Ok(())
    }

    /// Every routine that is handed to KeSynchronizeExecution is known to be a critical
    /// section, and every critical section is handed to it somewhere.
    fn handed_over(&mut self) {
        const SYNCHRONIZES: &str = "KeSynchronizeExecution";
        let program = self.program;
        let mut handed = BTreeSet::new();
        for routine in program.routines.values() {
            for call in routine.calls() {
                if is_import_stub(routine) || imported(program, call) != Some(SYNCHRONIZES) {
                    continue;
                }
                match call.values.get(Register::RDX) {
                    Some(Value::Address(section))
                        if matches!(
                            self.entries.get(&section),
                            Some(Kind::CriticalSection | Kind::PassiveSection)
                        ) =>
                    {
                        handed.insert(section);
                    }
                    _ => self.fail(format!(
                        "{} hands KeSynchronizeExecution, at {:#x}, a routine that the audit \
                         cannot name",
                        program.name(routine.entry),
                        call.at
                    )),
                }
            }
        }
        let missing: Vec<u64> = self
            .entries
            .iter()
            .filter(|(at, kind)| {
                matches!(kind, Kind::CriticalSection | Kind::PassiveSection) && !handed.contains(at)
            })
            .map(|(at, _)| *at)
            .collect();
        for at in missing {
            self.fail(format!(
                "{} is a critical section that nothing hands to KeSynchronizeExecution: its name \
                 or the call is misread",
                program.name(at)
            ));
        }
    }

    /// Every ISR is taken by a routine that connects interrupts, and each such routine takes
    /// one.
    fn connected(&mut self) {
        const CONNECTS: [&str; 2] = ["IoConnectInterruptEx", "IoConnectInterrupt"];
        let program = self.program;
        let is_isr = |at: u64| matches!(self.entries.get(&at), Some(Kind::Isr | Kind::PassiveIsr));
        let mut wrong = Vec::new();
        for (&at, by) in program.taken.iter().filter(|(at, _)| is_isr(**at)) {
            let connects = by.iter().any(|&by| {
                let imports = reach::from(program, by).imports;
                CONNECTS.iter().any(|name| imports.contains(*name))
            });
            if !connects {
                wrong.push(format!(
                    "{} is an ISR, and no routine that takes its address connects an interrupt",
                    program.name(at)
                ));
            }
        }
        let imports = |name: &str| program.image.imports().any(|import| import == name);
        let none = !self.entries.keys().any(|&at| is_isr(at));
        if none && CONNECTS.iter().any(|name| imports(name)) && !program.taken.is_empty() {
            let connects = program.routines.values().any(|routine| {
                !is_import_stub(routine)
                    && routine.calls().any(|call| {
                        matches!(&call.target, Target::Import(name) if CONNECTS.contains(&name.as_str()))
                    })
            });
            if connects {
                wrong.push("the driver connects an interrupt, and no ISR was found".to_owned());
            }
        }
        self.audit.failures.extend(wrong);
    }

    /// An interrupt's lock that is taken in the middle of a routine makes a critical section that
    /// has no routine of its own, and so is not measured.
    fn locked(&mut self) {
        const ACQUIRES: &str = "KeAcquireInterruptSpinLock";
        let program = self.program;
        for routine in program.routines.values() {
            for call in routine.calls() {
                if !is_import_stub(routine) && imported(program, call) == Some(ACQUIRES) {
                    self.fail(format!(
                        "{} takes an interrupt's lock at {:#x}: what it does with it is no \
                         SynchCritSection routine, and the audit does not measure it",
                        program.name(routine.entry),
                        call.at
                    ));
                }
            }
        }
    }

    /// Code that no way leads to.
    fn unread(&mut self) {
        let program = self.program;
        for (routine, at) in program.unread() {
            self.fail(format!(
                "the audit does not get to the code at {at:#x} of {}",
                program.name(routine)
            ));
        }
    }

    /// Panics and stops of the whole image.
    fn panics(&mut self) -> anyhow::Result<()> {
        let mut all = Reach::default();
        for routine in self.program.routines.values() {
            let own = reach::own(self.program, routine);
            all.panics.extend(own.panics);
        }
        self.audit.panics = self.described(&all.panics)?;
        for reasons in reach::reasons(self.program).values() {
            for &reason in reasons {
                *self.audit.stops.entry(reason).or_default() += 1;
            }
            if reasons.is_empty() {
                self.fail("a call of dirql's `stop` has no reason that the code shows".to_owned());
            }
        }
        Ok(())
    }

    fn reasons(&self, reach: &Reach) -> BTreeSet<u64> {
        let all = reach::reasons(self.program);
        reach
            .stops
            .iter()
            .filter_map(|stop| all.get(stop))
            .flatten()
            .copied()
            .collect()
    }

    fn described(&self, addresses: &BTreeSet<u64>) -> anyhow::Result<Vec<String>> {
        addresses
            .iter()
            .map(|&at| {
                let places = self.program.symbols.places(at)?;
                let place = places.first().context("no source")?;
                Ok(format!(
                    "{} ({}:{})",
                    place.function, place.file, place.line
                ))
            })
            .collect()
    }
}

/// The import that a call reaches, by itself or by the stub that jumps there.
fn imported<'a>(program: &'a Program<'_>, call: &'a Call) -> Option<&'a str> {
    match &call.target {
        Target::Import(name) => Some(name),
        Target::Routine(start) => {
            let stub = program
                .routines
                .get(start)
                .filter(|it| is_import_stub(it))?;
            match &stub.calls().next()?.target {
                Target::Import(name) => Some(name),
                _ => None,
            }
        }
        Target::Unknown => None,
    }
}

/// Whether a routine does nothing but jump to an import.
fn is_import_stub(routine: &Routine) -> bool {
    routine.blocks.len() == 1 && routine.instructions().count() == 1 && routine.calls().count() == 1
}
