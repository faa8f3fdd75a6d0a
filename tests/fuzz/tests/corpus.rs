//! What fuzzing has found stays found: every input of the corpus, those of mended mistakes
//! among them, keeps the promises of its target.

use fuzz::{corpus, targets::TARGETS};

#[test]
fn every_input_of_the_corpus_keeps_the_promises() {
    for target in TARGETS {
        let inputs = corpus::inputs(target.name).expect("the corpus can be read");
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for (name, input) in inputs {
            assert!(input.len() <= target.longest, "{}/{name}", target.name);
            println!("{}/{name}", target.name);
            (target.run)(&input);
        }
    }
}

#[test]
fn the_corpus_is_small() {
    let inputs = TARGETS.map(|target| corpus::inputs(target.name).expect("it can be read"));
    let inputs: Vec<_> = inputs.iter().flatten().collect();
    let bytes: usize = inputs.iter().map(|(_, input)| input.len()).sum();
    assert!(inputs.len() < 1_000, "{} files", inputs.len());
    assert!(bytes < 300 * 1_024, "{bytes} bytes");
}
