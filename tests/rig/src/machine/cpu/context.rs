//! Execution contexts: what a processor leaves behind when it goes on with another
//! thread's stack, and how it comes back to it.
//!
//! Who runs when is the executive's business. Here is the exchange of stacks, and
//! the word that says whether a context can be resumed: a processor that was told to
//! resume one which is still being left on another waits those few instructions.
//!
//! # Soundness
//! 1. A saved context's stack pointer leads to the frame that [`exchange`] left, or to
//!    one that [`Context::begin_at`] wrote in its form.
//! 2. `is_saved` is set when nothing runs on the context's stack any more, and cleared
//!    by the one processor that goes on with it.

use core::arch::naked_asm;
use core::hint;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Words that [`exchange`] leaves below the return address: XMM6 to XMM15, the two
/// control words, eight registers.
const FRAME_WORDS: usize = 21 + 8;
/// Place of RBX in the frame, in words.
const RBX: usize = 21 + 6;
/// Place of R12 in the frame, in words.
const R12: usize = 21 + 3;
/// Place of the control words in the frame, in words.
const CONTROL: usize = 20;
/// MXCSR and, above it, the x87 control word as compiled code expects them: all
/// exceptions masked, round to nearest, double precision.
const CONTROL_WORDS: u64 = 0x027f_0000_1f80;

/// Where a thread left off.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Context {
    /// `exchange` accesses it at offset 0.
    stack_pointer: AtomicUsize,
    /// Not zero when the context can be resumed. `exchange` sets it at offset 8.
    is_saved: AtomicU32,
}

impl Context {
    /// The context of whoever runs now.
    pub(crate) const fn running() -> Self {
        Self {
            stack_pointer: AtomicUsize::new(0),
            is_saved: AtomicU32::new(0),
        }
    }

    /// A context that begins with `entry(argument)`, interrupts disabled, on the stack
    /// that ends at `top`. A stack that is shown ends with a return address of zero.
    ///
    /// # Safety
    /// `top` is aligned to 16 and ends a stack of a page or more that nothing uses.
    pub(crate) unsafe fn begin_at(
        top: *mut u8,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
    ) -> Self {
        let mut frame = [0_u64; FRAME_WORDS + 1];
        frame[CONTROL] = CONTROL_WORDS;
        frame[RBX] = argument as u64;
        frame[R12] = (entry as *const ()).expose_provenance() as u64;
        frame[FRAME_WORDS] = (start as *const ()).expose_provenance() as u64;
        // Two words more, so that the frame begins at an address that is aligned to 16.
        let place = top.expose_provenance() - size_of_val(&frame) - 16;
        let at = core::ptr::with_exposed_provenance_mut::<[u64; FRAME_WORDS + 1]>(place);
        // SAFETY: Inside the stack, which is nobody's by the contract, and aligned.
        unsafe { at.write(frame) };
        Self {
            stack_pointer: AtomicUsize::new(place),
            is_saved: AtomicU32::new(1),
        }
    }

    /// Waits until nothing runs on the context's stack. For a thread that has ended.
    pub(crate) fn wait_until_left(&self) {
        while self.is_saved.load(Ordering::Acquire) == 0 {
            hint::spin_loop();
        }
    }

    /// Leaves `self`, which is running, and goes on with `next`; comes back when
    /// somebody goes on with `self`, perhaps on another processor.
    ///
    /// # Safety
    /// Interrupts are disabled. `self` is the context of what runs here, and nobody else
    /// goes on with `next`. Both are alive for as long as their threads can be resumed.
    pub(crate) unsafe fn switch_to(&self, next: &Self) {
        next.wait_until_left();
        next.is_saved.store(0, Ordering::Relaxed);
        // SAFETY: Fact 1 for `next`, which is saved and now this processor's by fact 2.
        unsafe { exchange(self, next) };
    }
}

/// Keeps what the Microsoft x64 calling convention lets a function rely on across a
/// call, exchanges the stacks, and says that the old one is left.
///
/// # Safety
/// See [`Context::switch_to`].
#[unsafe(naked)]
unsafe extern "C" fn exchange(old: &Context, new: &Context) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push rdi",
        "push rsi",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 168",
        "movaps [rsp], xmm6",
        "movaps [rsp + 16], xmm7",
        "movaps [rsp + 32], xmm8",
        "movaps [rsp + 48], xmm9",
        "movaps [rsp + 64], xmm10",
        "movaps [rsp + 80], xmm11",
        "movaps [rsp + 96], xmm12",
        "movaps [rsp + 112], xmm13",
        "movaps [rsp + 128], xmm14",
        "movaps [rsp + 144], xmm15",
        "stmxcsr [rsp + 160]",
        "fnstcw [rsp + 164]",
        "mov [rcx], rsp",
        "mov rsp, [rdx]",
        // From here on another processor may go on with the old context.
        "mov dword ptr [rcx + 8], 1",
        "fldcw [rsp + 164]",
        "ldmxcsr [rsp + 160]",
        "movaps xmm15, [rsp + 144]",
        "movaps xmm14, [rsp + 128]",
        "movaps xmm13, [rsp + 112]",
        "movaps xmm12, [rsp + 96]",
        "movaps xmm11, [rsp + 80]",
        "movaps xmm10, [rsp + 64]",
        "movaps xmm9, [rsp + 48]",
        "movaps xmm8, [rsp + 32]",
        "movaps xmm7, [rsp + 16]",
        "movaps xmm6, [rsp]",
        "add rsp, 168",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rsi",
        "pop rdi",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Where a new context begins: calls R12 with RBX.
#[unsafe(naked)]
unsafe extern "C" fn start() {
    naked_asm!(
        "xor ebp, ebp",
        "and rsp, -16",
        "sub rsp, 40",
        "mov qword ptr [rsp], 0",
        "mov rcx, rbx",
        "jmp r12",
    )
}
