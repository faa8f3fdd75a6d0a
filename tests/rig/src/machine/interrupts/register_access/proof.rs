//! Proof that an instruction has the effect in the executive's hands that it has in the
//! processor's: each form that a compiler may choose for an access is done by both.

use core::arch::asm;

use super::instruction::Effect;
use super::{Operation, TrapFrame, flags, perform, registers};

/// What the processor made of an instruction on RAX and the memory that RDX points to.
struct Native {
    /// Where the instruction is, and where the next one.
    rip: u64,
    next: u64,
    /// RFLAGS before and after.
    before: u64,
    after: u64,
    /// RAX after it.
    rax: u64,
}

/// An instruction that the processor can be had to execute.
struct Form {
    text: &'static str,
    /// The flags that it leaves in a state that is documented.
    flags: u64,
    execute: fn(rax: u64, memory: &mut u64) -> Native,
}

/// Forms, each from its text, with the flags that are compared.
macro_rules! forms {
    ($flags:expr; $($text:literal)+) => {
        [$(Form {
            text: $text,
            flags: $flags,
            execute: |mut rax, memory| {
                let (rip, next, before, after): (u64, u64, u64, u64);
                // SAFETY: RDX points to eight bytes that are this function's alone, of which
                // the instruction touches some; it changes RAX and flags, and what is pushed
                // is popped.
                unsafe {
                    asm!(
                        "lea {rip}, [rip + 2f]",
                        "lea {next}, [rip + 3f]",
                        "pushfq",
                        "pop {before}",
                        concat!("2: ", $text),
                        "3:",
                        "pushfq",
                        "pop {after}",
                        rip = out(reg) rip,
                        next = out(reg) next,
                        before = out(reg) before,
                        after = out(reg) after,
                        inout("rax") rax,
                        in("rdx") core::ptr::from_mut(memory),
                    );
                }
                Native { rip, next, before, after, rax }
            },
        }),+]
    };
}

static MOVES: [Form; 22] = forms![flags::ARITHMETIC;
    "mov al, [rdx]" "mov ah, [rdx]" "mov ax, [rdx]" "mov eax, [rdx]" "mov rax, [rdx]"
    "movzx ax, byte ptr [rdx]" "movzx eax, byte ptr [rdx]" "movzx rax, byte ptr [rdx]"
    "movzx eax, word ptr [rdx]"
    "movsx eax, byte ptr [rdx]" "movsx rax, word ptr [rdx]" "movsxd rax, dword ptr [rdx]"
    "mov [rdx], al" "mov [rdx], ah" "mov [rdx], ax" "mov [rdx], eax" "mov [rdx], rax"
    "mov byte ptr [rdx], 0x85" "mov word ptr [rdx], 0x8005" "mov dword ptr [rdx], 0x80000005"
    "mov qword ptr [rdx], 5" "mov qword ptr [rdx], -5"
];

static SUMS: [Form; 17] = forms![flags::ARITHMETIC;
    "add al, [rdx]" "add ax, [rdx]" "add eax, [rdx]" "add rax, [rdx]"
    "sub ah, [rdx]" "sub ax, [rdx]" "sub eax, [rdx]" "sub rax, [rdx]"
    "cmp al, [rdx]" "cmp eax, [rdx]" "cmp rax, [rdx]"
    "cmp [rdx], ax" "cmp [rdx], eax" "cmp [rdx], rax"
    "cmp byte ptr [rdx], 0x80" "cmp dword ptr [rdx], -1" "cmp qword ptr [rdx], -1"
];

static LOGIC: [Form; 15] = forms![flags::ARITHMETIC & !flags::ADJUST;
    "and al, [rdx]" "and ax, [rdx]" "and eax, [rdx]" "and rax, [rdx]"
    "or ah, [rdx]" "or eax, [rdx]" "or rax, [rdx]"
    "xor al, [rdx]" "xor eax, [rdx]" "xor rax, [rdx]"
    "test [rdx], al" "test [rdx], eax" "test [rdx], rax"
    "test byte ptr [rdx], 0x80" "test dword ptr [rdx], 0x80000001"
];

/// Values whose sums, differences and signs differ.
const VALUES: [u64; 8] = [
    0,
    1,
    0x7f,
    0x80,
    0x7fff_ffff_8000_0000,
    0x8000_0000_7fff_ffff,
    0x1234_5678_9abc_def0,
    u64::MAX,
];

/// The first instruction of which the executive makes something else than the processor.
pub(crate) fn differing_instruction() -> Option<&'static str> {
    let mut all = MOVES.iter().chain(&SUMS).chain(&LOGIC);
    all.find(|form| {
        let pairs = VALUES
            .into_iter()
            .flat_map(|rax| VALUES.into_iter().map(move |memory| (rax, memory)));
        pairs
            .into_iter()
            .any(|(rax, memory)| !is_same(form, rax, memory))
    })
    .map(|form| form.text)
}

/// Whether both make the same of an instruction.
fn is_same(form: &Form, rax: u64, memory: u64) -> bool {
    let mut after = memory;
    let native = (form.execute)(rax, &mut after);
    let mut frame = TrapFrame {
        rax,
        rflags: native.before,
        rip: native.rip,
        ..TrapFrame::default()
    };
    let mut own = memory;
    perform(&mut frame, |effect| access(effect, &mut own));
    let is_as_flags = (frame.rflags ^ native.after) & form.flags == 0;
    own == after && frame.rax == native.rax && frame.rip == native.next && is_as_flags
}

/// Makes the access of an instruction; what was read.
fn access(effect: Effect, memory: &mut u64) -> u64 {
    let width = effect.width();
    match effect.operation() {
        Operation::Read => registers::low_bytes(*memory, width),
        Operation::Write(value) => {
            *memory = *memory ^ registers::low_bytes(*memory, width) ^ value;
            0
        }
        Operation::Other => 0,
    }
}
