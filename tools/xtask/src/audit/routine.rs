//! One routine: its blocks, where control goes from each, and whom it calls.
//!
//! Code is followed from the entry, not scanned, so what fills gaps is not taken for
//! instructions. Calls through registers are resolved by what the registers hold
//! ([`super::values`]), and so are jump tables; new targets are followed in their turn.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
};

use anyhow::{Context as _, ensure};
use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, OpKind, Register};

use super::{
    image::Image,
    values::{Value, Values},
};

/// Whom a call reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A routine of this image.
    Routine(u64),
    Import(String),
    /// The code does not say.
    Unknown,
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Where the instruction is.
    pub(super) at: u64,
    pub(super) target: Target,
    /// The register that it goes through.
    through: Option<Register>,
    /// What the registers hold.
    pub(super) values: Values,
}

impl Call {
    /// What is in the register that the call goes through.
    pub(super) fn pointer(&self) -> Option<Value> {
        self.through.and_then(|register| self.values.get(register))
    }
}

/// How a block ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Control goes on in another block of the routine.
    Flow,
    Return,
    /// A jump to another routine, which returns to this one's caller.
    TailCall,
    /// A call that never returns.
    NeverReturns,
    /// An instruction that the processor refuses.
    Trap,
}

/// Instructions that run one after the other.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) instructions: Vec<Instruction>,
    pub(super) calls: Vec<Call>,
    /// Blocks of the routine to which control may go.
    pub(super) next: Vec<u64>,
    pub(super) end: End,
    /// What is known where it begins and where it ends.
    pub(super) before: Values,
    pub(super) after: Values,
}

impl Block {
    pub(super) fn last(&self) -> Option<&Instruction> {
        self.instructions.last()
    }
}

/// A routine.
#[derive(Clone, Debug)]
pub(super) struct Routine {
    pub(super) entry: u64,
    pub(super) blocks: BTreeMap<u64, Block>,
}

impl Routine {
    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.blocks.values().flat_map(|block| &block.calls)
    }

    pub(super) fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.blocks.values().flat_map(|block| &block.instructions)
    }
}

/// What reading a routine needs to know about the rest of the image.
pub(super) struct Surroundings<'a> {
    pub(super) image: &'a Image,
    /// Behind the routine's last instruction.
    pub(super) end: u64,
    /// Addresses of data that some code takes: where one begins, the table before ends.
    pub(super) data: &'a BTreeSet<u64>,
    /// Whether a call never returns.
    pub(super) never_returns: &'a dyn Fn(&Target) -> bool,
}

/// Reads the routine at `entry`.
///
/// # Errors
/// If control gets to something that is no code.
pub(super) fn read(entry: u64, around: &Surroundings<'_>) -> anyhow::Result<Routine> {
    let mut reader = Reader {
        entry,
        around,
        factory: InstructionInfoFactory::new(),
        tables: BTreeMap::new(),
        stops: BTreeSet::new(),
    };
    loop {
        let mut routine = reader.blocks()?;
        reader.flow(&mut routine);
        if !reader.learn(&mut routine)? {
            return Ok(routine);
        }
    }
}

struct Reader<'a> {
    entry: u64,
    around: &'a Surroundings<'a>,
    factory: InstructionInfoFactory,
    /// Where each jump through a table goes.
    tables: BTreeMap<u64, Vec<u64>>,
    /// Calls that never return.
    stops: BTreeSet<u64>,
}

