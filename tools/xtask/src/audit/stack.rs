//! How deep the stack gets below an entry.
//!
//! Frames are those of the unwind records. A call takes eight bytes more; room for the
//! arguments of what is called is in the caller's frame. A critical section runs on the stack
//! of whoever asks the kernel for it, so it counts there, too, and so does every other routine
//! of the driver's that the kernel [calls back](super::calls_back) before it returns. What the
//! kernel itself takes is the kernel's. ISRs and DPCs that come in between have stacks of their
//! own.
//!
//! A routine that may be called at DISPATCH_LEVEL can do some of its work at PASSIVE_LEVEL alone,
//! where it has looked; so there are two figures.

use std::{collections::BTreeMap, mem};

use anyhow::{Context as _, bail, ensure};
use iced_x86::{Instruction, Register};

use super::{
    calls_back::{self, Back},
    entry::Kind,
    frame,
    program::Program,
    routine::{Call, Routine, Target},
    sites::{self, Reaches},
    values::Value,
};

/// A return address.
const RETURN: u64 = 8;
/// No driver's calls go deeper, and what a damaged image says is not to be followed for ever.
const DEEPEST: usize = 256;
/// The rank of what is no callback, above all of them.
const TOP: u8 = u8::MAX;

/// Routines that take a token of PASSIVE_LEVEL: only those of which the limits ask it.
const PASSIVE: [&str; 1] = ["dirql::power::record::PowerRecord::exclusive<"];

/// How deep the stack gets, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Depth {
    /// On the ways that are taken above PASSIVE_LEVEL.
    pub(super) raised: u64,
    /// On any way.
    pub(super) any: u64,
}

/// Measures stacks, each routine's once for each place in which it can be.
pub(super) struct Stacks<'a> {
    program: &'a Program<'a>,
    entries: &'a BTreeMap<u64, Kind>,
    known: BTreeMap<(u64, Within), u64>,
    /// The routines that are being measured, each called by the one before.
    open: Vec<u64>,
    /// Where in `open` the last one is that the kernel has called.
    base: usize,
}

/// What a routine is called from, as far as its own stack depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Within {
    /// What is called through a pointer is of a lower one.
    rank: u8,
    /// It is not at PASSIVE_LEVEL.
    is_raised: bool,
    /// Entries that the kernel calls back, as often as they are on the stack.
    entries: BTreeMap<u64, u8>,
}

impl<'a> Stacks<'a> {
    pub(super) const fn new(program: &'a Program<'a>, entries: &'a BTreeMap<u64, Kind>) -> Self {
        Self {
            program,
            entries,
            known: BTreeMap::new(),
            open: Vec::new(),
            base: 0,
        }
    }

    /// Bytes from the return address of `entry` on.
    ///
    /// # Errors
    /// If a routine calls itself, or nobody can tell what one takes.
    pub(super) fn below(&mut self, entry: u64) -> anyhow::Result<Depth> {
        Ok(Depth {
            raised: self.measured(entry, true)?,
            any: self.measured(entry, false)?,
        })
    }

    fn measured(&mut self, entry: u64, is_raised: bool) -> anyhow::Result<u64> {
        let rank = match self.entries.get(&entry) {
            Some(Kind::Callback(rank)) => *rank,
            _ => TOP,
        };
        let mut within = Within {
            rank,
            is_raised,
            ..Within::default()
        };
        if calls_back::is_called_back(&self.names(entry)) {
            within.entries.insert(entry, 1);
        }
        self.of(entry, &within)
    }

    /// Whether a routine runs at PASSIVE_LEVEL alone.
    fn is_passive(&self, routine: u64) -> bool {
        let names = self.names(routine);
        names
            .iter()
            .any(|name| PASSIVE.iter().any(|begin| name.starts_with(begin)))
    }

    fn names(&self, routine: u64) -> Vec<&str> {
        let names = self.program.symbols.names(routine);
        names.iter().map(String::as_str).collect()
    }

    fn of(&mut self, start: u64, within: &Within) -> anyhow::Result<u64> {
        let key = (start, within.clone());
        if let Some(&known) = self.known.get(&key) {
            return Ok(known);
        }
        let name = self.program.name(start);
        let called = self.open.get(self.base..).unwrap_or_default();
        ensure!(
            !called.contains(&start),
            "{name} calls itself, so nothing bounds its stack"
        );
        ensure!(
            self.open.len() < DEEPEST,
            "{name} is more than {DEEPEST} calls deep, which is too deep to follow"
        );
        let routine = self
            .program
            .routines
            .get(&start)
            .with_context(|| format!("there is no routine at {start:#x}"))?;
        self.open.push(start);
        let deepest = self.deepest(routine, within);
        self.open.pop();
        let deepest = deepest.with_context(|| format!("below {name}"))?;
        self.known.insert(key, RETURN + deepest);
        Ok(RETURN + deepest)
    }

