//! The verdict: every entry of a driver, measured and held to the limits.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    cross_checks,
    entry::{self, Kind, STACK_PASSIVE},
    irql,
    measure::{ACCESSORS, Access, Measure, Measurer},
    name::{self, Named},
    program::Program,
    reach::{self, Reach},
    stack::{Depth, Stacks},
    stops::{self, Stops},
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
    /// Reasons for which the library may stop the machine there.
    pub(super) stops: BTreeSet<u64>,
}

/// Any entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) named: Named,
    pub(super) stack: Depth,
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
    /// The library's deliberate stops.
    pub(super) stops: Stops,
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
        stops: stops::all(program)?,
        measurer: Measurer::new(program),
        stacks: Stacks::new(program, &entries),
        audit: Audit::default(),
    };
    judge.entries()?;
    judge.panics()?;
    judge.accessors();
    let mut audit = judge.audit;
    audit
        .failures
        .extend(cross_checks::failures(program, &entries));
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
    stops: Stops,
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
                // What else there is to say about it is said too.
                Err(error) => {
                    self.fail(format!("{}: {error:#}", named.name));
                    Depth::default()
                }
            };
            // A callback's is in the stack of whoever calls it.
            let is_callback = matches!(kind, Kind::Callback(_));
            let limits = [
                (stack.raised, kind.most_stack(), ""),
                (stack.any, STACK_PASSIVE, " at PASSIVE_LEVEL"),
            ];
            let passed = limits
                .iter()
                .find(|(stack, most, _)| stack > most && !is_callback);
            if let Some((stack, most, level)) = passed {
                self.fail(format!(
                    "{} may take {stack} bytes of stack; a {} may take {most}{level}",
                    named.name,
                    kind.name(),
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
                if let Some(paged) = cross_checks::paged(self.program, &reach.routines) {
                    self.fail(format!(
                        "{} gets to {}, which is in a section that may be paged out or is gone \
                         after loading",
                        named.name,
                        self.program.name(paged)
                    ));
                }
                self.section(routine, kind, &named, &reach, stack.any)?;
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
            stops: self.reasons(reach),
        });
        Ok(())
    }

    /// Panics and stops of the whole image.
    fn panics(&mut self) -> anyhow::Result<()> {
        let mut all = Reach::default();
        for routine in self.program.routines.values() {
            let own = reach::own(self.program, routine);
            all.panics.extend(own.panics);
        }
        self.audit.panics = self.described(&all.panics)?;
        self.audit.stops = self.stops.clone();
        Ok(())
    }

    fn reasons(&self, reach: &Reach) -> BTreeSet<u64> {
        let reasons = &self.stops.reasons;
        let stops = reach.stops.iter().filter_map(|stop| reasons.get(stop));
        stops.flatten().copied().collect()
    }

    fn described(&self, addresses: &BTreeSet<u64>) -> anyhow::Result<Vec<String>> {
        addresses
            .iter()
            .map(|&at| {
                let places = self.program.symbols.places(at)?;
                // The C runtime and assembly have no lines.
                let Some(place) = places.first() else {
                    return Ok(format!("{at:#x}"));
                };
                Ok(format!(
                    "{} ({}:{})",
                    place.function, place.file, place.line
                ))
            })
            .collect()
    }

    /// The places of register accesses are known by the file of the accessors.
    fn accessors(&mut self) {
        let accesses = self
            .audit
            .sections
            .iter()
            .any(|it| !it.registers.is_empty());
        if accesses && !self.measurer.has_met_accessor() {
            self.fail(format!(
                "no register access comes from {}, so the accessors have moved: mend ACCESSORS \
                 (tools/xtask/src/audit/measure.rs)",
                ACCESSORS.join(" or ")
            ));
        }
    }
}
