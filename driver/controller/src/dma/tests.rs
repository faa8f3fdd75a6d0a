//! The DMA engine against the model of the device.

extern crate std;

use std::{vec, vec::Vec};

use crate::{
    Controller, Counters, Deadline, Direction, Dpcs, EndedTransfer, Refused, Register, Service,
    Transfer, TransferOutcome,
    tests::{Armed, Device, Tested, started},
};

const MEMORY: u64 = 0x12_3000;
/// Claimed, and both DPCs are to run.
const BOTH: Service = Service::Claimed(Dpcs {
    for_isr: true,
    dma: true,
});

fn transfer(position: u32, count: u32, direction: Direction) -> Transfer {
    Transfer::new(MEMORY, position, count, direction).expect("it is inside")
}

impl Tested<'_> {
    fn arm_read(&mut self, owner: u32, ticks: u32) -> Armed {
        let transfer = transfer(8, 100, Direction::FromDevice);
        let mut owner = Some(owner);
        let armed = self.arm_transfer(&mut owner, transfer, Deadline::after_ticks(ticks));
        assert_eq!(armed.is_ok(), owner.is_none(), "who has it?");
        armed.map_err(|refused| (refused, owner))
    }

    fn expect_end(&mut self, owner: u32, outcome: TransferOutcome) {
        assert_eq!(
            self.drain_transfer(),
            Some(EndedTransfer { owner, outcome })
        );
        assert_eq!(self.drain_transfer(), None);
    }
}

#[test]
fn a_transfer_takes_six_register_accesses() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    let there = transfer(8, 100, Direction::ToDevice);
    assert_eq!(
        controller.arm_transfer(&mut Some(7), there, Deadline::after_ticks(10)),
        Ok(())
    );
    assert_eq!(controller.device().dma, [0x12_3000, 0x4_0008, 100, 5]);
    assert!(!controller.tick_transfer());
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    controller.expect_end(7, TransferOutcome::Done);
    assert_eq!(
        controller.device().log,
        vec![
            ('w', Register::DmaSource),
            ('w', Register::DmaDestination),
            ('w', Register::DmaCount),
            ('w', Register::DmaCommand),
            ('r', Register::InterruptStatus),
            ('w', Register::Acknowledge),
        ]
    );
    let counters = controller.counters();
    assert_eq!((counters.dma_started, counters.dma_completed), (1, 1));
    assert_eq!(
        (counters.dma_bytes_written, counters.dma_bytes_read),
        (100, 0)
    );
}

#[test]
fn a_read_goes_the_other_way() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.device().dma, [0x4_0008, 0x12_3000, 100, 7]);
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    assert_eq!(controller.counters().dma_completed, 0, "the DPC counts it");
    controller.expect_end(1, TransferOutcome::Done);
    assert_eq!(controller.counters().dma_completed, 1);
    assert_eq!(controller.counters().dma_bytes_read, 100);
}

#[test]
fn both_engines_end_in_one_interrupt() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.arm_factorial(2, 5, 10), Ok(()));
    controller.device().end_transfer();
    controller.device().end_factorial();
    assert_eq!(
        controller.service(0),
        Service::Claimed(Dpcs {
            for_isr: true,
            dma: true
        })
    );
    controller.expect_end(1, TransferOutcome::Done);
    assert_eq!(controller.drain().map(|ended| ended.owner), Some(2));
    assert_eq!(controller.counters().interrupts_unasked, 0);
}

#[test]
fn one_transfer_at_a_time_until_it_is_drained() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.arm_read(2, 10), Err((Refused::Busy, Some(2))));
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    assert_eq!(controller.arm_read(2, 10), Err((Refused::Busy, Some(2))));
    controller.expect_end(1, TransferOutcome::Done);
    assert_eq!(controller.arm_read(2, 10), Ok(()));
    assert_eq!(controller.counters().dma_started, 2);
}

#[test]
fn a_silent_controller_transfers_nothing() {
    let mut device = Device::default();
    let mut controller: Tested<'_> = Controller::new(&mut device, Counters::default());
    assert_eq!(controller.arm_read(1, 10), Err((Refused::Silent, Some(1))));
    assert!(controller.device().log.is_empty());
}

#[test]
fn a_cause_that_was_raised_by_hand_ends_no_transfer() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.arm_raise(2, 0x102, 10), Ok(()));
    assert_eq!(controller.service(0), BOTH);
    assert_eq!(controller.drain_transfer(), None);
    assert_eq!(controller.drain_transfer(), None);
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    controller.expect_end(1, TransferOutcome::Done);
}

#[test]
fn a_raise_and_an_end_with_the_same_cause_are_both_seen() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.arm_raise(2, 0x100, 10), Ok(()));
    controller.device().end_transfer();
    assert_eq!(controller.service(0), BOTH);
    controller.expect_end(1, TransferOutcome::Done);
}

