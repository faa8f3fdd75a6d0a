//! The targets can find: given a mistake in place of what they try, each finds it within a
//! bounded number of inputs, those of the corpus first, and none without one.

use std::panic::{self, UnwindSafe};

use fuzz::{
    controller, corpus,
    corpus::Chance,
    frames, replies, requests,
    targets::{Target, target},
};

/// Inputs by chance within which a mistake must be found.
const BOUND: usize = 20_000;
const SEED: u64 = 6;

fn named(name: &str) -> Target {
    target(name).expect("there is such a target")
}

/// How many inputs it takes until one makes `run` panic.
fn found_after(target: Target, run: impl Fn(&[u8]) + Copy + UnwindSafe) -> Option<usize> {
    let corpus = corpus::inputs(target.name).expect("the corpus can be read");
    let mut chance = Chance::new(SEED, &corpus, target.longest);
    let inputs = corpus.iter().map(|(_, input)| input.clone());
    let by_chance = std::iter::repeat_with(|| chance.draw()).take(BOUND);
    inputs
        .chain(by_chance)
        .position(|input| panic::catch_unwind(move || run(&input)).is_err())
}

/// Each mistake is found.
fn all_are_found<M: Copy + UnwindSafe + std::fmt::Debug>(
    name: &str,
    mistakes: &[M],
    run: fn(&[u8], M),
) {
    for mistake in mistakes.iter().copied() {
        let found = found_after(named(name), move |data| run(data, mistake));
        println!("{name}: {mistake:?} is found by input {found:?}");
        assert!(found.is_some(), "{name}: {mistake:?} is not found");
    }
}

#[test]
fn mistakes_of_a_request_parser_are_found() {
    use requests::Mistake::{AccessIgnored, InputPadded, LastByte, OutputUnchecked};
    all_are_found(
        "requests",
        &[OutputUnchecked, InputPadded, AccessIgnored, LastByte],
        requests::run,
    );
}

#[test]
fn mistakes_of_a_driver_are_found() {
    use controller::Mistake::{
        DpcForgotten, HalfAcknowledged, OneByteMore, ResultDropped, SilentTouched, TakenTwice,
        TicksSkipped,
    };
    all_are_found(
        "controller",
        &[
            ResultDropped,
            TakenTwice,
            OneByteMore,
            SilentTouched,
            TicksSkipped,
            DpcForgotten,
            HalfAcknowledged,
        ],
        controller::run,
    );
}

#[test]
fn mistakes_of_a_command_channel_are_found() {
    use frames::Mistake::{Leftover, SevenBits};
    all_are_found("frames", &[Leftover, SevenBits], frames::run);
}

#[test]
fn mistakes_of_a_program_are_found() {
    use replies::Mistake::{CountBelieved, OrderUnchecked, TimeUnchecked};
    all_are_found(
        "replies",
        &[CountBelieved, OrderUnchecked, TimeUnchecked],
        replies::run,
    );
}
