//! What happened to an IRP at each stack location, and whether it has ended.

use wdk_sys::NTSTATUS;

use crate::nt::irp::location::Asks;
use crate::nt::irp::{MAX_STACK, Outcome};
use crate::nt::status::STATUS_PENDING;

/// Where an IRP is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A driver owns it, or a completion routine is looking at it.
    Owned,
    /// IofCompleteRequest is taking it up the stack.
    Completing,
    /// It came out at the top.
    Ended(Outcome),
}

/// How IoSetCompletionRoutineEx ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// With success: the IRP is to be sent on.
    Made,
    /// With a failure: nobody is told when the IRP comes back.
    Refused,
}

/// What the driver at one stack location did.
#[derive(Clone, Copy, Default)]
struct Level {
    /// It sent the IRP on to the next lower driver.
    forwarded: bool,
    /// What the next lower dispatch routine returned.
    lower_returned: Option<NTSTATUS>,
    /// The IRP had been marked pending here when completion passed by.
    marked_pending: bool,
    /// The IRP's status when completion passed by.
    completed: Option<NTSTATUS>,
    /// It called IoSetCompletionRoutineEx, and has not sent the IRP on since.
    registration: Option<Registration>,
}

/// What is wrong with how a dispatch routine returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// IRP-13: it neither completed nor forwarded nor pended the IRP.
    Lost,
    /// IRP-03: it returned STATUS_PENDING without having marked the IRP.
    PendingNotMarked,
    /// IRP-03: it marked the IRP and returned something else.
    MarkedNotPending,
    /// IRP-04: it returned something else than it completed the IRP with.
    OtherStatus(NTSTATUS),
}

/// The record.
pub(crate) struct Progress {
    phase: Phase,
    levels: [Level; MAX_STACK],
    /// The location whose driver owns the IRP, and what it was asked.
    owner: Option<(usize, Asks)>,
    /// The rig's own driver at the bottom has completed it.
    was_at_the_bottom: bool,
    /// A completion routine kept it, and its driver has not completed it since.
    is_kept: bool,
}

impl Progress {
    /// Of an IRP that nobody has seen.
    pub(super) const fn new() -> Self {
        const UNTOUCHED: Level = Level {
            forwarded: false,
            lower_returned: None,
            marked_pending: false,
            completed: None,
            registration: None,
        };
        Self {
            phase: Phase::Owned,
            levels: [UNTOUCHED; MAX_STACK],
            owner: None,
            was_at_the_bottom: false,
            is_kept: false,
        }
    }

    fn level(&mut self, index: usize) -> Option<&mut Level> {
        self.levels.get_mut(index.checked_sub(1)?)
    }

    /// A dispatch routine is about to be called with this stack location. One that
    /// the IRP came back from earlier begins anew.
    pub(super) fn enter(&mut self, index: usize, asks: Asks) {
        self.owner = Some((index, asks));
        self.is_kept = false;
        if let Some(level) = self.level(index)
            && level.completed.is_some()
        {
            *level = Level::default();
        }
    }

    /// The location whose driver owns the IRP, and what it was asked when it got it.
    pub(super) const fn owner(&self) -> Option<(usize, Asks)> {
        self.owner
    }

    /// The rig's own driver at the bottom completes the IRP.
    pub(super) fn reach_the_bottom(&mut self) {
        self.was_at_the_bottom = true;
    }

    /// Whether a driver has sent the IRP on and it has not come back to anybody.
    pub(crate) fn is_under_way_below(&self) -> bool {
        self.phase == Phase::Owned
            && !self.is_kept
            && self
                .levels
                .iter()
                .any(|level| level.forwarded && level.completed.is_none())
    }

    /// Whether the rig's own driver at the bottom has completed the IRP.
    pub(crate) const fn was_at_the_bottom(&self) -> bool {
        self.was_at_the_bottom
    }

    /// Whether a completion routine kept the IRP and nobody has completed it since.
    pub(crate) const fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// The driver at this location sends the IRP on.
    pub(super) fn forward(&mut self, index: usize) {
        if let Some(level) = self.level(index) {
            level.forwarded = true;
        }
    }

    /// The driver at this location has called IoSetCompletionRoutineEx.
    pub(super) fn register(&mut self, index: usize, registration: Registration) {
        if let Some(level) = self.level(index) {
            level.registration = Some(registration);
        }
    }

    /// How the driver's last IoSetCompletionRoutineEx at this location ended, if it has not
    /// been asked since.
    pub(super) fn take_registration(&mut self, index: usize) -> Option<Registration> {
        self.level(index)?.registration.take()
    }

    /// What the driver below this location returned to it.
    pub(super) fn lower_returned(&mut self, index: usize, status: NTSTATUS) {
        if let Some(level) = self.level(index) {
            level.lower_returned = Some(status);
        }
    }

    /// Completion begins; `false` when it has begun before.
    pub(super) fn begin_completion(&mut self) -> bool {
        let may_begin = self.phase == Phase::Owned;
        if may_begin {
            self.phase = Phase::Completing;
            self.is_kept = false;
        }
        may_begin
    }

    /// Completion passes this location.
    pub(super) fn pass(&mut self, index: usize, marked_pending: bool, status: NTSTATUS) {
        if let Some(level) = self.level(index) {
            level.marked_pending = marked_pending;
            level.completed = Some(status);
        }
    }

    /// A completion routine is about to be called: the IRP is its driver's, at this
    /// location, until somebody completes it again.
    pub(super) fn lend(&mut self, index: usize, asks: Option<Asks>) {
        self.phase = Phase::Owned;
        self.owner = asks.map(|asks| (index, asks));
        self.is_kept = true;
    }

    /// The IRP came out at the top.
    pub(super) fn end(&mut self, outcome: Outcome) {
        self.phase = Phase::Ended(outcome);
    }

    /// How it ended, if it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self.phase {
            Phase::Ended(outcome) => Some(outcome),
            Phase::Owned | Phase::Completing => None,
        }
    }

    /// Whether completion has passed this location.
    pub(super) fn has_passed(&mut self, index: usize) -> bool {
        self.level(index)
            .is_some_and(|level| level.completed.is_some())
    }

    /// Judges the return of the dispatch routine that was called with this
    /// location. `is_marked` is the location's own mark, which counts while
    /// completion has not passed.
    pub(super) fn judge(
        &mut self,
        index: usize,
        status: NTSTATUS,
        is_marked: bool,
    ) -> Option<Fault> {
        let level = *self.level(index)?;
        let marked = if level.completed.is_some() {
            level.marked_pending
        } else {
            is_marked
        };
        if level.completed.is_none() && !marked && !level.forwarded {
            return Some(Fault::Lost);
        }
        if status == STATUS_PENDING {
            let is_pended = marked || level.lower_returned == Some(STATUS_PENDING);
            return (!is_pended).then_some(Fault::PendingNotMarked);
        }
        if marked {
            return Some(Fault::MarkedNotPending);
        }
        level
            .completed
            .filter(|completed| *completed != status)
            .map(Fault::OtherStatus)
    }
}
