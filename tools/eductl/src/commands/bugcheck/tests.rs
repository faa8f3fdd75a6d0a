//! What can be said of a bug check without a driver; the scenario `bugcheck/*` has one.

use std::{collections::BTreeSet, fs};

use super::{
    Answer, Cause, Number, Question,
    reasons::{DIRQL, Reason},
    run,
};
use crate::commands::CommandError;

fn question(code: [u8; 4], parameters: [u64; 4]) -> Question {
    Question {
        code: Number(u32::from_be_bytes(code).into()),
        parameters: parameters.map(Number),
        base: None,
        image: None,
        pdb: None,
        addresses: Vec::new(),
    }
}

fn answer(question: &Question) -> Answer {
    run(question).expect("it is a bug check of ours")
}

#[test]
fn numbers_are_as_windbg_writes_them() {
    for (text, number) in [
        ("10", 0x10),
        ("0x4452514c", 0x4452_514c),
        ("fffff806`12340010", 0xffff_f806_1234_0010),
        ("0xFFFFF80612340010", 0xffff_f806_1234_0010),
    ] {
        assert_eq!(text.parse(), Ok(Number(number)), "{text}");
    }
    for text in ["", "0x", "-1", "+1", "edu+10", "1ffffffffffffffff", "`"] {
        assert!(text.parse::<Number>().is_err(), "{text}");
    }
}

#[test]
fn a_broken_invariant_has_its_reason() {
    let told = answer(&question(*b"DRQL", [2, 0xffff_8000_0000_1000, 0, 0])).to_string();
    for words in [
        "0x4452514c (DRQL)",
        "2, DroppedTooHigh: An IRP was dropped above DISPATCH_LEVEL, or a mapping above \
         APC_LEVEL, where the kernel cannot complete or unmap it.",
        "0xffff800000001000",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let error = run(&question(*b"DRQL", [99, 0, 0, 0])).expect_err("there is no such reason");
    assert!(matches!(error, CommandError::Usage(_)), "{error}");
}

#[test]
fn the_reasons_are_those_of_the_reviewed_list() {
    let listed = include_str!("../../../../../driver/edu/STOPS.md");
    let mut rows = 0;
    for line in listed.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &["", number, name, _, _, ""] = cells.as_slice() else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        let reason = Reason::of(number).expect("a reason that is reviewed is one");
        assert_eq!(reason.name, name);
        rows += 1;
    }
    assert!(rows > 5, "{rows} rows");
    let known: Vec<u64> = (0..100).filter(|n| Reason::of(*n).is_some()).collect();
    assert_eq!(known.len(), BTreeSet::from_iter(&known).len());
    assert_eq!(DIRQL.to_be_bytes(), *b"DRQL");
    for number in known {
        let meaning = Reason::of(number).map(Reason::meaning).unwrap_or_default();
        assert!(
            meaning.ends_with('.') && !meaning.contains("  "),
            "{meaning}"
        );
    }
}

#[test]
fn a_panic_has_its_line_even_without_the_image() {
    let told = answer(&question(*b"RPNC", [0xffff_f800_0000_1000, 29, 12, 5])).to_string();
    for words in [
        "(RPNC)",
        "line 12, column 5",
        "29 bytes",
        "--image and --base",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let nowhere = answer(&question(*b"RPNC", [0; 4]));
    assert_eq!(nowhere.cause, Cause::PanicNowhere);
}

#[test]
fn what_is_not_ours_or_not_whole_is_said() {
    let error = run(&question([0, 0, 0, 0xd1], [0, 2, 0, 0])).expect_err("it is not ours");
    assert!(error.to_string().contains("!analyze"), "{error}");

    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("edu.pdb");
    fs::write(&text, "no PDB at all").expect("it can be written");
    let mut asked = question(*b"DRQL", [2, 0, 0, 0]);
    asked.base = Some(Number(0x1000));
    asked.pdb = Some(text.clone());
    asked.addresses = vec![Number(0x1010)];
    let error = run(&asked).expect_err("a text is no PDB").to_string();
    assert!(error.contains("no whole PDB"), "{error}");
    asked.addresses = vec![Number(0xfff)];
    let error = run(&asked).expect_err("before the driver").to_string();
    assert!(error.contains("does not lie in the driver"), "{error}");
    asked.pdb = None;
    let error = run(&asked).expect_err("no symbols").to_string();
    assert!(error.contains("--pdb"), "{error}");
    asked.image = Some(text);
    let error = run(&asked).expect_err("a text is no image").to_string();
    assert!(error.contains("no driver's image"), "{error}");
}