/// The transfer ends after its doubted cause was acknowledged, and before the DPC looks: its
/// own cause is told of, and is not taken for the end of the next one.
#[test]
fn an_end_between_the_isr_and_the_look_of_its_dpc_has_its_own_interrupt() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.arm_raise(2, 0x100, 10), Ok(()));
    assert_eq!(controller.service(0), BOTH);
    assert_eq!(controller.drain().map(|ended| ended.owner), Some(2));
    controller.device().end_transfer();
    controller.expect_end(1, TransferOutcome::Done);
    assert_eq!(controller.arm_read(3, 10), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    assert_eq!(
        controller.drain_transfer(),
        None,
        "that was the first one's"
    );
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    controller.expect_end(3, TransferOutcome::Done);
    // From here on the interrupt is believed again.
    assert_eq!(controller.arm_read(4, 10), Ok(()));
    controller.device().end_transfer();
    controller.device().log.clear();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    controller.expect_end(4, TransferOutcome::Done);
    assert_eq!(controller.device().log.len(), 2);
}

/// The same, with no transfer behind it: the interrupt ends nothing, and is still the one that
/// was asked for.
#[test]
fn the_interrupt_of_an_end_that_was_looked_for_is_not_unasked() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.arm_raise(2, 0x100, 10), Ok(()));
    assert_eq!(controller.service(0), BOTH);
    controller.device().end_transfer();
    controller.expect_end(1, TransferOutcome::Done);
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    let counters = controller.counters();
    assert_eq!(
        (counters.interrupts_claimed, counters.interrupts_unasked),
        (2, 0)
    );
    // A cause that nobody has asked for, of another kind, is one.
    controller.device().causes = 0x40;
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::NONE));
    assert_eq!(controller.counters().interrupts_unasked, 1);
}

/// Interrupts before the DPC of a doubted cause: it finds the end, once.
#[test]
fn a_doubted_cause_and_a_second_one_before_the_dpc_end_one_transfer() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.arm_raise(2, 0x100, 10), Ok(()));
    assert_eq!(controller.service(0), BOTH);
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    assert_eq!(controller.arm_read(3, 10), Err((Refused::Busy, Some(3))));
    controller.expect_end(1, TransferOutcome::Done);
    assert_eq!(controller.counters().dma_completed, 1);
}

/// The watchdog comes between the ISR and the DPC, which may never come.
#[test]
fn a_doubted_end_is_found_by_the_watchdog_too() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 100), Ok(()));
    assert_eq!(controller.arm_raise(2, 0x100, 10), Ok(()));
    controller.device().end_transfer();
    assert_eq!(controller.service(0), BOTH);
    assert!(controller.tick_transfer());
    assert!(controller.tick_transfer(), "until a DPC takes it");
    controller.expect_end(1, TransferOutcome::Done);
    assert!(!controller.tick_transfer());
}

#[test]
fn a_cause_raised_before_the_transfer_ends_none_either() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_raise(2, 0x100, 10), Ok(()));
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    assert_eq!(controller.service(0), BOTH);
    assert_eq!(controller.drain_transfer(), None);
}

#[test]
fn a_raise_that_has_waited_ends_no_transfer() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 0), Ok(()));
    assert_eq!(controller.tick(), Some(1));
    assert_eq!(controller.arm_raise(2, 0x100, 10), Ok(()));
    assert_eq!(controller.arm_read(3, 10), Ok(()));
    // The end of the transfer comes with that of the factorial, for which the raise waits.
    controller.device().end_transfer();
    controller.device().end_factorial();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    controller.expect_end(3, TransferOutcome::Done);
    assert_eq!(controller.arm_read(4, 10), Ok(()));
    assert_eq!(controller.service(0), BOTH);
    assert_eq!(controller.drain_transfer(), None);
}

#[test]
fn an_end_whose_cause_a_cancelled_raise_took_along_is_found_by_the_watchdog() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 100), Ok(()));
    assert_eq!(controller.arm_raise(2, 0x100, 10), Ok(()));
    controller.device().end_transfer();
    assert_eq!(controller.take_back(|_| true), Some(2));
    assert_eq!(controller.device().causes, 0);
    assert!(controller.tick_transfer());
    controller.expect_end(1, TransferOutcome::Done);
    assert_eq!(controller.counters().dma_completed, 1);
}

#[test]
fn a_look_that_finds_the_transfer_running_is_not_repeated() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 100), Ok(()));
    assert_eq!(controller.silence(), None);
    assert!(!controller.tick_transfer());
    controller.device().log.clear();
    assert!(!controller.tick_transfer());
    assert!(controller.device().log.is_empty());
}

