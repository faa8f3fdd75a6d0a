//! Whose turn it is at the DMA engine.
//!
//! One request has the turn from when it leaves its queue until it is completed, and at least
//! until its AdapterControl routine has returned: before that no other request's map
//! registers can be asked for, and on another processor the device may have ended the
//! transfer, and a DPC the request, long ago. The driver has this in a spin lock, and calls
//! each method with the lock held.

/// Who has the turn, if anybody has.
///
/// `F` says whose a request is (in the driver, its file object), `E` is an error that it can
/// end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn<F, E> {
    /// Requests are begun. The one that has the turn is finished in any case.
    is_open: bool,
    taken: Option<Taken<F, E>>,
}

/// A request that has the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Taken<F, E> {
    file: Option<F>,
    /// It is not to be gone on with, and fails with this.
    given_up: Option<E>,
    /// From before its map registers are asked for until AdapterControl has returned.
    has_channel: bool,
    /// It is completed.
    is_over: bool,
}

impl<F: Copy + PartialEq, E: Copy> Turn<F, E> {
    /// Nobody's, and nobody gets it until it is [opened](Self::open).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            is_open: false,
            taken: None,
        }
    }

    /// Requests are begun from now on.
    pub const fn open(&mut self) {
        self.is_open = true;
    }

    /// No request is begun any more.
    pub const fn close(&mut self) {
        self.is_open = false;
    }

    /// Whether a request has it.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        self.taken.is_some()
    }

    /// Gives the turn to the request that `next` takes out of the queue, if the turn is
    /// nobody's and `next` finds one. Under the same lock, so a CLEANUP finds each request in
    /// its queue or here.
    pub fn take<R>(&mut self, next: impl FnOnce() -> Option<(R, Option<F>)>) -> Option<R> {
        if !self.is_open || self.taken.is_some() {
            return None;
        }
        let (request, file) = next()?;
        self.taken = Some(Taken {
            file,
            given_up: None,
            has_channel: true,
            is_over: false,
        });
        Some(request)
    }

    /// The request that had the turn is completed. The turn is nobody's as soon as
    /// [`leave_channel`](Self::leave_channel) was called, too.
    pub fn give_back(&mut self) {
        self.taken = self.taken.filter(|taken| taken.has_channel);
        if let Some(taken) = &mut self.taken {
            taken.is_over = true;
        }
    }

    /// Another request's map registers can be asked for; false if the request that had the
    /// turn is completed already, so that the turn is nobody's now, and whoever calls this has
    /// somebody begin the next one.
    pub fn leave_channel(&mut self) -> bool {
        self.taken = self.taken.filter(|taken| !taken.is_over);
        if let Some(taken) = &mut self.taken {
            taken.has_channel = false;
        }
        self.taken.is_some()
    }

    /// What the request that has the turn fails with, if it was given up.
    pub fn given_up(&self) -> Option<E> {
        self.taken.and_then(|taken| taken.given_up)
    }

    /// The request that has the turn is not to be gone on with. Who gave it up first has said
    /// what it fails with.
    pub fn give_up(&mut self, error: E) {
        if let Some(taken) = &mut self.taken {
            taken.given_up.get_or_insert(error);
        }
    }

    /// As [`give_up`](Self::give_up), if it is a request of this file.
    pub fn clean_up(&mut self, file: F, error: E) {
        if self.taken.is_some_and(|taken| taken.file == Some(file)) {
            self.give_up(error);
        }
    }
}

impl<F: Copy + PartialEq, E: Copy> Default for Turn<F, E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Turn;

    fn open() -> Turn<u8, &'static str> {
        let mut turn = Turn::new();
        turn.open();
        turn
    }

    #[test]
    fn one_request_at_a_time_has_the_turn_and_none_while_it_is_closed() {
        let mut turn = Turn::<u8, ()>::new();
        assert_eq!(turn.take(|| Some((1, None))), None);
        turn.open();
        assert_eq!(turn.take(|| None::<(u8, _)>), None);
        assert!(!turn.is_taken());
        assert_eq!(turn.take(|| Some((1, None))), Some(1));
        turn.close();
        assert!(turn.is_taken(), "who has it finishes");
        assert_eq!(turn.take(|| Some((2, None))), None);
        assert!(turn.leave_channel());
        turn.give_back();
        assert!(!turn.is_taken());
        assert_eq!(turn.take(|| Some((2, None))), None, "still closed");
    }

    #[test]
    fn the_turn_is_kept_until_the_request_is_over_and_adapter_control_has_returned() {
        let mut turn = open();
        assert_eq!(turn.take(|| Some(((), None))), Some(()));
        turn.give_back();
        assert!(turn.is_taken(), "AdapterControl has not returned");
        assert_eq!(turn.take(|| Some(((), None))), None);
        assert!(!turn.leave_channel(), "somebody has to begin the next one");
        assert_eq!(turn.take(|| Some(((), None))), Some(()));
        assert!(turn.leave_channel(), "the request goes on");
        assert!(turn.is_taken());
        turn.give_back();
        assert!(!turn.is_taken());
    }

    #[test]
    fn only_the_file_that_is_closed_gives_its_request_up() {
        let mut turn = open();
        turn.clean_up(7, "nobody's");
        assert_eq!(turn.take(|| Some(((), Some(7)))), Some(()));
        turn.clean_up(8, "another's");
        assert_eq!(turn.given_up(), None);
        turn.clean_up(7, "its own");
        turn.give_up("too late");
        assert_eq!(turn.given_up(), Some("its own"));
        turn.give_back();
        let _is_over = turn.leave_channel();
        assert_eq!(turn.take(|| Some(((), None))), Some(()));
        assert_eq!(turn.given_up(), None, "of the one before");
        turn.clean_up(7, "no file's");
        assert_eq!(turn.given_up(), None);
    }
}
