//! What a routine itself takes of the stack: what its unwind record says, if its code does just
//! that.
//!
//! The kernel believes the record and never looks at the code, so the two have to agree; here they
//! are compared. Code that moves the stack pointer by what it computes is refused.

use anyhow::{bail, ensure};
use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::{
    program::Program,
    routine::{Block, Routine},
};

/// Bytes between a routine's return address and what it calls.
///
/// # Errors
/// If its record is not what its code does.
pub(super) fn of(program: &Program<'_>, routine: &Routine) -> anyhow::Result<u64> {
    let recorded = program.recorded_frame(routine.entry);
    let mut taken = 0_u64;
    let mut calls = false;
    for (start, block) in &routine.blocks {
        for instruction in &block.instructions {
            calls |= matches!(
                instruction.flow_control(),
                FlowControl::Call | FlowControl::IndirectCall
            );
            let bytes = taken_by(instruction)?;
            ensure!(
                bytes == 0 || *start == routine.entry,
                "{:#x} takes stack behind a jump, where no unwind record tells of it",
                instruction.ip()
            );
            taken = taken.saturating_add(bytes);
        }
    }
    let Some(recorded) = recorded else {
        ensure!(
            taken == 0 && !calls,
            "it {} and has no unwind record, so nobody can tell how much stack it takes",
            if taken == 0 {
                "calls others"
            } else {
                "moves the stack pointer"
            }
        );
        return Ok(0);
    };
    ensure!(
        taken == recorded,
        "it takes {taken} bytes of stack, and its unwind record says {recorded}"
    );
    Ok(recorded)
}

/// Whether the frame is gone when the block ends with a jump to another routine.
pub(super) fn is_gone(block: &Block, frame: u64) -> bool {
    let mut behind = block.instructions.iter().rev();
    let is_jump = behind.next().is_some_and(|last| {
        matches!(
            last.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch
        )
    });
    is_jump && (frame == 0 || behind.next().is_some_and(gives_back))
}

/// Whether an instruction is one of an epilogue.
fn gives_back(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Pop => true,
        Mnemonic::Add | Mnemonic::Lea => writes_stack_pointer(instruction),
        _ => false,
    }
}

/// Bytes of stack that an instruction takes.
fn taken_by(instruction: &Instruction) -> anyhow::Result<u64> {
    if instruction.mnemonic() == Mnemonic::Push {
        return Ok(8);
    }
    if !writes_stack_pointer(instruction) {
        return Ok(0);
    }
    match (instruction.mnemonic(), instruction.op1_kind()) {
        (Mnemonic::Sub, OpKind::Immediate8to64 | OpKind::Immediate32to64) => {
            Ok(instruction.immediate(1))
        }
        // An epilogue, which the record does not need.
        (Mnemonic::Add, OpKind::Immediate8to64 | OpKind::Immediate32to64)
            if instruction.immediate(1).cast_signed() >= 0 =>
        {
            Ok(0)
        }
        (Mnemonic::Lea, _) if instruction.memory_base() == Register::RBP => Ok(0),
        _ => bail!(
            "{:#x} moves the stack pointer by what nobody can tell",
            instruction.ip()
        ),
    }
}

fn writes_stack_pointer(instruction: &Instruction) -> bool {
    let is_it = |operand: u32| {
        instruction.op_count() > operand
            && instruction.op_kind(operand) == OpKind::Register
            && instruction.op_register(operand).full_register() == Register::RSP
    };
    match instruction.mnemonic() {
        Mnemonic::Cmp | Mnemonic::Test => false,
        Mnemonic::Xchg | Mnemonic::Xadd => is_it(0) || is_it(1),
        _ => is_it(0),
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions, Instruction};

    use super::taken_by;

    fn taken(code: &[u8]) -> Option<u64> {
        let instruction: Instruction =
            Decoder::with_ip(64, code, 0x1000, DecoderOptions::NONE).decode();
        taken_by(&instruction).ok()
    }

    #[test]
    fn pushes_and_constants_are_counted() {
        // push rbx; sub rsp, 32; sub rsp, 0x1000; add rsp, 32; pop rbx; mov rax, rsp
        assert_eq!(taken(&[0x53]), Some(8));
        assert_eq!(taken(&[0x48, 0x83, 0xec, 0x20]), Some(32));
        assert_eq!(taken(&[0x48, 0x81, 0xec, 0, 0x10, 0, 0]), Some(0x1000));
        assert_eq!(taken(&[0x48, 0x83, 0xc4, 0x20]), Some(0));
        assert_eq!(taken(&[0x5b]), Some(0));
        assert_eq!(taken(&[0x48, 0x89, 0xe0]), Some(0));
    }

    #[test]
    fn what_is_computed_is_refused() {
        // sub rsp, rax; and rsp, -64; mov rsp, rax; add rsp, -128; xchg rbx, rsp
        assert_eq!(taken(&[0x48, 0x29, 0xc4]), None);
        assert_eq!(taken(&[0x48, 0x83, 0xe4, 0xc0]), None);
        assert_eq!(taken(&[0x48, 0x89, 0xc4]), None);
        assert_eq!(taken(&[0x48, 0x83, 0xc4, 0x80]), None);
        assert_eq!(taken(&[0x48, 0x87, 0xdc]), None);
    }
}
