//! The corpus, and bytes by chance.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use fastrand::Rng;

/// The folder of a target's corpus.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target)
}

/// The inputs of a target's corpus with their names, in the order of these.
///
/// # Errors
/// When they cannot be read.
pub fn inputs(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        inputs.push((name, fs::read(entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Inputs by chance: most are an input of the corpus with a few bytes altered, or two
/// of them put together; the others are bytes out of nowhere.
#[derive(Debug)]
pub struct Chance<'a> {
    random: Rng,
    corpus: &'a [(String, Vec<u8>)],
    longest: usize,
}

impl<'a> Chance<'a> {
    /// Those of `seed`.
    #[must_use]
    pub fn new(seed: u64, corpus: &'a [(String, Vec<u8>)], longest: usize) -> Self {
        Self {
            random: Rng::with_seed(seed),
            corpus,
            longest,
        }
    }

    /// The next input.
    pub fn draw(&mut self) -> Vec<u8> {
        let mut input = match self.random.choice(self.corpus) {
            Some((_, input)) if self.random.u8(..) > 50 => input.clone(),
            _ => {
                let length = self.random.usize(..=self.longest);
                std::iter::repeat_with(|| self.random.u8(..))
                    .take(length)
                    .collect()
            }
        };
        if self.random.u8(..) < 50
            && let Some((_, other)) = self.random.choice(self.corpus)
        {
            let (end, begin) = (
                self.random.usize(..=input.len()),
                self.random.usize(..=other.len()),
            );
            input.truncate(end);
            input.extend_from_slice(other.get(begin..).unwrap_or(&[]));
        }
        for _ in 0..self.random.u32(0..4) {
            let place = self.random.usize(..=input.len());
            match input.get_mut(place) {
                Some(byte) if self.random.bool() => *byte = self.random.u8(..),
                Some(byte) => *byte ^= 1 << self.random.u32(0..8),
                None => input.push(self.random.u8(..)),
            }
        }
        input.truncate(self.longest);
        input
    }
}
