//! The controller against a model of the device.

extern crate std;

mod causes;
mod events;

use std::{vec, vec::Vec};

use crate::{
    Controller, Counters, Deadline, Dpcs, Ended, Operation, Outcome, Refused, Register, Registers,
    STATUS_COMPUTING, STATUS_INTERRUPT, Service,
};

/// The device as `EDU` behaves; a factorial ends when the test says so.
#[derive(Default)]
pub(crate) struct Device {
    liveness: u32,
    status: u32,
    pub(crate) causes: u32,
    operand: Option<u32>,
    factorial: u32,
    /// Source, destination, count and command.
    pub(crate) dma: [u32; 4],
    pub(crate) gone: bool,
    pub(crate) log: Vec<(char, Register)>,
}

impl Registers for &mut Device {
    fn read(&mut self, register: Register) -> u32 {
        self.log.push(('r', register));
        if self.gone {
            return u32::MAX;
        }
        match register {
            Register::Identification => 0x0100_00ed,
            Register::Liveness => !self.liveness,
            Register::Factorial => self.factorial,
            Register::Status => self.status,
            Register::InterruptStatus => self.causes,
            Register::DmaSource => self.dma[0],
            Register::DmaDestination => self.dma[1],
            Register::DmaCount => self.dma[2],
            Register::DmaCommand => self.dma[3],
            Register::RaiseInterrupt | Register::Acknowledge => u32::MAX,
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        self.log.push(('w', register));
        match register {
            Register::Liveness => self.liveness = value,
            Register::Factorial if self.operand.is_none() => {
                self.operand = Some(value);
                self.status |= STATUS_COMPUTING;
            }
            Register::Status => {
                self.status = (self.status & STATUS_COMPUTING) | (value & STATUS_INTERRUPT);
            }
            Register::RaiseInterrupt => self.causes |= value,
            Register::Acknowledge => self.causes &= !value,
            _ if self.dma[3] & 1 != 0 => {}
            Register::DmaSource => self.dma[0] = value,
            Register::DmaDestination => self.dma[1] = value,
            Register::DmaCount => self.dma[2] = value,
            Register::DmaCommand => self.dma[3] = value,
            _ => {}
        }
    }
}

impl Device {
    /// It computes a factorial that the controller knows nothing of.
    fn write_operand(&mut self, n: u32) {
        self.operand = Some(n);
        self.status |= STATUS_COMPUTING;
    }

    pub(crate) fn end_factorial(&mut self) {
        let n = self.operand.take().expect("a factorial is under way");
        self.factorial = (1..=n).fold(1, u32::wrapping_mul);
        self.status &= !STATUS_COMPUTING;
        if self.status & STATUS_INTERRUPT != 0 {
            self.causes |= 1;
        }
    }
}

impl Device {
    /// The transfer has ended.
    pub(crate) fn end_transfer(&mut self) {
        assert_eq!(self.dma[3] & 5, 5, "a transfer runs, and interrupts");
        self.dma[3] &= !1;
        self.causes |= 0x100;
    }
}

/// Taken, or why not and whose it is still.
pub(crate) type Armed = Result<(), (Refused, Option<u32>)>;

pub(crate) type Tested<'a> = Controller<&'a mut Device, u32>;

pub(crate) fn started(device: &mut Device) -> Tested<'_> {
    let mut controller = Controller::new(device, Counters::default());
    assert!(controller.identify().is_some());
    assert_eq!(controller.silence(), None);
    assert!(controller.is_quiet());
    controller.enable();
    controller.device().log.clear();
    controller
}

impl Tested<'_> {
    pub(crate) fn device(&mut self) -> &mut Device {
        self.registers_mut()
    }

    pub(crate) fn arm_factorial(&mut self, owner: u32, n: u32, ticks: u32) -> Armed {
        self.arm_as(owner, Operation::Factorial { n }, ticks)
    }

    fn arm_as(&mut self, owner: u32, operation: Operation, ticks: u32) -> Armed {
        let mut owner = Some(owner);
        let armed = self.arm(&mut owner, operation, Deadline::after_ticks(ticks));
        assert_eq!(armed.is_ok(), owner.is_none(), "who has it?");
        armed.map_err(|refused| (refused, owner))
    }

    pub(crate) fn arm_raise(&mut self, owner: u32, mask: u32, ticks: u32) -> Armed {
        self.arm_as(owner, Operation::Raise { mask }, ticks)
    }
}

