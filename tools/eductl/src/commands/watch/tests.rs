//! What is shown of what comes, against a fake rig.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use super::{End, Interrupt, News, Options, Summary, names, run};
use crate::{
    commands::CommandError,
    device::Device,
    fake_rig::{self, Fault},
    rig::Rig,
    transport::{Open, System as _},
};

const ENDLESS: Options = Options {
    from_oldest: false,
    count: None,
    duration: None,
};

/// What a run told, by kind, and its summary.
struct Told {
    interrupts: Vec<Interrupt>,
    lost: Vec<u64>,
    summary: Result<Summary, CommandError>,
}

fn watch(device: &Device<'_>, options: &Options) -> Told {
    let (mut interrupts, mut lost) = (Vec::new(), Vec::new());
    let summary = run(device, options, &mut |news| {
        match news {
            News::Interrupt(interrupt) => interrupts.push(interrupt.clone()),
            News::Lost(count) => lost.push(count),
            News::Rates(_) => {}
        }
        Ok(())
    });
    Told {
        interrupts,
        lost,
        summary,
    }
}

fn with_device<R>(fault: Fault, case: impl FnOnce(&Device<'_>) -> R) -> R {
    let rig = Rig::over(fake_rig::start(fault)).unwrap();
    let handle = rig.open(&Open::read_write(0)).unwrap();
    let result = case(&Device::new(handle.as_ref()));
    handle.close().unwrap();
    result
}

#[test]
fn each_interrupt_is_told_once_in_order() {
    with_device(Fault::None, |device| {
        let options = Options {
            from_oldest: true,
            count: Some(20),
            ..ENDLESS
        };
        let told = thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(device, &options));
            for mask in 1..=30 {
                device.raise(mask, 0).unwrap();
            }
            watcher.join().unwrap()
        });
        let seen: Vec<_> = told
            .interrupts
            .iter()
            .map(|interrupt| (interrupt.sequence, interrupt.causes))
            .collect();
        let wanted: Vec<_> = (0..20).zip(1..=20).collect();
        assert_eq!(seen, wanted);
        assert!(
            told.interrupts
                .is_sorted_by_key(|interrupt| interrupt.nanoseconds)
        );
        let summary = told.summary.unwrap();
        assert_eq!((summary.interrupts, summary.lost), (20, 0));
        assert_eq!(summary.end, End::Count);
    });
}

#[test]
fn forgotten_interrupts_are_told_as_lost() {
    with_device(Fault::None, |device| {
        for _ in 0..300 {
            device.raise(2, 0).unwrap();
        }
        let options = Options {
            from_oldest: true,
            count: Some(256),
            ..ENDLESS
        };
        let told = watch(device, &options);
        assert_eq!(told.lost, [44]);
        assert_eq!(told.interrupts[0].sequence, 44);
        let text = told.summary.unwrap().to_string();
        assert!(text.starts_with("256 interrupts in "), "{text}");
        assert!(text.ends_with(", and 44 that were lost"), "{text}");
    });
}

#[test]
fn it_ends_when_the_time_is_over_and_leaves_no_request() {
    with_device(Fault::None, |device| {
        let options = Options {
            duration: Some(Duration::from_millis(50)),
            ..ENDLESS
        };
        let began = Instant::now();
        let told = watch(device, &options);
        assert_eq!(told.summary.unwrap().end, End::Time);
        assert!(began.elapsed() < Duration::from_secs(20));
        assert!(told.interrupts.is_empty());
    });
}

#[test]
fn a_reply_that_contradicts_itself_ends_it_with_a_sentence() {
    with_device(Fault::MiscountsEvents, |device| {
        device.raise(1, 0).unwrap();
        let options = Options {
            from_oldest: true,
            ..ENDLESS
        };
        let error = watch(device, &options).summary.unwrap_err().to_string();
        assert!(error.contains("announces 2 items"), "{error}");
    });
}

#[test]
fn news_that_cannot_be_told_end_it() {
    with_device(Fault::None, |device| {
        device.raise(1, 0).unwrap();
        let options = Options {
            from_oldest: true,
            ..ENDLESS
        };
        let error = run(device, &options, &mut |news| match news {
            News::Interrupt(_) => Err(io::ErrorKind::BrokenPipe.into()),
            News::Lost(_) | News::Rates(_) => Ok(()),
        });
        assert!(matches!(error, Err(CommandError::Output(_))), "{error:?}");
    });
}

#[test]
fn causes_have_names() {
    assert_eq!(names(0x1), ["factorial"]);
    assert_eq!(
        names(0x8000_0101),
        ["factorial", "DMA", "raised 0x80000000"]
    );
    assert!(names(0).is_empty());
}

#[test]
fn an_interrupt_is_one_line() {
    let interrupt = Interrupt {
        sequence: 41,
        nanoseconds: 12_345_678_901,
        causes: 0x101,
        names: names(0x101),
    };
    assert_eq!(
        interrupt.to_string(),
        "      41       12.345679 s  0x00000101  factorial, DMA"
    );
}
