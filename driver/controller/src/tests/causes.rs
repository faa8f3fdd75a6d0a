//! Which cause says something about which operation: one that is another's changes nothing.

use super::std::vec;

use super::{Device, Tested, started};
use crate::{Deadline, Direction, Dpcs, Register, Service, Transfer};

/// The cause of DMA, as user mode may have it raised.
const DMA: u32 = 0x100;
/// A cause that neither engine has.
const OTHER: u32 = 0x40;

/// Claimed, and no DPC has anything to take.
const NOTHING: Service = Service::Claimed(Dpcs::NONE);

fn arm_read(controller: &mut Tested<'_>, owner: u32) {
    let transfer = Transfer::new(0x1000, 0, 16, Direction::FromDevice).expect("it is inside");
    let mut owner = Some(owner);
    let armed = controller.arm_transfer(&mut owner, transfer, Deadline::after_ticks(1000));
    assert_eq!(armed, Ok(()));
}

/// Only the device's own interrupt for it says that an abandoned factorial has ended.
#[test]
fn what_waits_for_an_abandoned_factorial_is_not_let_go_by_another_cause() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 0), Ok(()));
    assert_eq!(controller.tick(), Some(1));
    for armed in [false, true] {
        if armed {
            assert_eq!(controller.arm_factorial(2, 6, 1000), Ok(()));
        }
        for cause in [OTHER, DMA, 0x8000_0000] {
            controller.device().causes = cause;
            assert_eq!(controller.service(0), NOTHING);
            assert_eq!(controller.device().operand, Some(5));
        }
    }
    controller.device().end_factorial();
    assert_eq!(controller.service(0), NOTHING);
    assert_eq!(controller.device().operand, Some(6));
}

/// The same, when nothing waits: what comes next is still not programmed.
#[test]
fn another_cause_does_not_free_the_engine_of_an_abandoned_factorial() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    assert_eq!(controller.arm_factorial(1, 5, 0), Ok(()));
    assert_eq!(controller.tick(), Some(1));
    controller.device().causes = OTHER;
    assert_eq!(controller.service(0), NOTHING);
    assert_eq!(controller.arm_raise(2, 0x10, 1000), Ok(()));
    assert_eq!(controller.device().causes, 0, "it waits for the factorial");
}

/// A cause of DMA that user mode has raised, and that was given up, may have hidden the end of
/// a transfer: it is looked for. Any other cause hides nothing, and costs the transfer nothing.
#[test]
fn only_a_raised_cause_of_dma_makes_a_transfer_be_looked_at() {
    for (mask, costs) in [(OTHER, 0), (OTHER | DMA, 1)] {
        let mut device = Device::default();
        let mut controller = started(&mut device);
        arm_read(&mut controller, 1);
        assert_eq!(controller.arm_raise(2, mask, 0), Ok(()));
        assert_eq!(controller.tick(), Some(2));
        controller.device().log.clear();
        assert!(!controller.tick_transfer());
        assert_eq!(controller.device().log.len(), costs, "mask {mask:#x}");
    }
}

/// A raised interrupt of another cause leaves a transfer its six register accesses. After one of
/// its own cause the DPC looks. The ISR does not.
#[test]
fn only_a_raised_cause_of_dma_casts_doubt_on_the_end_of_a_transfer() {
    let looks = vec![
        ('r', Register::DmaCommand),
        ('r', Register::InterruptStatus),
    ];
    for (mask, log) in [(OTHER, vec![]), (OTHER | DMA, looks)] {
        let mut device = Device::default();
        let mut controller = started(&mut device);
        arm_read(&mut controller, 1);
        assert_eq!(controller.arm_raise(2, mask, 1000), Ok(()));
        controller.device().end_transfer();
        controller.device().log.clear();
        let both = Dpcs {
            for_isr: true,
            dma: true,
        };
        assert_eq!(controller.service(0), Service::Claimed(both));
        assert_eq!(
            controller.device().log,
            vec![
                ('r', Register::InterruptStatus),
                ('w', Register::Acknowledge),
            ]
        );
        controller.device().log.clear();
        assert_eq!(
            controller.drain_transfer().map(|ended| ended.owner),
            Some(1)
        );
        assert_eq!(controller.device().log, log, "mask {mask:#x}");
    }
}

/// The memory of a transfer stays the device's, whatever else interrupts.
#[test]
fn a_transfer_is_ended_by_no_other_cause() {
    let mut device = Device::default();
    let mut controller = started(&mut device);
    arm_read(&mut controller, 1);
    for cause in [OTHER, 1, 0x8000_0000] {
        controller.device().causes = cause;
        assert_eq!(controller.service(0), NOTHING);
        assert_eq!(controller.drain_transfer(), None);
    }
}