#[test]
fn the_late_interrupt_of_an_end_that_was_looked_for_is_not_the_next_ones() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    controller.device().end_transfer();
    assert!(controller.look_at_transfer());
    assert!(controller.look_at_transfer(), "until a DPC takes it");
    controller.expect_end(1, TransferOutcome::Done);
    assert!(!controller.look_at_transfer());
    assert_eq!(controller.arm_read(2, 10), Ok(()));
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    assert_eq!(controller.drain_transfer(), None);
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    controller.expect_end(2, TransferOutcome::Done);
    // From here on the interrupt is believed again.
    assert_eq!(controller.arm_read(3, 10), Ok(()));
    controller.device().end_transfer();
    controller.device().log.clear();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    assert_eq!(controller.device().log.len(), 2);
}

#[test]
fn memory_is_the_devices_until_it_lets_go_whatever_the_deadline() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 1), Ok(()));
    for _ in 0..10 {
        assert!(!controller.tick_transfer());
        assert_eq!(controller.drain_transfer(), None);
    }
    assert_eq!(controller.arm_read(2, 1), Err((Refused::Busy, Some(2))));
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    controller.expect_end(1, TransferOutcome::TimedOut);
    let counters = controller.counters();
    assert_eq!((counters.dma_timed_out, counters.dma_completed), (1, 0));
    assert_eq!(counters.dma_bytes_read, 0);

    assert_eq!(controller.arm_read(2, 10), Ok(()));
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    controller.expect_end(2, TransferOutcome::Done);
}

#[test]
fn a_transfer_whose_interrupt_never_comes_ends_at_its_deadline() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 2), Ok(()));
    controller.device().end_transfer();
    controller.device().causes = 0;
    let ends: Vec<bool> = (0..4).map(|_| controller.tick_transfer()).collect();
    assert_eq!(ends, vec![false, false, true, true]);
    controller.expect_end(1, TransferOutcome::TimedOut);
    assert!(!controller.tick_transfer());
}

#[test]
fn a_transfer_that_is_given_up_ends_when_the_device_is_done() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    controller.give_up_transfer();
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    controller.give_up_transfer();
    controller.give_up_transfer();
    assert!(!controller.tick_transfer());
    assert_eq!(controller.drain_transfer(), None);
    controller.device().end_transfer();
    assert!(controller.tick_transfer());
    controller.expect_end(1, TransferOutcome::Aborted);
    assert_eq!(controller.counters().dma_aborted, 1);
}

#[test]
fn a_device_that_is_gone_holds_no_memory() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 10), Ok(()));
    controller.device().gone = true;
    assert_eq!(controller.service(0), Service::NotOurs);
    assert_eq!(controller.drain_transfer(), None);
    assert!(controller.look_at_transfer());
    controller.give_up_transfer();
    controller.expect_end(1, TransferOutcome::Gone);
    assert_eq!(controller.counters().dma_aborted, 1);
}

#[test]
fn a_transfer_outlives_a_silence_and_a_sleep() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 100), Ok(()));
    assert_eq!(controller.silence(), None);
    assert!(!controller.is_quiet());
    controller.give_up_transfer();
    let saved = controller.save();
    controller.device().dma = [0; 4];
    controller.restore(saved);
    assert!(controller.tick_transfer());
    controller.expect_end(1, TransferOutcome::Aborted);
}

/// Whoever put the device to sleep was quicker than the DPC, which found no controller.
#[test]
fn an_end_that_no_dpc_has_taken_before_a_sleep_is_found_after_it() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 100), Ok(()));
    controller.give_up_transfer();
    controller.device().end_transfer();
    assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
    let saved = controller.save();
    controller.restore(saved);
    assert!(controller.tick_transfer());
    assert!(controller.look_at_transfer());
    controller.expect_end(1, TransferOutcome::Aborted);
    assert!(!controller.tick_transfer());
    assert!(!controller.look_at_transfer());
}

#[test]
fn what_a_device_without_power_had_is_taken_out() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_read(1, 100), Ok(()));
    let mut counters = controller.counters();
    assert_eq!(controller.into_transfer(&mut counters), Some(1));
    assert_eq!((counters.dma_started, counters.dma_aborted), (1, 1));
    let mut device = Device::default();
    assert_eq!(started(&mut device).into_transfer(&mut counters), None);
    assert_eq!(counters.dma_aborted, 1);
}

/// Its DPC came while the device slept; whether it was wanted still says what it counts as.
#[test]
fn an_end_that_nobody_has_taken_is_counted_once() {
    for is_given_up in [false, true] {
        let mut device = Device::default();
        let mut controller = started(&mut device);
        assert_eq!(controller.arm_read(1, 100), Ok(()));
        if is_given_up {
            controller.give_up_transfer();
        }
        controller.device().end_transfer();
        assert_eq!(controller.service(0), Service::Claimed(Dpcs::DMA));
        let mut counters = controller.counters();
        assert_eq!(controller.into_transfer(&mut counters), Some(1));
        assert_eq!((counters.dma_completed, counters.dma_aborted), (0, 1));
    }
}
