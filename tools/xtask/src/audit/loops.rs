//! How often a loop can run: proven from its code, or nobody knows.
//!
//! Proven is a loop that counts. On every way around it there is one comparison of a
//! register with a constant, which leaves the loop; one instruction, which runs once on
//! every way around, adds a constant to that register, and nothing else in the loop writes to
//! it; and on every way into the loop the register holds the same constant. The loop is then
//! run through with these three numbers.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{ConditionCode, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use super::{
    graph,
    routine::{Block, Routine},
    values::{is_call, is_volatile, written},
};

/// More often than this nothing is followed.
const MOST: u64 = 4096;

/// How often the head of the loop of these blocks runs at most.
pub(super) fn bound(routine: &Routine, head: u64, body: &BTreeSet<u64>) -> Option<u64> {
    let mut factory = InstructionInfoFactory::new();
    body.iter()
        .filter(|&&at| is_on_every_way(routine, head, body, at))
        .filter_map(|&at| {
            let exit = Exit::of(routine.blocks.get(&at)?, body)?;
            let step = step(routine, head, body, exit.register, &mut factory)?;
            let start = start(routine, head, body, exit.register)?;
            exit.rounds(start, step)
        })
        .min()
}

/// Whether no way leads around the loop without this block.
fn is_on_every_way(routine: &Routine, head: u64, body: &BTreeSet<u64>, at: u64) -> bool {
    if at == head {
        return true;
    }
    let without: BTreeSet<u64> = body.iter().copied().filter(|&block| block != at).collect();
    !graph::is_on_cycle(head, &without, |block| next(routine, block))
}

/// Whether a block runs once at most on each way around: it is in no loop inside this one.
fn is_once(routine: &Routine, head: u64, body: &BTreeSet<u64>, at: u64) -> bool {
    let inner: BTreeSet<u64> = body
        .iter()
        .copied()
        .filter(|&block| block != head)
        .collect();
    at == head || !graph::is_on_cycle(at, &inner, |block| next(routine, block))
}

fn next(routine: &Routine, block: u64) -> &[u64] {
    routine
        .blocks
        .get(&block)
        .map_or(&[], |block| block.next.as_slice())
}

/// The comparison that leaves a loop.
#[derive(Clone, Copy, Debug)]
struct Exit {
    register: Register,
    /// Of the comparison, in bytes.
    width: usize,
    limit: u64,
    /// The condition under which the loop is left.
    leaves_if: ConditionCode,
}

impl Exit {
    /// That at the end of a block.
    fn of(block: &Block, body: &BTreeSet<u64>) -> Option<Self> {
        let (jump, before) = block.instructions.split_last()?;
        let comparison = before.last()?;
        let condition = jump.condition_code();
        if condition == ConditionCode::None || block.next.len() != 2 {
            return None;
        }
        let leaves_if = match (
            body.contains(&jump.near_branch_target()),
            body.contains(&jump.next_ip()),
        ) {
            (false, true) => condition,
            (true, false) => negated(*jump),
            _ => return None,
        };
        if comparison.op0_kind() != OpKind::Register
            || is_high_byte(comparison.op0_register())
            || comparison.op1_kind() == OpKind::Register && is_high_byte(comparison.op1_register())
        {
            return None;
        }
        let register = comparison.op0_register();
        let limit = match comparison.mnemonic() {
            Mnemonic::Cmp if is_immediate(comparison.op1_kind()) => comparison.immediate(1),
            Mnemonic::Cmp if comparison.op1_kind() == OpKind::Register => {
                block.before_comparison(comparison.op1_register())?
            }
            // Their flags say how the result compares with zero, as far as these two ask.
            Mnemonic::Dec | Mnemonic::Sub | Mnemonic::Inc | Mnemonic::Add
                if matches!(leaves_if, ConditionCode::e | ConditionCode::ne) =>
            {
                0
            }
            Mnemonic::Test
                if comparison.op1_kind() == OpKind::Register
                    && comparison.op1_register() == register =>
            {
                0
            }
            _ => return None,
        };
        Some(Self {
            register,
            width: register.size(),
            limit,
            leaves_if,
        })
    }

    /// How often the head runs, when the register begins with `start` and `step` is taken on
    /// each way around. Whether the step or the comparison comes first is not looked at: the
    /// longer of both counts.
    fn rounds(&self, start: u64, step: Step) -> Option<u64> {
        let leaves_at =
            |first: u64| (0..MOST).find(|round| self.leaves(step.from(start, first + *round)));
        let (before, behind) = (leaves_at(0)?, leaves_at(1)?);
        Some(before.max(behind) + 1)
    }

