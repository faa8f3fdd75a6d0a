//! Marks for a host that has QEMU write down each instruction of the driver's.
//!
//! QEMU notes every instruction that is executed in the range of the driver images, and only
//! there, so what the executive itself does costs nothing and is not in the way. What such a
//! log lacks is what the executive knows: which of the driver's routines was called, what the
//! driver called, what it did to the device's registers, which request this is for. So with
//! the option `measure=on` there is one more image in that range, a page of returns, and the
//! executive calls one of them: which one says what happens. Without the option a mark is a
//! load and a branch, in the executive.
//!
//! Each way of marking is named in the log (`@mark`), so that host and rig share no numbers.
//! Behind the page lies a routine whose instructions are known, executed once: a host that
//! counts them wrongly does not count.
//!
//! # Soundness
//! 1. The page of returns is mapped for ever, executable and not writable, before [`MARKS`]
//!    says where it is. A return is a routine that does nothing, whatever calls it.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::machine::log::record;
use crate::machine::memory::{PAGE, Protection, map_driver_image, protect_driver_image};
use crate::machine::stop::refuse;
use crate::nt::address;
use crate::nt::callout::Callback;
use crate::nt::routine::Routine;

/// The instruction `ret`.
const RETURN: u8 = 0xc3;
/// The instruction `nop`.
const NOTHING: u8 = 0x90;
/// How many of them the known routine begins with.
const NOTHINGS: usize = 1000;
/// How the known routine ends: a loop of two instructions, a hundred times, and a copy of
/// five bytes, which is one instruction.
const LOOP: [u8; 22] = [
    0x57, // push rdi
    0x56, // push rsi
    0xb9, 100, 0, 0, 0, // mov ecx, 100
    0xff, 0xc9, // dec ecx
    0x75, 0xfc, // jnz, back to dec
    0xb1, 5,    // mov cl, 5
    0x54, // push rsp
    0x5f, // pop rdi
    0x54, // push rsp
    0x5e, // pop rsi
    0xf3, 0xa4, // rep movsb, of the stack onto itself
    0x5e, // pop rsi
    0x5f, // pop rdi
    RETURN,
];
/// Instructions of the known routine.
const KNOWN: usize = NOTHINGS + 3 + 2 * 100 + 1 + 4 + 1 + 3;

/// Where the returns are; zero when nothing is to be marked.
static MARKS: AtomicUsize = AtomicUsize::new(0);

/// What can be marked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// A number that the host gave.
    Number(u8),
    /// A routine of the driver's is called.
    Enter(Callback),
    /// It has returned.
    Leave(Callback),
    /// The driver reads a register of its device.
    RegisterRead,
    /// The driver writes one.
    RegisterWrite,
    /// The next DPC is a timer's.
    Timer,
    /// The known routine begins, or has ended.
    Known,
    /// The driver has called an operation of a DMA adapter.
    DmaOperation,
    /// The driver has called a routine of the executive's.
    Call(Routine),
}

/// First of the codes of [`Mark::Enter`], [`Mark::Leave`], the single ones, [`Mark::Call`].
const ENTER: usize = 0x100;
const LEAVE: usize = 0x200;
const SINGLE: usize = 0x300;
const CALL: usize = 0x400;

impl Mark {
    /// Which of the returns it is.
    const fn code(self) -> usize {
        match self {
            Self::Number(number) => number as usize,
            Self::Enter(callback) => ENTER + callback as usize,
            Self::Leave(callback) => LEAVE + callback as usize,
            Self::RegisterRead => SINGLE,
            Self::RegisterWrite => SINGLE + 1,
            Self::Timer => SINGLE + 2,
            Self::Known => SINGLE + 3,
            Self::DmaOperation => SINGLE + 4,
            Self::Call(routine) => CALL + routine as usize,
        }
    }
}

const _: () = assert!(CALL + Routine::ALL.len() <= PAGE && NOTHINGS + LOOP.len() <= PAGE);

/// Marks what happens, if somebody wants to know. Any IRQL.
#[inline]
pub(crate) fn mark(mark: Mark) {
    let marks = MARKS.load(Ordering::Relaxed);
    if marks != 0 {
        execute(marks + mark.code());
    }
}

/// Calls a routine without arguments.
fn execute(address: usize) {
    let routine = address::to_pointer::<()>(address).cast_const();
    // SAFETY: Fact 1: the address is that of a return, or of the known routine, which ends
    // with one and preserves what the calling convention says.
    let routine = unsafe { core::mem::transmute::<*const (), extern "C" fn()>(routine) };
    routine();
}

/// Begins to mark; tells the host how. Once, before the driver is loaded.
pub(crate) fn begin() {
    let length = 2 * PAGE;
    let Some(page) = map_driver_image(length) else {
        refuse(format_args!("There is no memory for the marks."));
    };
    // SAFETY: The pages were just mapped, writable, and nobody else knows them.
    unsafe { page.write_bytes(RETURN, PAGE) };
    let known = page.wrapping_add(PAGE);
    // SAFETY: As above; the known routine is shorter than a page.
    unsafe { known.write_bytes(NOTHING, NOTHINGS) };
    let end = known.wrapping_add(NOTHINGS);
    // SAFETY: As above.
    unsafe { end.copy_from_nonoverlapping(LOOP.as_ptr(), LOOP.len()) };
    // SAFETY: No reference was made to the pages, and what they hold is code.
    if !unsafe { protect_driver_image(page, length, Protection::ReadExecute) } {
        refuse(format_args!("The marks cannot be made executable."));
    }
    let marks = address::of(page);
    record(format_args!(
        "@marks {marks:x} {:x} {KNOWN}",
        address::of(known)
    ));
    for callback in Callback::ALL {
        name(Mark::Enter(callback), "enter", callback.as_ref());
        name(Mark::Leave(callback), "leave", callback.as_ref());
    }
    name(Mark::RegisterRead, "register", "read");
    name(Mark::RegisterWrite, "register", "write");
    name(Mark::Timer, "timer", "expired");
    name(Mark::Known, "known", "routine");
    name(Mark::DmaOperation, "call", "DmaOperation");
    for routine in Routine::ALL {
        name(Mark::Call(*routine), "call", routine.name());
    }
    MARKS.store(marks, Ordering::Release);
    mark(Mark::Known);
    execute(address::of(known));
    mark(Mark::Known);
}

/// Tells the host what a mark means.
fn name(mark: Mark, what: &str, name: &str) {
    record(format_args!("@mark {:x} {what} {name}", mark.code()));
}
