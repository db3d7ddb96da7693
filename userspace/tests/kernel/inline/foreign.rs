//! A program that knows nothing of all this says the same before, while and after it is counted in.

use std::{
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use binary::locate::replaceable::Passing;
use kernel::inline::{Detail, Patch};

use super::{code, mappings};
use crate::support::{installed, need, reads_by_the_tool};

/// Lines in no order.
fn lines() -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut text = Vec::new();
    for _ in 0..60_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        writeln!(text, "{state:08x}").unwrap();
    }
    text
}

/// Sorts by several threads, which hand parts to each other under mutexes.
fn sort() -> (Child, ChildStdin) {
    reads_by_the_tool();
    let mut command = Command::new("sort");
    command.args(["--parallel=4", "--buffer-size=64M"]).env("LC_ALL", "C");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

/// Its whole output; it must end well.
fn rest(mut child: Child, mut input: ChildStdin, text: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || input.write_all(text).unwrap());
        stdout.read_to_end(&mut output).unwrap();
    });
    assert!(child.wait().unwrap().success());
    output
}

#[test]
fn a_foreign_program_says_the_same() {
    need!(installed("sort"), "sort is not installed");
    let text = lines();
    let (child, input) = sort();
    let before = rest(child, input, &text);
    assert_eq!(before.len(), text.len());
    // While it is counted in.
    let (child, mut input) = sort();
    let half = text.len() / 2;
    input.write_all(&text[..half]).unwrap();
    let patch = Patch::put_in(child.id(), Detail::Kinds).unwrap();
    assert!(rest(child, input, &text[half..]) == before, "its output is another one");
    let counted = patch.read().unwrap();
    let attempts = counted.of(Passing::NormalAttempt) + counted.of(Passing::AdaptiveAttempt);
    assert!(attempts > 0, "nothing was counted");
    drop(patch);
    // After it was.
    let (child, mut input) = sort();
    // More than a pipe holds: it has begun.
    input.write_all(&text[..half]).unwrap();
    let untouched = code(child.id());
    let mut patch = Patch::put_in(child.id(), Detail::Kinds).unwrap();
    assert!(code(child.id()) != untouched);
    patch.remove().unwrap();
    assert!(code(child.id()) == untouched, "the code is not what it was");
    assert!(mappings(child.id()).is_empty());
    assert!(rest(child, input, &text[half..]) == before, "its output is another one");
}