    /// Whether the loop is left with this in the register.
    fn leaves(&self, value: u64) -> bool {
        let bits = 64 - 8 * u32::try_from(self.width.min(8)).unwrap_or(8);
        let (value, limit) = (value << bits, self.limit << bits);
        let (signed, signed_limit) = (value.cast_signed(), limit.cast_signed());
        match self.leaves_if {
            ConditionCode::e => value == limit,
            ConditionCode::ne => value != limit,
            ConditionCode::b => value < limit,
            ConditionCode::ae => value >= limit,
            ConditionCode::be => value <= limit,
            ConditionCode::a => value > limit,
            ConditionCode::l => signed < signed_limit,
            ConditionCode::ge => signed >= signed_limit,
            ConditionCode::le => signed <= signed_limit,
            ConditionCode::g => signed > signed_limit,
            _ => false,
        }
    }
}

/// What happens to a counter on each way around the loop.
#[derive(Clone, Copy, Debug)]
struct Step {
    add: u64,
    /// Of the register that is written, in bytes: writing four of them clears the others.
    width: usize,
}

impl Step {
    /// What a register that began with `start` holds after so many steps.
    const fn from(self, start: u64, steps: u64) -> u64 {
        let value = start.wrapping_add(self.add.wrapping_mul(steps));
        if self.width == 4 && steps > 0 {
            value & 0xffff_ffff
        } else {
            value
        }
    }
}

/// Whether a register is the second byte of another, whose first one is not the same.
const fn is_high_byte(register: Register) -> bool {
    matches!(
        register,
        Register::AH | Register::BH | Register::CH | Register::DH
    )
}

fn negated(mut jump: Instruction) -> ConditionCode {
    jump.negate_condition_code();
    jump.condition_code()
}

const fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate32to64
            | OpKind::Immediate64
    )
}

/// What is added to `register` on each way around the loop.
fn step(
    routine: &Routine,
    head: u64,
    body: &BTreeSet<u64>,
    register: Register,
    factory: &mut InstructionInfoFactory,
) -> Option<Step> {
    let register = register.full_register();
    let mut writers = BTreeMap::new();
    for at in body {
        for instruction in &routine.blocks.get(at)?.instructions {
            let clobbers = is_call(instruction) && is_volatile(register);
            if clobbers || written(instruction, factory).contains(&register) {
                writers.insert(instruction.ip(), (*at, *instruction));
            }
        }
    }
    let (Some((_, (at, writer))), 1) = (writers.first_key_value(), writers.len()) else {
        return None;
    };
    if !is_on_every_way(routine, head, body, *at) || !is_once(routine, head, body, *at) {
        return None;
    }
    if writer.op0_kind() != OpKind::Register || writer.op0_register().size() < 4 {
        return None;
    }
    let add = match writer.mnemonic() {
        Mnemonic::Inc => 1,
        Mnemonic::Dec => u64::MAX,
        Mnemonic::Add if is_immediate(writer.op1_kind()) => writer.immediate(1),
        Mnemonic::Sub if is_immediate(writer.op1_kind()) => writer.immediate(1).wrapping_neg(),
        _ => return None,
    };
    Some(Step {
        add,
        width: writer.op0_register().size(),
    })
}

/// What `register` holds on every way into the loop.
fn start(routine: &Routine, head: u64, body: &BTreeSet<u64>, register: Register) -> Option<u64> {
    let mut starts = routine
        .blocks
        .iter()
        .filter(|(at, block)| !body.contains(at) && block.next.contains(&head))
        .map(|(_, block)| block.after.constant(register));
    let first = starts.next()??;
    starts.all(|other| other == Some(first)).then_some(first)
}

impl Block {
    /// The constant that a register holds wherever the block runs, if nothing in it writes to
    /// the register.
    fn before_comparison(&self, register: Register) -> Option<u64> {
        let before = self.before.constant(register)?;
        (self.after.constant(register) == Some(before)).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::{ConditionCode, Register};

    use super::{Exit, Step};

    const fn exit(width: usize, limit: u64, leaves_if: ConditionCode) -> Exit {
        Exit {
            register: Register::RCX,
            width,
            limit,
            leaves_if,
        }
    }

    #[test]
    fn a_counter_gets_to_its_limit() {
        let up = Step { add: 1, width: 4 };
        assert_eq!(exit(4, 8, ConditionCode::e).rounds(0, up), Some(9));
        let down = Step {
            add: u64::MAX,
            width: 8,
        };
        assert_eq!(exit(8, 0, ConditionCode::e).rounds(8, down), Some(9));
        assert_eq!(
            exit(8, u64::MAX, ConditionCode::e).rounds(8, down),
            Some(10)
        );
    }

    #[test]
    fn half_a_register_never_gets_to_a_limit_of_the_whole() {
        let down = Step {
            add: u64::MAX,
            width: 4,
        };
        assert_eq!(exit(8, u64::MAX, ConditionCode::e).rounds(8, down), None);
        assert_eq!(exit(8, 0, ConditionCode::l).rounds(8, down), None);
    }
}
