//! Commands that are counted in from their first instruction.

use std::{fs, path::Path, process::Command, time::Duration};

use super::{
    program::{Compiled, Program},
    truth::{Ledger, obey},
};
use crate::support::{export, installed, need, within};

const TOOL: &str = env!("CARGO_BIN_EXE_pulse-trace");

/// The tool with a command, which speaks through it.
fn run(json: &Path, between: &[&str], arguments: &[&str]) -> Program {
    let json = json.to_string_lossy().into_owned();
    let tool = [TOOL, "run", "--inline", "--probes", "syscalls", "-q", "--json", &json, "--"];
    Compiled::of("truth.c", &["-pthread"]).start_by(&[&tool, between].concat(), arguments)
}

/// Numbers of each process from its beginning to its end.
fn play(mut program: Program) -> Vec<Ledger> {
    assert_eq!(obey(&mut program, None).iter().map(|ledger| ledger.total).sum::<u64>(), 0);
    let first = obey(&mut program, Some("round 1009 4003"));
    let second = obey(&mut program, Some("hold 23 4003"));
    assert!(program.end().success());
    let pairs = first.into_iter().zip(second);
    pairs.map(|(a, b)| a.and(b)).collect()
}

#[test]
fn a_command_is_counted_in_from_its_first_acquisition() {
    need!(installed("gcc"), "gcc is not installed");
    let shop = tempfile::tempdir().unwrap();
    let json = shop.path().join("json");
    let ledgers = play(run(&json, &[], &["adaptive", "4", "256", "1"]));
    let export = export(&json);
    let process = export.processes.iter().find(|process| process.pid == ledgers[0].pid).unwrap();
    let adaptive = process.inline.iter().find(|inline| inline.kind == "adaptive").unwrap();
    assert_eq!(adaptive.acquisitions, ledgers[0].total);
    assert_eq!(adaptive.contended, ledgers[0].contended());
    assert!(adaptive.gave_up_spinning.unwrap() >= 23 && adaptive.went_to_kernel >= 23);
    assert_eq!(adaptive.spin_count.as_ref().unwrap().count, adaptive.contended);
    assert!(!export.notes.iter().any(|note| note.starts_with("inline:")), "{:?}", export.notes);
}

#[test]
fn what_a_command_starts_or_becomes_is_named() {
    need!(installed("gcc"), "gcc is not installed");
    let shop = tempfile::tempdir().unwrap();
    let json = shop.path().join("json");
    let ledgers = play(run(&json, &[], &["adaptive", "2", "256", "2"]));
    let told = export(&json);
    let process = told.processes.iter().find(|process| process.pid == ledgers[0].pid).unwrap();
    assert_eq!(process.inline[0].acquisitions, ledgers[0].total, "a child's are not its parent's");
    let child = told.processes.iter().find(|process| process.pid == ledgers[1].pid).unwrap();
    assert_eq!((child.inline[0].acquisitions, child.parent), (ledgers[1].total, Some(ledgers[0].pid)));
    assert!(!told.notes.iter().any(|note| note.starts_with("inline:")), "{:?}", told.notes);
}

/// A command becomes the program, starts it, or starts a process that becomes it: all that it acquires once its
/// counters are in is counted.
#[test]
fn programs_that_a_command_starts_or_becomes_are_counted_in() {
    need!(installed("gcc"), "gcc is not installed");
    let shop = tempfile::tempdir().unwrap();
    let json = shop.path().join("json");
    for script in [r#"exec "$@""#, r#""$@"; exit $?"#, r#"(exec "$@"); exit $?"#] {
        let mut program = run(&json, &["sh", "-c", script, "sh"], &["adaptive", "2", "256", "1"]);
        let pid = obey(&mut program, None)[0].pid;
        within(Duration::from_secs(10), "the counters to be in", || {
            fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().contains("memfd:pulse-trace")
        });
        // Mapped first, and put into the code before the process is let go of.
        within(Duration::from_secs(10), "the process to be let go of", || {
            fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains("TracerPid:\t0\n")
        });
        let ledger = obey(&mut program, Some("round 1009 4003")).remove(0);
        assert!(program.end().success());
        let told = export(&json);
        let process = told.processes.iter().find(|process| process.pid == pid).unwrap();
        assert_eq!(process.inline[0].acquisitions, ledger.total, "{script}: {:?}", told.notes);
        assert_eq!(process.inline[0].contended, ledger.contended(), "{script}");
        let cost = told.overhead.inline.unwrap();
        assert_eq!((cost.programs, cost.late, cost.left_alone), (2, 1, 0), "{script}: {:?}", told.notes);
        assert!(cost.late_cpu_ns > 0);
    }
}

/// A static program has no library to count in, and a note gives that reason.
#[test]
fn programs_without_counters_are_told_of() {
    need!(installed("gcc"), "gcc is not installed");
    let fixed = Compiled::of("refusals.c", &["-static"]);
    let shop = tempfile::tempdir().unwrap();
    let json = shop.path().join("json");
    let words = ["run", "--inline", "--probes", "syscalls", "--json"];
    let mut tool = Command::new(TOOL);
    tool.args(words).arg(&json).args(["--", "sh", "-c", r#""$0" </dev/null; true"#]).arg(fixed.path());
    let output = tool.output().unwrap();
    let told = export(&json);
    let cost = told.overhead.inline.unwrap();
    assert_eq!((cost.programs, cost.late, cost.left_alone), (1, 0, 1), "{:?}", told.notes);
    let note = "inline: 1 program that targets started or became is not counted in: it ";
    assert!(told.notes.iter().any(|it| it.starts_with(note)), "{:?}", told.notes);
    let text = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
    assert!(text.contains("1 program has no counters"), "{text}");
}

#[test]
fn a_command_that_cannot_be_counted_in_does_not_begin() {
    need!(installed("gcc"), "gcc is not installed");
    let fixed = Compiled::of("refusals.c", &["-static"]);
    let tool = |command: &str| {
        let arguments = ["run", "--inline", "--probes", "syscalls", "--", command];
        Command::new(TOOL).args(arguments).output().unwrap()
    };
    let output = tool(&fixed.path().to_string_lossy());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("it has no C library mapped"), "{said}");
    assert!(output.stdout.is_empty(), "it said something");
    assert!(!output.status.success());
    // The same as without counters.
    let nothing = fixed.path().with_file_name("nothing");
    std::fs::write(&nothing, "#!/nonexistent/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&nothing, mode).unwrap();
    let output = tool(&nothing.to_string_lossy());
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot run"), "{output:?}");
}
