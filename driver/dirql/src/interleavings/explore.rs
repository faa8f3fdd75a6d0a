//! Running a flow in every order, as it is and with each of its seeded mistakes.
//!
//! A mistake is made in a process of its own, because the checker's panic comes out of a
//! routine with the C ABI often enough, and that ends the process.

use std::{
    boxed::Box,
    env,
    process::Command,
    string::{String, ToString as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::{
    kernel,
    mistake::{self, Seed},
};

/// The mistake that this process is to make, by its name.
const MISTAKE: &str = "INTERLEAVINGS_MISTAKE";
/// Set for the wider bounds.
const LONG: &str = "INTERLEAVINGS_LONG";

/// How far a flow is explored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How often in one run a thread that could go on is made to wait.
    pub(super) preemptions: usize,
    /// The same where there is time.
    pub(super) preemptions_long: usize,
}

/// Explores `flow`, then shows that each of its mistakes is found. `test` is the whole name of the
/// test that calls this.
pub(super) fn explore(test: &str, bounds: Bounds, seeds: &[Seed], flow: fn()) {
    if let Ok(name) = env::var(MISTAKE) {
        let seed = seeds.iter().find(|seed| seed.name == name);
        let seed = seed.expect("a mistake of this flow");
        check(bounds.preemptions, Some(*seed), flow);
        return;
    }
    let preemptions = if env::var_os(LONG).is_some() {
        bounds.preemptions_long
    } else {
        bounds.preemptions
    };
    let begin = Instant::now();
    let orders = check(preemptions, None, flow);
    let flow_name = test
        .trim_start_matches("interleavings::flows::")
        .replace("::every_order", "")
        .replace('_', " ");
    std::println!(
        "interleavings: {flow_name}: {orders} orders with up to {preemptions} preemptions, {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    for seed in seeds {
        let words = found(test, seed);
        std::println!(
            "interleavings: {flow_name}: found \"{}\" {words}",
            seed.name
        );
    }
}

/// How many orders there were.
fn check(preemptions: usize, seed: Option<Seed>, flow: fn()) -> usize {
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    let mistake = seed.map(|seed| seed.mistake);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 50_000;
    // What the environment may say would end the exploration before it is complete.
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.checkpoint_file = None;
    if mistake.is_some() {
        let hook = std::panic::take_hook();
        let orders = Arc::clone(&orders);
        std::panic::set_hook(Box::new(move |panic| {
            hook(panic);
            std::eprintln!("\nafter {} orders", orders.load(Ordering::Relaxed));
        }));
    }
    builder.check(move || {
        mistake::make(mistake);
        counted.fetch_add(1, Ordering::Relaxed);
        flow();
        kernel::end();
    });
    orders.load(Ordering::Relaxed)
}

/// Makes the mistake in a process of its own; when it was found.
fn found(test: &str, seed: &Seed) -> String {
    let program = env::current_exe().expect("this test program");
    let output = Command::new(program)
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(MISTAKE, seed.name)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("it can be run again");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success(),
        "nobody noticed the mistake \"{}\":\n{said}",
        seed.name
    );
    assert!(
        seed.symptoms.iter().any(|symptom| said.contains(symptom)),
        "the mistake \"{}\" had another effect than {:?}:\n{said}",
        seed.name,
        seed.symptoms
    );
    let after = said.lines().find(|line| line.starts_with("after "));
    after.unwrap_or_default().to_string()
}