#[test]
fn a_factorial_takes_four_register_accesses() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(7, 13, 10), Ok(()));
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    assert_eq!(
        controller.drain(),
        Some(Ended {
            owner: 7,
            outcome: Outcome::Factorial {
                n: 13,
                value: 0x7328_cc00
            }
        })
    );
    assert_eq!(controller.drain(), None);
    assert_eq!(
        controller.device().log,
        vec![
            ('w', Register::Factorial),
            ('r', Register::InterruptStatus),
            ('w', Register::Acknowledge),
            ('r', Register::Factorial),
        ]
    );
}

#[test]
fn a_device_that_goes_before_its_factorial_is_read_has_computed_none() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(7, 13, 1), Ok(()));
    controller.device().end_factorial();
    controller.device().factorial = u32::MAX;
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(controller.drain(), None);
    // It passes its deadline.
    assert_eq!((0..3).find_map(|_| controller.tick()), Some(7));
}

#[test]
fn a_raise_takes_three_register_accesses() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, 0x8000_0101, 10), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    assert_eq!(
        controller.drain().map(|ended| ended.outcome),
        Some(Outcome::Raised {
            causes: 0x8000_0101
        })
    );
    assert_eq!(controller.device().log.len(), 3);
}

#[test]
fn every_bit_at_once_is_a_cause_and_not_an_absent_device() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, u32::MAX, 10), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    assert_eq!(controller.device().causes, 0);
}

#[test]
fn an_absent_device_is_not_ours_and_is_left_alone() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    controller.device().gone = true;
    assert_eq!(controller.service(0), Service::NotOurs);
    assert!(controller.device().log.iter().all(|(kind, _)| *kind == 'r'));
    assert!(controller.is_quiet());
}

#[test]
fn a_foreign_interrupt_costs_one_read() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 10), Ok(()));
    controller.device().log.clear();
    assert_eq!(controller.service(0), Service::NotOurs);
    assert_eq!(
        controller.device().log,
        vec![('r', Register::InterruptStatus)]
    );
    assert_eq!(controller.counters().interrupts_not_ours, 1);
}

#[test]
fn an_unasked_cause_is_claimed_and_leaves_the_operation_alone() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 10), Ok(()));
    controller.device().causes = 0x100;
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(controller.drain(), None);
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    assert_eq!(controller.counters().interrupts_unasked, 1);
    assert_eq!(controller.counters().interrupts_claimed, 2);
}

#[test]
fn a_raise_waits_for_all_of_its_causes() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, 0x6, 10), Ok(()));
    controller.device().causes = 0x2;
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(controller.drain(), None);
    controller.device().causes = 0x6;
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
}

#[test]
fn a_second_interrupt_before_the_drain_overwrites_nothing() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, 0x6, 10), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    // Causes of its own kind, of a factorial's, and of everything.
    for causes in [0x6, 0x1, 0xfff] {
        controller.device().causes = causes;
        assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    }
    assert_eq!(
        controller.drain(),
        Some(Ended {
            owner: 1,
            outcome: Outcome::Raised { causes: 0x6 }
        })
    );
    assert_eq!(controller.drain(), None);
    let counters = controller.counters();
    assert_eq!((counters.drains, counters.most_results), (1, 1));
    assert_eq!(counters.operations_completed, 1);
}

#[test]
fn no_operation_takes_the_place_of_an_end_that_was_not_drained() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, 4, 0), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    controller.device().log.clear();
    assert_eq!(controller.arm_raise(2, 8, 0), Err((Refused::Busy, Some(2))));
    assert_eq!(
        controller.arm_factorial(3, 5, 0),
        Err((Refused::Busy, Some(3)))
    );
    assert!(
        controller.device().log.is_empty(),
        "the device is told nothing"
    );
    assert_eq!(controller.counters().results_refused, 2);
    // Nor does anybody take it but the DPC.
    assert_eq!((controller.tick(), controller.tick()), (None, None));
    assert_eq!(controller.take_back(|_| true), None);
    assert_eq!(controller.counters().operations_timed_out, 0);
    assert_eq!(controller.drain().map(|ended| ended.owner), Some(1));
    assert_eq!(controller.arm_raise(2, 8, 0), Ok(()));
    assert_eq!(controller.arm_raise(3, 8, 0), Err((Refused::Busy, Some(3))));
    assert_eq!(controller.counters().results_refused, 2, "that is no end");
}

