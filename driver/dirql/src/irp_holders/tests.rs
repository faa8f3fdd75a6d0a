//! Queues of IRPs that a device opens, closes and cleans up together.

use core::ptr::without_provenance_mut;
use std::{format, sync::Mutex, vec::Vec};

use super::{CAPACITY, Holder, HoldsIrps, IrpHolders, Whose};
use crate::{
    file::FileObject,
    irql::{Passive, UpToDispatch},
    status::NtError,
};

const GONE: NtError = NtError::STATUS_NO_SUCH_DEVICE;

/// What a holder was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Close(NtError),
    Open,
    EndAll(NtError),
    EndOf(FileObject, NtError),
}

#[derive(Default)]
struct Queue(Mutex<Vec<Told>>);

impl Queue {
    fn note(&self, told: Told) {
        self.0.lock().expect("no test panics in here").push(told);
    }

    /// What it was told since it was asked last.
    fn told(&self) -> Vec<Told> {
        core::mem::take(&mut *self.0.lock().expect("no test panics in here"))
    }
}

impl HoldsIrps for Queue {
    fn close(&self, closed: Option<NtError>) {
        self.note(closed.map_or(Told::Open, Told::Close));
    }

    fn end(&self, _irql: &mut UpToDispatch, whose: Whose, error: NtError) {
        self.note(match whose {
            Whose::All => Told::EndAll(error),
            Whose::File(file) => Told::EndOf(file, error),
        });
    }
}

fn passive() -> Passive {
    // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE, fact 5.
    unsafe { Passive::assume() }
}

#[test]
fn whoever_enters_learns_whether_requests_are_taken() {
    let (holders, queue) = (IrpHolders::new(), Queue::default());
    let mut irql = passive();
    assert_eq!(holders.enter(&mut irql, Holder::new(&queue)), Ok(()));
    assert_eq!(queue.told(), [Told::Open]);
    holders.close(&mut irql, GONE);
    let late = Queue::default();
    assert_eq!(holders.enter(&mut irql, Holder::new(&late)), Ok(()));
    assert_eq!(late.told(), [Told::Close(GONE)]);
}

/// In this order: what came in between closing and ending would stay for ever.
#[test]
fn closing_refuses_new_requests_and_then_ends_the_old_ones() {
    let (holders, queues) = (IrpHolders::new(), [Queue::default(), Queue::default()]);
    let mut irql = passive();
    for queue in &queues {
        assert_eq!(holders.enter(&mut irql, Holder::new(queue)), Ok(()));
        queue.told();
    }
    holders.close(&mut irql, GONE);
    for queue in &queues {
        assert_eq!(queue.told(), [Told::Close(GONE), Told::EndAll(GONE)]);
    }
    holders.open(&mut irql);
    for queue in &queues {
        assert_eq!(queue.told(), [Told::Open]);
    }
}

#[test]
fn a_closed_file_takes_its_own_requests_along() {
    let (holders, queue) = (IrpHolders::new(), Queue::default());
    let mut irql = passive();
    let file = FileObject::new(without_provenance_mut(0x1000)).expect("not NULL");
    assert_eq!(holders.enter(&mut irql, Holder::new(&queue)), Ok(()));
    queue.told();
    holders.clean_up(&mut irql, file);
    assert_eq!(queue.told(), [Told::EndOf(file, NtError::STATUS_CANCELLED)]);
}

#[test]
fn a_device_has_so_many_holders_and_each_of_them_once() {
    let holders = IrpHolders::new();
    let queues: [Queue; CAPACITY + 1] = Default::default();
    let mut irql = passive();
    let (last, others) = queues.split_last().expect("there are some");
    for queue in others.iter().chain(others) {
        assert_eq!(holders.enter(&mut irql, Holder::new(queue)), Ok(()));
    }
    assert_eq!(
        holders.enter(&mut irql, Holder::new(last)),
        Err(NtError::STATUS_INSUFFICIENT_RESOURCES)
    );
    for queue in others {
        queue.told();
    }
    holders.open(&mut irql);
    for queue in others {
        assert_eq!(queue.told(), [Told::Open]);
    }
}

#[test]
fn a_holder_prints_its_address() {
    let queue = Queue::default();
    assert_eq!(
        format!("{:?}", Holder::new(&queue)),
        format!("Holder({:p})", &raw const queue)
    );
}