    /// Bytes below the return address of a routine.
    fn deepest(&mut self, routine: &Routine, within: &Within) -> anyhow::Result<u64> {
        let frame = frame::of(self.program, routine)?;
        let mut deepest = frame;
        for block in routine.blocks.values() {
            let last = block.last().map_or(0, Instruction::ip);
            for call in &block.calls {
                let is_gone = call.at == last && frame::is_gone(block, frame);
                let below = if is_gone { 0 } else { frame };
                let callee = self.called(call, within)?;
                deepest = deepest.max(below.saturating_add(callee));
            }
        }
        Ok(deepest)
    }

    fn called(&mut self, call: &Call, within: &Within) -> anyhow::Result<u64> {
        match &call.target {
            Target::Routine(start) => match self.program.stub(*start) {
                Some(import) => self.kernel(import, call, within),
                None if within.is_raised && self.is_passive(*start) => Ok(0),
                None => self.of(*start, within),
            },
            Target::Import(name) => self.kernel(name, call, within),
            Target::Unknown => self.through_pointer(call, within),
        }
    }

    /// A routine of the kernel's, which may call back.
    fn kernel(&mut self, import: &str, call: &Call, within: &Within) -> anyhow::Result<u64> {
        if import == "KeSynchronizeExecution" {
            return match call.values.get(Register::RDX) {
                Some(Value::Address(section)) => {
                    Ok(RETURN.saturating_add(self.back(section, within)?))
                }
                // That is a failure of its own.
                _ => Ok(RETURN),
            };
        }
        let mut deepest = 0;
        for back in calls_back::of_import(import) {
            deepest = deepest.max(self.calls_back(back, call, within)?);
        }
        Ok(RETURN.saturating_add(deepest))
    }

    /// The deepest of the routines that the kernel may call there before it returns.
    fn calls_back(&mut self, back: &Back, call: &Call, within: &Within) -> anyhow::Result<u64> {
        let program = self.program;
        let most = back.most(|import| program.image.imports().any(|it| it == import));
        let entries: Vec<u64> = self.entries.keys().copied().collect();
        let mut deepest = 0;
        for entry in entries {
            if !back.reaches(&self.names(entry)) {
                continue;
            }
            let times = within.entries.get(&entry).copied().unwrap_or_default();
            match most {
                Some(most) if times >= most => continue,
                None if times > 0 => bail!(
                    "at {:#x} {} is called while it runs, so nothing bounds its stack",
                    call.at,
                    program.name(entry)
                ),
                _ => {}
            }
            let mut inside = within.clone();
            inside.rank = TOP;
            inside.entries.insert(entry, times.saturating_add(1));
            deepest = deepest.max(self.back(entry, &inside)?);
        }
        Ok(deepest)
    }

    /// What the kernel calls may be on the stack already, as often as the kernel does that.
    fn back(&mut self, entry: u64, within: &Within) -> anyhow::Result<u64> {
        let base = mem::replace(&mut self.base, self.open.len());
        let found = self.of(entry, within);
        self.base = base;
        found
    }

    /// The deepest of the callbacks that a call through a pointer may reach.
    fn through_pointer(&mut self, call: &Call, within: &Within) -> anyhow::Result<u64> {
        let places = self.program.symbols.places(call.at)?;
        let innermost = places.first().map_or("", |place| place.function.as_str());
        let site = sites::of(innermost).or_else(|| {
            // The compiler has forgotten where it comes from; what it loads tells, too.
            let is_completing = self
                .program
                .completing
                .is_some_and(|completing| call.pointer() == Some(Value::Loaded(completing)));
            is_completing.then_some(sites::COMPLETING)
        });
        let (named, rank) = match site.map(|site| site.reaches) {
            Some(Reaches::Kernel(back)) => {
                let back = back.iter();
                let mut deepest = 0;
                for back in back {
                    deepest = deepest.max(self.calls_back(back, call, within)?);
                }
                return Ok(RETURN.saturating_add(deepest));
            }
            Some(Reaches::Callbacks { named, below }) => (named, within.rank.min(below)),
            None => ("", within.rank),
        };
        let reached: Vec<(u64, u8)> = self
            .entries
            .iter()
            .filter_map(|(&start, &kind)| match kind {
                Kind::Callback(of) if of < rank => Some((start, of)),
                _ => None,
            })
            .filter(|&(start, _)| self.names(start).iter().any(|name| name.contains(named)))
            .collect();
        // A driver that names no such routine has a pointer that is always null.
        ensure!(
            site.is_some() || !reached.is_empty(),
            "the call at {:#x}, in {innermost}, goes through a pointer, and there is no callback \
             below it that it could reach: add it to SITES (tools/xtask/src/audit/sites.rs)",
            call.at
        );
        let mut deepest = 0;
        for (start, of) in reached {
            let mut inside = within.clone();
            inside.rank = of;
            deepest = deepest.max(self.of(start, &inside)?);
        }
        Ok(deepest)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sources, PASSIVE};

    #[test]
    fn what_is_for_passive_level_says_so() {
        for routine in PASSIVE {
            sources::expect_passive(routine);
        }
    }
}
