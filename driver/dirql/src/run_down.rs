//! Run-down protection of what the kernel may be given only while it is open.
//!
//! One word: the low bits say where it stands, the rest counts those inside. Entering is
//! one atomic addition, at any IRQL; whoever finds it shut leaves again. Closing waits,
//! at PASSIVE_LEVEL, until everybody has left. So a DPC cannot be queued, nor a timer
//! set, behind the back of the thread that takes it down. A thread that comes to close what
//! another one closes waits for it.
//!
//! ```text
//!   Closed --begin_opening--> Opening --opened--> Open --begin_closing--> Closing
//!     ^                          |                                           |
//!     '-------- closed ----------'<----------------- closed -----------------'
//! ```
//!
//! # Soundness
//!
//! 55. **Run-down.** One thread moves it out of `Closed` or `Open`, and is alone with what
//!     the run-down guards until it moves it on, once [`RunDown::wait`] has returned. Who is
//!     inside entered while it was open, and sees all that the opening thread wrote.

use crate::{
    irql::Passive,
    sync::atomic::{AtomicUsize, Ordering},
    wait,
};

const CLOSED: usize = 0;
const OPENING: usize = 1;
const OPEN: usize = 2;
const CLOSING: usize = 3;
const STATE: usize = 3;
/// One that is inside.
const ONE: usize = 4;

/// The run-down of one object.
#[derive(Debug)]
pub(crate) struct RunDown(AtomicUsize);

/// Whoever has this is inside; dropping it leaves. Forgetting it keeps the closing thread
/// waiting until somebody else [leaves](RunDown::leave), and corrupts nothing.
#[derive(Debug)]
pub(crate) struct Pass<'a>(&'a RunDown);

impl RunDown {
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(CLOSED))
    }

    /// Goes in, if it is open.
    pub(crate) fn enter(&self) -> Option<Pass<'_>> {
        let before = self.0.fetch_add(ONE, Ordering::Acquire);
        let pass = Pass(self);
        (before & STATE == OPEN).then_some(pass)
    }

    /// Whether it is open, which it may be no longer when the answer is looked at.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) & STATE == OPEN
    }

    /// Leaves in place of the pass that [`Pass::stay`] forgot.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(ONE, Ordering::Release);
    }

    /// False if somebody else has it open, or opens or closes it.
    pub(crate) fn begin_opening(&self) -> bool {
        self.step(CLOSED, OPENING)
    }

    /// Everything written before this is seen inside.
    pub(crate) fn opened(&self) {
        let moved = self.step(OPENING, OPEN);
        debug_assert!(moved, "only the opening thread gets here");
    }

    /// As `opened`; the opening thread is inside when the first of the others comes.
    pub(crate) fn opened_inside(&self) -> Pass<'_> {
        let inside = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                (word & STATE == OPENING).then_some((word & !STATE | OPEN).wrapping_add(ONE))
            });
        debug_assert!(inside.is_ok(), "only the opening thread gets here");
        Pass(self)
    }

    /// Nobody new comes in from here on. False if it is not open; when another thread closes it,
    /// once that thread has: whoever ends something's use finds it ended in either case.
    pub(crate) fn begin_closing(&self, irql: &mut Passive) -> bool {
        while !self.step(OPEN, CLOSING) {
            if self.0.load(Ordering::Acquire) & STATE != CLOSING {
                return false;
            }
            wait::delay(irql, 1);
        }
        true
    }

    /// It is closed, or could not be opened.
    // As `step`.
    #[inline(never)]
    pub(crate) fn closed(&self) {
        let moved = self.step(OPENING, CLOSED) || self.step(CLOSING, CLOSED);
        debug_assert!(
            moved,
            "only the thread that began to open or close gets here"
        );
    }

    /// Waits until everybody has left.
    // As `step`.
    #[inline(never)]
    pub(crate) fn wait(&self, irql: &mut Passive) {
        while self.0.load(Ordering::Acquire) & !STATE != 0 {
            wait::delay(irql, 1);
        }
    }

    // Objects come and go seldom; one copy of this is enough for the image.
    #[inline(never)]
    fn step(&self, from: usize, to: usize) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                (word & STATE == from).then_some(word & !STATE | to)
            })
            .is_ok()
    }
}

impl Pass<'_> {
    /// Stays inside; what was started inside leaves when it ends.
    pub(crate) fn stay(self) {
        let _stays = core::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::{ONE, Ordering, RunDown, STATE};
    use crate::irql::Passive;

    fn passive() -> Passive {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        unsafe { Passive::assume() }
    }

    #[test]
    fn lets_in_while_open_only() {
        let run_down = RunDown::new();
        let lets_in = || (run_down.is_open(), run_down.enter().is_some());
        assert_eq!(lets_in(), (false, false));
        assert!(run_down.begin_opening());
        assert!(!run_down.begin_opening());
        assert_eq!(lets_in(), (false, false));
        run_down.opened();
        assert_eq!(lets_in(), (true, true));
        let pass = run_down.enter().expect("open");
        assert!(run_down.is_open());
        assert!(run_down.begin_closing(&mut passive()));
        assert_eq!(lets_in(), (false, false));
        drop(pass);
        run_down.wait(&mut passive());
        run_down.closed();
        assert!(!run_down.begin_closing(&mut passive()));
        assert!(run_down.begin_opening());
    }

    #[test]
    fn waits_for_what_stays_inside() {
        let run_down = RunDown::new();
        assert!(run_down.begin_opening());
        run_down.opened();
        run_down.enter().expect("open").stay();
        assert!(run_down.begin_closing(&mut passive()));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| run_down.wait(&mut passive()));
            assert!(!waiting.is_finished());
            run_down.leave();
        });
    }

    #[test]
    fn a_failed_opening_leaves_it_closed() {
        let run_down = RunDown::new();
        assert!(run_down.begin_opening());
        run_down.closed();
        assert!(!run_down.is_open());
        assert!(!run_down.begin_closing(&mut passive()));
    }

    #[test]
    fn who_comes_to_close_it_too_waits_until_it_is_closed() {
        let run_down = RunDown::new();
        assert!(run_down.begin_opening());
        run_down.opened();
        assert!(run_down.begin_closing(&mut passive()));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| run_down.begin_closing(&mut passive()));
            std::thread::sleep(core::time::Duration::from_millis(20));
            assert!(!second.is_finished(), "it is not closed yet");
            run_down.closed();
            assert!(!second.join().expect("it does not panic"));
        });
    }

    #[test]
    fn who_opens_it_can_be_inside_before_anybody_else() {
        let run_down = RunDown::new();
        let inside = || run_down.0.load(Ordering::Relaxed) & !STATE;
        assert!(run_down.begin_opening());
        let pass = run_down.opened_inside();
        assert!(run_down.is_open());
        assert_eq!(inside(), ONE);
        assert!(run_down.enter().is_some());
        assert!(run_down.begin_closing(&mut passive()));
        assert_eq!(inside(), ONE, "whoever closes it waits for this");
        drop(pass);
        assert_eq!(inside(), 0);
    }
}
