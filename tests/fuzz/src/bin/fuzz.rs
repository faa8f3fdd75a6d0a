//! Runs targets without libFuzzer: `fuzz [--seed N] [--executions N] [TARGET [FILE...]]`.
//!
//! With files it tries these; without, the corpus and then inputs by chance, the same ones
//! for the same seed. An input that breaks a promise is kept. It prints as Rust's test
//! harness does.

use std::{
    env, fs,
    panic::{self, PanicHookInfo},
    path::PathBuf,
    process::ExitCode,
    sync::Mutex,
    time::Instant,
};

use anyhow::{Context as _, bail};
use fuzz::{
    corpus::{self, Chance},
    targets::{TARGETS, Target, target},
};

/// What is being tried, for the report of a panic.
static TRIED: Mutex<Option<(&str, Vec<u8>)>> = Mutex::new(None);

/// What the command line says.
#[derive(Debug)]
struct Arguments {
    seed: u64,
    /// Of each target; those of every day if the command line says nothing.
    executions: Option<u64>,
    target: Option<Target>,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let kept = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        kept(info);
        keep_input(info);
    }));
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> anyhow::Result<Arguments> {
    let mut arguments = Arguments {
        seed: 1,
        executions: None,
        target: None,
        files: Vec::new(),
    };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words
                .next()
                .with_context(|| format!("{word} takes a number"))?;
            let parsed = value.parse();
            parsed.with_context(|| format!("{word} takes a number, which {value:?} is not"))
        };
        match word.as_str() {
            "--seed" => arguments.seed = number()?,
            "--executions" => arguments.executions = Some(number()?),
            _ if word.starts_with('-') => {
                bail!("{word} is no option; there are --seed N and --executions N")
            }
            _ if arguments.target.is_none() => {
                let names = TARGETS.map(|target| target.name).join(", ");
                arguments.target =
                    Some(target(&word).with_context(|| {
                        format!("there is no target {word:?}; there are {names}")
                    })?);
            }
            _ => arguments.files.push(PathBuf::from(word)),
        }
    }
    Ok(arguments)
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(target) = arguments.target
        && !arguments.files.is_empty()
    {
        for file in &arguments.files {
            let input = fs::read(file).with_context(|| format!("{}", file.display()))?;
            attempt(target, input);
        }
        println!("fuzz: {}: {} files", target.name, arguments.files.len());
        return Ok(());
    }
    let chosen: Vec<Target> = match arguments.target {
        Some(target) => vec![target],
        None => TARGETS.to_vec(),
    };
    let count = chosen.len();
    for target in chosen {
        let began = Instant::now();
        let inputs = corpus::inputs(target.name)
            .with_context(|| format!("the corpus of {} cannot be read", target.name))?;
        for (_, input) in &inputs {
            attempt(target, input.clone());
        }
        let mut chance = Chance::new(arguments.seed, &inputs, target.longest);
        let executions = arguments.executions.unwrap_or(target.everyday);
        for _ in 0..executions {
            attempt(target, chance.draw());
        }
        println!("test {} ... ok", target.name);
        println!(
            "fuzz: {:12} {} inputs of the corpus and {} by chance (seed {}) keep its promises, {:.1} s",
            target.name,
            inputs.len(),
            executions,
            arguments.seed,
            began.elapsed().as_secs_f64()
        );
    }
    println!("test result: ok. {count} passed; 0 failed");
    Ok(())
}

fn attempt(target: Target, input: Vec<u8>) {
    let mut tried = TRIED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let (_, input) = tried.insert((target.name, input));
    // A copy of it stays for the report; the target borrows nothing of it afterwards.
    let input = input.clone();
    drop(tried);
    (target.run)(&input);
}

/// Writes the input that was tried to a file, and says how to try it again.
fn keep_input(_: &PanicHookInfo<'_>) {
    let Ok(tried) = TRIED.lock() else { return };
    let Some((target, input)) = tried.as_ref() else {
        return;
    };
    println!("test {target} ... FAILED");
    let file = env::temp_dir().join(format!("fuzz-{target}-{}", std::process::id()));
    match fs::write(&file, input) {
        Ok(()) => eprintln!(
            "fuzz: {target}: this input breaks a promise. To try it again: cargo run -p fuzz -- \
             {target} {}",
            file.display()
        ),
        Err(error) => eprintln!("fuzz: {target}: {input:?}, not kept: {error}"),
    }
}
