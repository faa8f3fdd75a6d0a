//! The checks.

use dirql::{
    device::Device,
    dma::DmaDescription,
    irql::{Passive, UpToDispatch, at_dispatch},
    status::NtError,
};
use test_driver::{DmaCommand, Failed, Outcome, check, figures, until};

use crate::{
    ADDRESS_WIDTH, COMMON_BUFFER, Dma,
    engine::{self, Job},
};

pub(crate) fn run(
    device: &Device<Dma>,
    irql: &mut UpToDispatch,
    number: u32,
    _arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    match number {
        1 => common_buffer(device, irql),
        2 => Ok(counts(device, irql)),
        3 => refusals(device, irql),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// The common buffer goes to the device and comes back, and its words are whole.
fn common_buffer(device: &Device<Dma>, irql: &mut Passive) -> Outcome {
    const WORDS: u32 = 16;
    let common = &device.common;
    check!(common.read::<u64>(0)? == 0);
    for word in 0..WORDS {
        let offset = usize::try_from(word.wrapping_mul(4)).map_err(|_| Failed::here())?;
        common.store32(offset, 0x0101_0101_u32.wrapping_mul(word))?;
    }
    transfer(device, irql, true)?;
    for word in 0..WORDS / 2 {
        let offset = usize::try_from(word.wrapping_mul(8)).map_err(|_| Failed::here())?;
        common.store64(offset, u64::MAX)?;
    }
    transfer(device, irql, false)?;
    for word in 0..WORDS {
        let offset = usize::try_from(word.wrapping_mul(4)).map_err(|_| Failed::here())?;
        check!(common.load32(offset)? == 0x0101_0101_u32.wrapping_mul(word));
    }
    check!(common.load32(2) == Err(NtError::STATUS_DATATYPE_MISALIGNMENT));
    check!(common.load32(COMMON_BUFFER) == Err(NtError::STATUS_BUFFER_TOO_SMALL));
    check!(common.write(COMMON_BUFFER.wrapping_sub(1), &0_u16).is_err());
    Ok(figures([]))
}

/// Has the device copy the start of the common buffer, one way.
fn transfer(device: &Device<Dma>, irql: &mut Passive, to_device: bool) -> Result<(), Failed> {
    let memory = device.common.logical_address().ok_or(Failed::here())?;
    let job = Job::Common(DmaCommand {
        memory,
        position: 0,
        count: 64,
        to_device,
    });
    if let Err((_, error)) = at_dispatch(irql, |irql| engine::submit(device, irql, job)) {
        return Err(error.into());
    }
    until(irql, |irql| {
        device
            .engine
            .with(irql, |_, engine| engine.take_common_done())
    })
}

/// What the engine has done so far.
fn counts(device: &Device<Dma>, irql: &mut Passive) -> [u64; 8] {
    let (counts, granted) = device
        .engine
        .with(irql, |_, engine| (engine.counts, engine.granted()));
    figures([
        counts.packets,
        counts.parts,
        counts.lists,
        counts.pieces,
        counts.waited,
        counts.stopped,
        u64::from(granted),
    ])
}

/// What must be refused, is.
fn refusals(device: &Device<Dma>, irql: &mut Passive) -> Outcome {
    let this = device.pinned().project_ref();
    let mut description = DmaDescription {
        address_width: ADDRESS_WIDTH,
        maximum_length: 4096,
        scatter_gather: false,
    };
    check!(this.channel.open(device, irql, &description) == Err(NtError::STATUS_DEVICE_BUSY));
    description.address_width = 65;
    check!(this.channel.open(device, irql, &description) == Err(NtError::STATUS_INVALID_PARAMETER));
    check!(this.common.allocate(device, irql, this.channel) == Err(NtError::STATUS_DEVICE_BUSY));
    Ok(figures([]))
}
