//! The command channel with a peer that misbehaves.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use edu_interface::{FACTORIAL, FactorialRequest};
use eductl::{Device, Open, System as _, rig::Rig};
use rig_protocol::{Deframer, Frame, Reply, Request, encode};
use zerocopy::IntoBytes as _;

use super::{
    List,
    support::{computes, in_rig, take_down},
};
use crate::{artifacts::Artifacts, machine::Machine, running::Running};

const LIMIT: Duration = Duration::from_mins(1);

pub(super) fn add(list: &mut List) {
    list.add("channel/garbage", garbage);
    list.add("channel/a-program-that-goes-away", goes_away);
    list.add(
        "channel/half-a-request-of-an-earlier-program",
        half_a_request,
    );
    list.add("channel/nothing-was-traced", nothing_traced);
    list.add("channel/256-requests-at-once", many_at_once);
}

/// A driver without an event provider has traced nothing, and that is what the rig says.
fn nothing_traced(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&Machine::new(artifacts), |rig| {
        let (event, lost) = rig.take_traced()?;
        ensure!(
            event.is_none() && lost == 0,
            "{event:?} was traced, {lost} lost"
        );
        Ok(())
    })?;
    Ok(())
}

/// Bytes that are no frame are answered as such, and the channel goes on.
fn garbage(artifacts: &Artifacts) -> anyhow::Result<()> {
    let (running, _) = Machine::new(artifacts).start()?.wait_ready()?;
    let outcome = send_garbage(&running).and_then(|()| works(&running));
    take_down(running, outcome)?;
    Ok(())
}

fn send_garbage(running: &Running) -> anyhow::Result<()> {
    let mut stream = UnixStream::connect(running.socket())?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(b"\0\x05this is no frame\0")?;
    // Longer than any frame: it must be dropped, not kept.
    stream.write_all(&vec![b'x'; 3 * rig_protocol::MAX_FRAME])?;
    stream.write_all(&[0])?;
    let hello = Frame {
        number: 77,
        body: Request::Hello,
    };
    stream.write_all(&encode(&hello)?)?;
    let mut replies = Vec::new();
    let mut deframer = Deframer::new();
    let mut byte = [0];
    while replies.len() < 3 {
        stream
            .read_exact(&mut byte)
            .context("the rig does not answer garbage")?;
        if let Some(frame) = deframer.push::<Reply>(byte[0]) {
            replies.push(frame?);
        }
    }
    let malformed = |frame: &Frame<Reply>| frame.body == Reply::Malformed && frame.number == 0;
    ensure!(
        replies[..2].iter().all(malformed)
            && replies[2].number == 77
            && matches!(replies[2].body, Reply::Hello { .. }),
        "the rig answered {replies:?}"
    );
    Ok(())
}

/// A program ends with requests under way and handles open; the next one is not
/// disturbed, and the driver can be unloaded.
fn goes_away(artifacts: &Artifacts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts).with_processors(2);
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = leave_in_a_hurry(&running).and_then(|()| works(&running));
    take_down(running, outcome)?;
    Ok(())
}

fn leave_in_a_hurry(running: &Running) -> anyhow::Result<()> {
    let mut stream = UnixStream::connect(running.socket())?;
    stream.set_write_timeout(Some(LIMIT))?;
    let open = |number| Frame {
        number,
        body: Request::Open(rig_protocol::Open {
            device: 0,
            read: true,
            write: true,
            trailing_name: String::new(),
        }),
    };
    for number in 1..=3 {
        stream.write_all(&encode(&open(number))?)?;
    }
    let unfinished = encode(&open(4))?;
    stream.write_all(&unfinished[..unfinished.len() / 2])?;
    Ok(())
}

/// Half a request that an ended program left behind is that program's, however the
/// rig's processors share the work: its successor never hears of it.
fn half_a_request(artifacts: &Artifacts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts).with_processors(4);
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = (0..40).try_for_each(|_| {
        let mut stream = UnixStream::connect(running.socket())?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.write_all(b"\0half a request")?;
        stream.shutdown(Shutdown::Write)?;
        // QEMU closes its end once it has taken everything.
        stream.read_to_end(&mut Vec::new())?;
        works(&running)
    });
    take_down(running, outcome)?;
    Ok(())
}

fn works(running: &Running) -> anyhow::Result<()> {
    let rig = running.connect()?;
    let handle = rig.open(&Open::read_write(0))?;
    computes(&Device::new(handle.as_ref()), 12, 0)?;
    handle.close()?;
    Ok(())
}

/// As many requests as the channel carries wait in the driver's queue at once,
/// and each gets its own answer.
fn many_at_once(artifacts: &Artifacts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts).with_processors(4);
    in_rig(&machine, ask_for_many)?;
    Ok(())
}

fn ask_for_many(rig: &Rig) -> anyhow::Result<()> {
    let handle = rig.open_handle(&Open::read_write(0))?;
    let count = u32::try_from(rig_protocol::MAX_OUTSTANDING)?;
    let mut pending = Vec::new();
    for n in 0..count {
        let request = FactorialRequest {
            n,
            timeout_ms: edu_interface::MAX_TIMEOUT_MS,
        };
        pending.push(handle.start_control(FACTORIAL.value(), request.as_bytes(), 8)?);
    }
    for (n, pending) in (0..).zip(pending) {
        let wanted = eductl::commands::factorial::wrapping_factorial(n);
        let answer = [u32::to_le_bytes(n), u32::to_le_bytes(wanted)].concat();
        ensure!(
            pending.wait()? == answer,
            "the answer for {n}! is another request's"
        );
    }
    Ok(())
}
