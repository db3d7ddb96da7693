//! Reads what a machine said about each probe and lays the kernels side by side.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{kernels::Kernel, qemu::Boot};

/// Results of one kernel.
pub struct Column {
    /// Release of the kernel.
    pub kernel: String,
    /// Probe, what became of it, and how many instructions the verifier walked.
    probes: Vec<Probe>,
    /// Verdict of the self-test; an error holds the reason.
    pub verdict: Result<(), String>,
}

/// A line `PROBE <name> <works|falls back to X|refused: message> insns=<n>` or `TRUTH <name> <outcome>`.
#[derive(Debug, PartialEq, Eq)]
struct Probe {
    name: String,
    outcome: String,
    instructions: Option<String>,
}

impl Probe {
    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let (name, rest) = rest.split_once(' ')?;
        let name = match kind {
            "PROBE" => name.to_owned(),
            "TRUTH" => format!("truth of {name}"),
            _ => return None,
        };
        let (outcome, instructions) = match rest.rsplit_once(" insns=") {
            Some((outcome, count)) => (outcome, Some(count.trim().to_owned())),
            None => (rest, None),
        };
        Some(Self { name, outcome: outcome.trim().to_owned(), instructions })
    }
}

impl Column {
    /// Reads a console.
    pub fn read(kernel: &Kernel, boot: &Boot) -> Self {
        let lines = || boot.console.lines().map(str::trim);
        let probes: Vec<Probe> = lines().filter_map(Probe::parse).collect();
        let verdict = verdict(boot, &probes);
        Self { kernel: kernel.release.clone(), probes, verdict }
    }

    /// For the line that is printed while the others still boot.
    pub fn verdict_in_words(&self) -> &str {
        self.verdict.as_ref().map_or_else(String::as_str, |()| "ok")
    }
}

fn verdict(boot: &Boot, probes: &[Probe]) -> Result<(), String> {
    let said = |wanted: &str| boot.console.lines().any(|line| line.trim() == wanted);
    let failure = if let Some(oops) = boot.console.lines().find(|line| is_oops(line)) {
        format!("the kernel reports `{}`", oops.trim())
    } else if let Some(trouble) = &boot.trouble {
        trouble.clone()
    } else if !said("VM STATUS 0") || !said("SELFTEST OK") {
        "the self-test did not pass".to_owned()
    } else if probes.is_empty() {
        "the self-test tried no probe".to_owned()
    } else {
        return Ok(());
    };
    let tail: Vec<&str> = boot.console.lines().filter(|line| !line.trim().is_empty()).collect();
    let (before, tail) = tail.split_at(tail.len().saturating_sub(15));
    let said = before.iter().filter(|line| ["PROBE ", "TRUTH "].iter().any(|own| line.starts_with(own)));
    let said: Vec<&str> = said.copied().collect();
    Err(format!(
        "{failure}; the self-test says\n    {}\n    the console ends with\n    {}",
        said.join("\n    "),
        tail.join("\n    ")
    ))
}

/// First report of a breakpoint in the kernel's own code.
pub const INT3: &str = "int3: 0000 [#1]";

/// Recognises a line by which a kernel reports that something of it is broken. That a processor stood still is no such
/// report: a busy host has the emulator wait.
pub fn is_oops(line: &str) -> bool {
    const SIGNS: [&str; 6] =
        ["[ cut here ]", "BUG:", "Oops", INT3, "Kernel panic", "general protection fault"];
    SIGNS.iter().any(|sign| line.contains(sign)) && !line.contains("soft lockup")
}

/// Probes down, kernels across. Messages that are too long for a cell follow below.
pub fn table(columns: &[Column]) -> String {
    let names: BTreeSet<&str> =
        columns.iter().flat_map(|column| &column.probes).map(|probe| probe.name.as_str()).collect();
    let mut notes = Vec::new();
    let mut text = String::from("| probe |");
    for column in columns {
        let _ = write!(text, " {} |", column.kernel);
    }
    let _ = write!(text, "\n| --- |{}", " --- |".repeat(columns.len()));
    for name in names {
        let _ = write!(text, "\n| {name} |");
        for column in columns {
            let _ = write!(text, " {} |", cell(column, name, &mut notes));
        }
    }
    for (number, note) in (1..).zip(&notes) {
        let _ = write!(text, "\n({number}) {note}");
    }
    text
}

/// All lines of one probe: it may have several programs.
fn cell(column: &Column, name: &str, notes: &mut Vec<String>) -> String {
    let mut parts = Vec::new();
    for probe in column.probes.iter().filter(|probe| probe.name == name) {
        let (short, message) = probe.outcome.split_once(": ").unwrap_or((&probe.outcome, ""));
        let mut part = short.to_owned();
        // What went well needs no note.
        if !message.is_empty() && !short.starts_with("ok") {
            let note = format!("{}: {name}: {message}", column.kernel);
            notes.push(note);
            let _ = write!(part, " ({})", notes.len());
        }
        if let Some(instructions) = &probe.instructions {
            let _ = write!(part, ", {instructions} insns");
        }
        parts.push(part);
    }
    if parts.is_empty() { "not tried".into() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const GOOD: &str = "VM KERNEL 6.1\n[    1.0] noise\nPROBE syscalls works insns=1234\n\
                        PROBE sched falls back to raw tracepoints insns=99\n\
                        TRUTH threads ok: 5 of 5\nSELFTEST OK\nVM STATUS 0\n";

    fn column(release: &str, console: &str, trouble: Option<&str>) -> Column {
        let kernel = Kernel { release: release.into(), image: PathBuf::new() };
        let boot = Boot { console: console.into(), trouble: trouble.map(str::to_owned), is_stale: false };
        Column::read(&kernel, &boot)
    }

    #[test]
    fn kernels_stand_side_by_side() {
        let old = "PROBE syscalls refused: unknown func 177 insns=0\nSELFTEST FAILED\nVM STATUS 1\n";
        let columns = [column("5.10", old, None), column("6.1", GOOD, None)];
        let expected = "| probe | 5.10 | 6.1 |\n| --- | --- | --- |\n\
                        | sched | not tried | falls back to raw tracepoints, 99 insns |\n\
                        | syscalls | refused (1), 0 insns | works, 1234 insns |\n\
                        | truth of threads | not tried | ok |\n\
                        (1) 5.10: syscalls: unknown func 177";
        assert_eq!(table(&columns), expected);
        assert!(columns[0].verdict.as_ref().unwrap_err().contains("unknown func"));
        assert_eq!(columns[1].verdict, Ok(()));
    }

    #[test]
    fn nothing_but_a_whole_self_test_passes() {
        for bad in
            ["", "SELFTEST OK\nVM STATUS 0", "PROBE a works\nSELFTEST OK", "PROBE a works\nVM STATUS 0"]
        {
            assert!(column("x", bad, None).verdict.is_err(), "{bad}");
        }
        for oops in [
            "[    3.1] BUG: kernel NULL pointer dereference, address: 0",
            "KMSG <4>[ 9.0] ------------[ cut here ]------------",
        ] {
            let console = format!("{oops}\n{GOOD}");
            assert!(column("x", &console, None).verdict.unwrap_err().starts_with("the kernel reports `"));
        }
        assert!(column("x", GOOD, Some("it hung")).verdict.unwrap_err().starts_with("it hung"));
    }
}