impl Reader<'_> {
    fn is_inside(&self, address: u64) -> bool {
        (self.entry..self.around.end).contains(&address)
    }

    /// The blocks, as far as the jumps are known.
    fn blocks(&self) -> anyhow::Result<Routine> {
        let mut instructions = BTreeMap::new();
        let mut leaders = BTreeSet::from([self.entry]);
        let mut open = vec![self.entry];
        while let Some(mut address) = open.pop() {
            loop {
                if instructions.contains_key(&address) {
                    break;
                }
                ensure!(
                    self.is_inside(address),
                    "control runs out of the routine at {address:#x}"
                );
                let instruction = self.around.image.instruction(address)?;
                instructions.insert(address, instruction);
                let (targets, _) = self.leads_to(&instruction);
                if ends_block(&instruction) || self.stops.contains(&address) {
                    leaders.extend(&targets);
                    open.extend(targets);
                    break;
                }
                address = instruction.next_ip();
            }
        }
        let mut blocks = BTreeMap::new();
        for &leader in &leaders {
            blocks.insert(leader, self.block(leader, &leaders, &instructions)?);
        }
        Ok(Routine {
            entry: self.entry,
            blocks,
        })
    }

    fn block(
        &self,
        leader: u64,
        leaders: &BTreeSet<u64>,
        instructions: &BTreeMap<u64, Instruction>,
    ) -> anyhow::Result<Block> {
        let mut block = Block {
            instructions: Vec::new(),
            calls: Vec::new(),
            next: Vec::new(),
            end: End::Flow,
            before: Values::default(),
            after: Values::default(),
        };
        let mut address = leader;
        loop {
            let instruction = instructions
                .get(&address)
                .with_context(|| format!("two instructions overlap at {address:#x}"))?;
            block.instructions.push(*instruction);
            if ends_block(instruction) || self.stops.contains(&address) {
                (block.next, block.end) = self.leads_to(instruction);
                return Ok(block);
            }
            address = instruction.next_ip();
            if leaders.contains(&address) {
                block.next = vec![address];
                return Ok(block);
            }
        }
    }

    /// Where control goes from the last instruction of a block.
    fn leads_to(&self, instruction: &Instruction) -> (Vec<u64>, End) {
        if self.stops.contains(&instruction.ip()) {
            return (Vec::new(), End::NeverReturns);
        }
        let target = instruction.near_branch_target();
        match instruction.flow_control() {
            FlowControl::Return => (Vec::new(), End::Return),
            FlowControl::UnconditionalBranch if self.is_inside(target) => (vec![target], End::Flow),
            FlowControl::UnconditionalBranch => (Vec::new(), End::TailCall),
            FlowControl::ConditionalBranch if self.is_inside(target) => {
                (vec![target, instruction.next_ip()], End::Flow)
            }
            FlowControl::ConditionalBranch => (vec![instruction.next_ip()], End::TailCall),
            FlowControl::IndirectBranch => match self.tables.get(&instruction.ip()) {
                Some(targets) => (targets.clone(), End::Flow),
                None => (Vec::new(), End::TailCall),
            },
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                (vec![instruction.next_ip()], End::Flow)
            }
            FlowControl::Interrupt | FlowControl::Exception | FlowControl::XbeginXabortXend => {
                (Vec::new(), End::Trap)
            }
        }
    }

    /// Finds out what the registers hold everywhere.
    fn flow(&mut self, routine: &mut Routine) {
        let mut known = BTreeMap::from([(self.entry, Values::default())]);
        let mut open = VecDeque::from([self.entry]);
        while let Some(address) = open.pop_front() {
            let (Some(before), Some(block)) = (
                known.get(&address).cloned(),
                routine.blocks.get_mut(&address),
            ) else {
                continue;
            };
            block.before = before.clone();
            let mut values = before;
            block.calls.clear();
            for instruction in &block.instructions {
                if let Some(target) = self.called(instruction, &values) {
                    block.calls.push(Call {
                        at: instruction.ip(),
                        target,
                        through: (instruction.op0_kind() == OpKind::Register)
                            .then(|| instruction.op0_register()),
                        values: values.clone(),
                    });
                }
                values.step(instruction, self.around.image, &mut self.factory);
            }
            block.after = values.clone();
            for &next in &block.next {
                let is_new = if let Some(present) = known.get_mut(&next) {
                    present.meet(&values)
                } else {
                    known.insert(next, values.clone());
                    true
                };
                if is_new {
                    open.push_back(next);
                }
            }
        }
    }

    /// Whom an instruction calls, tail calls included; `None` if it calls nobody.
    fn called(&self, instruction: &Instruction, values: &Values) -> Option<Target> {
        match instruction.flow_control() {
            FlowControl::Call => Some(Target::Routine(instruction.near_branch_target())),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                let target = instruction.near_branch_target();
                (!self.is_inside(target)).then_some(Target::Routine(target))
            }
            FlowControl::IndirectBranch if self.tables.contains_key(&instruction.ip()) => None,
            FlowControl::IndirectCall | FlowControl::IndirectBranch => {
                Some(self.through_pointer(instruction, values))
            }
            _ => None,
        }
    }

    fn through_pointer(&self, instruction: &Instruction, values: &Values) -> Target {
        let value = match instruction.op0_kind() {
            OpKind::Register => values.get(instruction.op0_register()),
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                let place = instruction.ip_rel_memory_address();
                let import = self.around.image.import(place);
                import
                    .map(|_| Value::Import(place))
                    .or_else(|| self.around.image.pointer(place).map(Value::Address))
            }
            _ => None,
        };
        match value {
            Some(Value::Address(address)) if self.around.image.is_code(address) => {
                Target::Routine(address)
            }
            Some(Value::Import(slot)) => self
                .around
                .image
                .import(slot)
                .map_or(Target::Unknown, |name| Target::Import(name.to_owned())),
            _ => Target::Unknown,
        }
    }

    /// Takes in the jump tables and the calls that never return; whether there were new ones.
    fn learn(&mut self, routine: &mut Routine) -> anyhow::Result<bool> {
        let mut is_new = false;
        for block in routine.blocks.values() {
            // Behind a conditional jump there is code, whoever it jumps to.
            let conditional = block
                .last()
                .filter(|last| last.flow_control() == FlowControl::ConditionalBranch)
                .map(Instruction::ip);
            for call in &block.calls {
                if Some(call.at) != conditional && (self.around.never_returns)(&call.target) {
                    is_new |= self.stops.insert(call.at);
                }
            }
            let Some(last) = block.last() else { continue };
            if last.flow_control() != FlowControl::IndirectBranch
                || last.op0_kind() != OpKind::Register
            {
                continue;
            }
            // The jump itself changes no register.
            if let Some(Value::Target(table)) = block.after.get(last.op0_register()) {
                let targets = self.table(table);
                ensure!(
                    !targets.is_empty(),
                    "the jump table at {table:#x} leads nowhere"
                );
                is_new |= self.tables.insert(last.ip(), targets).is_none();
            }
        }
        Ok(is_new)
    }

    /// The targets in a jump table: as long as they lie in the routine, up to the next data.
    fn table(&self, table: u64) -> Vec<u64> {
        let behind = (Bound::Excluded(table), Bound::Unbounded);
        let end = self.around.data.range(behind).next().copied();
        let mut targets = Vec::new();
        for place in (table..end.unwrap_or(u64::MAX)).step_by(4) {
            let target = self
                .around
                .image
                .word(place)
                .and_then(|offset| table.checked_add_signed(offset.into()));
            match target {
                Some(target) if self.is_inside(target) => targets.push(target),
                _ => break,
            }
        }
        targets
    }
}

/// Whether a block ends with this instruction.
fn ends_block(instruction: &Instruction) -> bool {
    !matches!(
        instruction.flow_control(),
        FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall
    )
}