#[test]
fn nobody_gets_nothing() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    let (operation, deadline) = (Operation::Raise { mask: 1 }, Deadline::after_ticks(1));
    assert_eq!(
        controller.arm(&mut None, operation, deadline),
        Err(Refused::Busy)
    );
    assert!(controller.device().log.is_empty());
    assert_eq!(controller.counters(), Counters::default());
}

#[test]
fn one_operation_at_a_time() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 10), Ok(()));
    assert_eq!(
        controller.arm_factorial(2, 5, 10),
        Err((Refused::Busy, Some(2)))
    );
}

#[test]
fn a_silent_controller_takes_nothing() {
    let mut device = Device::default();
    let mut controller: Tested<'_> = Controller::new(&mut device, Counters::default());
    assert_eq!(
        controller.arm_factorial(1, 5, 10),
        Err((Refused::Silent, Some(1)))
    );
    assert_eq!(controller.check_liveness(1), None);
    assert!(controller.device().log.is_empty());
}

#[test]
fn a_time_out_waits_for_the_abandoned_factorial() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 2), Ok(()));
    assert_eq!(
        [controller.tick(), controller.tick(), controller.tick()],
        [None, None, Some(1)]
    );
    assert_eq!(controller.tick(), None);

    // The next one must not be given the result of the abandoned one.
    assert_eq!(controller.arm_factorial(2, 6, 10), Ok(()));
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(controller.drain(), None);
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    assert_eq!(
        controller.drain().map(|ended| ended.outcome),
        Some(Outcome::Factorial { n: 6, value: 720 })
    );
    let counters = controller.counters();
    assert_eq!(counters.operations_timed_out, 1);
    assert_eq!(counters.operations_completed, 1);
    assert_eq!(counters.operations_started, 2);
}

#[test]
fn an_interrupt_that_never_comes_does_not_block_for_ever() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 0), Ok(()));
    assert_eq!(controller.tick(), Some(1));
    // Reset behind the driver's back: neither the result nor the interrupt comes.
    *controller.device() = Device::default();
    assert_eq!(controller.arm_factorial(2, 6, 1000), Ok(()));
    for _ in 0..50 {
        assert_eq!(controller.tick(), None);
        assert_eq!(controller.device().operand, None);
    }
    assert_eq!(controller.tick(), None);
    assert_eq!(controller.device().operand, Some(6));
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
}

#[test]
fn a_device_that_computes_on_is_waited_for() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 0), Ok(()));
    assert_eq!(controller.tick(), Some(1));
    assert_eq!(controller.arm_factorial(2, 6, 1000), Ok(()));
    for _ in 0..200 {
        assert_eq!(controller.tick(), None);
        assert_eq!(controller.device().operand, Some(5));
    }
}

#[test]
fn a_waiting_operation_times_out_too() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 0), Ok(()));
    assert_eq!(controller.tick(), Some(1));
    assert_eq!(controller.arm_raise(2, 4, 0), Ok(()));
    assert_eq!(controller.tick(), Some(2));
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(controller.arm_raise(3, 4, 0), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
}

#[test]
fn a_raise_that_never_interrupts_leaves_the_engine_free() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, 4, 0), Ok(()));
    assert_eq!(controller.tick(), Some(1));
    assert_eq!(controller.device().causes, 0);
    assert_eq!(controller.arm_raise(2, 8, 0), Ok(()));
}

#[test]
fn silence_hands_back_what_was_under_way() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 10), Ok(()));
    assert_eq!(controller.silence(), Some(1));
    assert_eq!(controller.silence(), None);
    assert!(!controller.is_quiet());
    controller.device().end_factorial();
    assert!(controller.is_quiet());
    assert_eq!(controller.device().causes, 0);
    assert_eq!(controller.counters().operations_aborted, 1);
}

