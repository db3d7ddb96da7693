//! Files of targets are read by a process that may do nothing else, and a file that ends it costs names and nothing
//! more.

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    inline::program::Compiled,
    support::{Tool, begin, children_of, nothing_missing, within},
};

/// Traces the program `fight` from its first instruction, under a fault; the export, what was said, and for how long.
fn fight(fault: &str) -> (Value, String, Duration) {
    let shop = tempfile::tempdir().unwrap();
    let export = shop.path().join("export.json");
    let program = Compiled::of("fight.c", &["-g", "-pthread"]);
    let mut tool = Command::new(env!("CARGO_BIN_EXE_pulse-trace"));
    tool.args(["run", "--probes", "auto,mutex", "--json"]).arg(&export).arg("--").arg(program.path());
    begin();
    let since = Instant::now();
    let mut tool = tool
        .env("PULSE_SANDBOX_FAULT", fault)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tool.stdin.take().unwrap().write_all(b"x").unwrap();
    let Output { status, stdout, stderr } = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{fault}: {said}");
    let export = serde_json::from_slice(&fs::read(&export).unwrap()).unwrap();
    (export, said, since.elapsed())
}

fn notes(export: &Value) -> Vec<&str> {
    export["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect()
}

/// True if nothing is missing but what a hypervisor hides.
fn is_whole(export: &Value) -> bool {
    let book = |name: &str| serde_json::from_value(export["ledger"][name].clone()).unwrap();
    nothing_missing(&book("lost"), &book("degraded"))
}

#[test]
fn the_process_that_reads_files_may_do_nothing_else() {
    let mut program = Compiled::of("fight.c", &["-g", "-pthread"]).start(&[]);
    assert_eq!(program.line(), "ready");
    let tool = Tool::attach(program.pid(), &["--quiet"]);
    let reader = children_of(tool.pid()).into_iter().find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "pulse-reader\n")
    });
    let reader = reader.unwrap_or_else(|| panic!("{:?}", children_of(tool.pid())));
    let status = fs::read_to_string(format!("/proc/{reader}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(field("Uid:"), "65534 65534 65534 65534");
    assert_eq!(field("Gid:"), "65534 65534 65534 65534");
    assert_eq!(field("Groups:"), "");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:", "CapBnd:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1".to_owned(), "2".to_owned()));
    for descriptor in fs::read_dir(format!("/proc/{reader}/fd")).unwrap().flatten() {
        let Ok(leads_to) = fs::read_link(descriptor.path()) else { continue };
        let leads_to = leads_to.to_string_lossy().into_owned();
        let is_code =
            leads_to.starts_with("/") && !leads_to.starts_with("/dev/") && !leads_to.starts_with("/proc/");
        assert!(is_code || leads_to == "/dev/null" || leads_to.starts_with("socket:"), "{leads_to}");
    }
    tool.signal(rustix::process::Signal::INT);
    assert!(tool.end().0.success());
    within(Duration::from_secs(10), "its end with the tool's", || {
        fs::read(format!("/proc/{reader}/maps")).map_or(true, |maps| maps.is_empty())
    });
}

#[test]
fn no_way_out_is_open_to_it() {
    let (export, said, _) = fight("escape program");
    assert_eq!(notes(&export), [""; 0], "{said}");
    assert!(!fs::exists("/tmp/pulse-trace-escape").unwrap());
}

#[test]
fn a_file_that_ends_its_reader_costs_names_and_one_note() {
    for (fault, why) in [
        ("crash program", "was ended by signal"),
        ("hang program", "took more than 2 s of CPU time"),
        ("memory program", "the process that read it "),
    ] {
        let (export, said, took) = fight(fault);
        let notes = notes(&export);
        assert_eq!(notes.len(), 1, "{fault}: {notes:?}");
        assert!(
            notes[0].contains("/program: the process that read it ") && notes[0].contains(why),
            "{notes:?}"
        );
        assert!(is_whole(&export), "{fault}: {said}");
        assert_eq!(export["ledger"]["events"]["contended_acquisitions"], 5, "{fault}: {said}");
        assert!(took < Duration::from_secs(30), "{fault}: {took:?}");
    }
}

#[test]
fn a_library_that_ends_its_reader_is_not_probed_and_all_else_is_counted() {
    let (export, said, _) = fight("crash libc.so.6");
    let notes = notes(&export);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("mutex: cannot read ") && notes[0].contains("libc.so.6"), "{notes:?}");
    assert!(is_whole(&export), "{said}");
    assert!(export["ledger"]["counted"].as_u64() > Some(50), "{said}");
}
