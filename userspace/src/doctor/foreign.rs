//! Probes of other tools in a target's C library: they slow down what is measured.

use std::{fs, io};

use binary::{locate::replaceable::JUMP, service::Sample, symbolize::Registers};
use kernel::{inline, sandbox::Names};

use super::{Finding, Verdict, code::CodeFile};

/// Places that are named.
const NAMED: usize = 4;
/// Changed bytes so close to each other are one place.
const NEAR: usize = 8;
/// Directories at which tracefs may be mounted.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// A place where the code that runs is not the one in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    /// Offset in the mapping.
    at: usize,
    /// First byte that differs, as it is in memory.
    first: u8,
}

/// Findings about the C library's files: counters of this tool's own, then changes by others.
pub fn examine(pid: u32, files: &[CodeFile], names: &mut Names) -> Vec<Finding> {
    let mut changes = Vec::new();
    for file in files.iter().filter(|file| file.is_c_library()) {
        match file.both() {
            Ok((running, written)) => {
                let found = differences(&running, &written).into_iter();
                changes.extend(found.map(|change| (file.mapping.start + change.at as u64, change)));
            }
            Err(cause) => return vec![unreadable(&cause)],
        }
    }
    let mine = take_own(&mut changes, &inline::replaced(pid));
    let mut findings: Vec<Finding> = (mine > 0).then(|| own(pid, mine)).into_iter().collect();
    findings.push(of_others(pid, files, &changes, names));
    findings
}

/// Takes out what counters of `--inline` have replaced, and says how many there were.
fn take_own(changes: &mut Vec<(u64, Change)>, counters: &[u64]) -> usize {
    let all = changes.len();
    changes.retain(|(address, _)| !counters.iter().any(|at| (*at..*at + JUMP as u64).contains(address)));
    all - changes.len()
}

fn own(pid: u32, places: usize) -> Finding {
    Finding::bad(
        "counters inside",
        Verdict::Note,
        format!("counters of `pulse-trace --inline` are in {places} places of its C library"),
        "of a session that still runs, or left by one that was killed: harmless, a few nanoseconds each",
        &format!("if no such session runs: `pulse-trace doctor -p {pid} --repair` removes them"),
    )
}

fn of_others(pid: u32, files: &[CodeFile], changes: &[(u64, Change)], names: &mut Names) -> Finding {
    let mut registered: Vec<String> =
        files.iter().filter(|file| file.is_c_library()).flat_map(registered).collect();
    registered.sort();
    if changes.is_empty() && registered.is_empty() {
        return Finding::ok(
            "other tracers",
            "no other program has changed the C library's code or registered a probe for it",
            "no other tracer slows down its locks",
        );
    }
    let mut text = described(pid, changes, names);
    if !registered.is_empty() {
        let separator = if text.is_empty() { "" } else { "; " };
        text += &format!("{separator}registered in tracefs: {}", listed(&registered));
    }
    Finding::bad(
        "other tracers",
        Verdict::Note,
        text,
        "each pass of such a place costs microseconds, many times what a lock costs; it is part of every time and changes who wins a lock",
        "end that tracer; `bpftool perf list` and uprobe_events in tracefs name it",
    )
}

fn unreadable(cause: &io::Error) -> Finding {
    Finding::bad(
        "other tracers",
        Verdict::Note,
        format!("cannot compare the C library's code with its file: {cause}"),
        "whether another program probes it is unknown",
        "CAP_SYS_PTRACE and CAP_CHECKPOINT_RESTORE, or root",
    )
}

/// Places at which two pieces of code differ.
fn differences(running: &[u8], written: &[u8]) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut last = None;
    for (at, (now, then)) in running.iter().zip(written).enumerate() {
        if now != then {
            if last.is_none_or(|last| at - last > NEAR) {
                changes.push(Change { at, first: *now });
            }
            last = Some(at);
        }
    }
    changes
}

fn described(pid: u32, changes: &[(u64, Change)], names: &mut Names) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let place = |(address, change): &(u64, Change)| {
        let registers = Registers { ip: *address, ..Registers::default() };
        let stacks = names.unwind(&[Sample { pid, registers, bytes: Vec::new() }]);
        let frames = stacks.first().map(|stack| names.describe(stack)).unwrap_or_default();
        let named = frames.first().map(ToString::to_string);
        format!("{} at {}", what(change.first), named.unwrap_or_else(|| format!("{address:#x}")))
    };
    let noun = if changes.len() == 1 { "place" } else { "places" };
    let places: Vec<String> = changes.iter().take(NAMED).map(place).collect();
    let more =
        if changes.len() > NAMED { format!(", {} more", changes.len() - NAMED) } else { String::new() };
    format!("its C library is changed in {} {noun}: {}{more}", changes.len(), places.join(", "))
}

/// Name of the instruction that a probe leaves behind: a trap, or where the kernel could do better, a call.
fn what(first: u8) -> &'static str {
    match first {
        0xcc if cfg!(target_arch = "x86_64") => "a breakpoint",
        0xe8 if cfg!(target_arch = "x86_64") => "a call",
        0xe9 if cfg!(target_arch = "x86_64") => "a jump",
        _ => "other code",
    }
}

/// Probes that tracefs has for a file, by name; none where it is not mounted.
fn registered(file: &CodeFile) -> Vec<String> {
    let text = TRACEFS.iter().find_map(|root| fs::read_to_string(format!("{root}/uprobe_events")).ok());
    let path = file.mapping.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    of_file(&text.unwrap_or_default(), &path)
}

/// Lines read `p:GROUP/NAME PATH:OFFSET ...`.
fn of_file(text: &str, path: &str) -> Vec<String> {
    let name = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next()?.split_once(':')?.1;
        let (file, _) = words.next()?.rsplit_once(':')?;
        (file == path).then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    if more > 0 { format!("{}, {more} more", shown.join(", ")) } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_probe_is_one_place() {
        let written = [0_u8; 64];
        let mut running = written;
        running[3] = 0xcc;
        running[20..25].copy_from_slice(&[0xe8, 1, 0, 3, 4]);
        let found = differences(&running, &written);
        assert_eq!(found, [Change { at: 3, first: 0xcc }, Change { at: 20, first: 0xe8 }]);
        assert_eq!(differences(&written, &written), []);
    }

    #[test]
    fn our_own_counters_are_no_foreign_probes() {
        let change = |first| Change { at: 0, first };
        let mut changes = vec![(100, change(0xe9)), (205, change(0xcc)), (301, change(7))];
        assert_eq!(take_own(&mut changes, &[100, 200, 300]), 2);
        assert_eq!(changes, [(205, change(0xcc))]);
        let Finding { finding, remedy, .. } = own(42, 2);
        assert!(
            finding.contains("in 2 places") && remedy.contains("doctor -p 42 --repair"),
            "{finding} {remedy}"
        );
    }

    #[test]
    fn only_probes_of_the_file_are_named() {
        let text = "p:uprobes/lock /lib/libc.so.6:0x000000000008c370\n\
                    r:mine/back /lib/libc.so.6:0x1 (ref)\np:uprobes/other /bin/bash:0x1\nnonsense\n";
        assert_eq!(of_file(text, "/lib/libc.so.6"), ["uprobes/lock", "mine/back"]);
        assert_eq!(listed(&of_file(text, "/lib/libc.so.6")), "uprobes/lock, mine/back");
    }
}