#[test]
fn a_result_saved_before_the_silence_is_still_drained() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, 4, 10), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    assert_eq!(controller.silence(), None);
    assert_eq!(
        controller.arm_raise(2, 4, 10),
        Err((Refused::Silent, Some(2)))
    );
    assert_eq!(controller.drain().map(|ended| ended.owner), Some(1));
    assert_eq!(controller.counters().operations_aborted, 0);
}

/// The device sleeps with an abandoned factorial in it and an end that no DPC has come to.
#[test]
fn a_result_outlives_a_sleep_and_what_the_device_was_draining() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(1, 4, 10), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    controller.device().write_operand(5);
    assert_eq!(controller.silence(), None);
    let saved = controller.save();
    controller.restore(saved);
    assert_eq!(
        controller.arm_raise(2, 8, 10),
        Err((Refused::Busy, Some(2)))
    );
    assert_eq!(controller.tick(), None);
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(
        controller.drain(),
        Some(Ended {
            owner: 1,
            outcome: Outcome::Raised { causes: 4 }
        })
    );
    assert_eq!(controller.arm_raise(2, 8, 10), Ok(()));
    assert_eq!(
        controller.device().causes,
        8,
        "nothing has to be waited for"
    );
}

#[test]
fn liveness_and_reset() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.check_liveness(0x1234_5678), Some(0xedcb_a987));
    assert_eq!(
        core::mem::take(controller.counters_mut()).liveness_checks,
        1
    );
    assert_eq!(controller.counters(), Counters::default());
}

#[test]
fn an_operation_is_taken_back_once_and_only_by_its_owner() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.take_back(|_| true), None);
    assert_eq!(controller.arm_factorial(1, 5, 10), Ok(()));
    assert_eq!(controller.take_back(|owner| *owner == 2), None);
    assert_eq!(controller.take_back(|owner| *owner == 1), Some(1));
    assert_eq!(controller.take_back(|_| true), None);

    // One that waits for the abandoned factorial can be taken back too.
    assert_eq!(controller.arm_raise(2, 0x10, 10), Ok(()));
    assert_eq!(controller.take_back(|owner| *owner == 2), Some(2));
    assert_eq!(controller.arm_raise(3, 0x20, 10), Ok(()));
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    // A result is the DPC's: there is nothing to take back.
    assert_eq!(controller.take_back(|_| true), None);
    assert_eq!(controller.drain().map(|ended| ended.owner), Some(3));
    let counters = controller.counters();
    assert_eq!(counters.operations_aborted, 2);
    assert_eq!(counters.operations_completed, 1);
}

#[test]
fn a_device_that_slept_has_back_what_it_forgot() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.check_liveness(0x1234), Some(!0x1234));
    assert_eq!(controller.silence(), None);
    let mut saved = controller.save();
    assert_eq!(controller.device().status, 0);
    assert_eq!(
        controller.arm_raise(3, 1, 10),
        Err((Refused::Silent, Some(3)))
    );
    assert_eq!(saved.counters.liveness_checks, 1);
    saved.counters = Counters::default();
    controller.device().liveness = 0xffff;
    controller.device().causes = 5;
    controller.restore(saved);
    assert_eq!(controller.device().liveness, 0x1234);
    assert_eq!(controller.device().causes, 0);
    assert_eq!(controller.device().status, STATUS_INTERRUPT);
    assert_eq!(controller.counters().liveness_checks, 0);
    // It computed nothing, so there is nothing to wait for.
    assert_eq!(controller.arm_raise(3, 1, 10), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
}

#[test]
fn a_device_that_computed_when_it_fell_asleep_is_waited_for() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 10), Ok(()));
    assert_eq!(controller.silence(), Some(1));
    let saved = controller.save();
    controller.restore(saved);
    assert_eq!(controller.arm_factorial(2, 6, 10), Ok(()));
    assert_eq!(controller.device().operand, Some(5));
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(controller.device().operand, Some(6));
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::FOR_ISR));
    assert_eq!(controller.drain().map(|ended| ended.owner), Some(2));
}

#[test]
fn an_operation_that_was_left_in_is_handed_back_by_its_deadline() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(9, 0x10, 1), Ok(()));
    let saved = controller.save();
    controller.restore(saved);
    assert_eq!(controller.device().causes, 0);
    assert_eq!(controller.tick(), None);
    assert_eq!(controller.tick(), Some(9));
}
