//! The whole report against stored ones, and what must hold for any session.

use std::{fs, path::Path};

use model::{
    frame::{Abi, Call, CallStats, Exit, ProcessKey},
    session::Process,
    synthetic::{self, Shape},
};

use super::*;

/// Compares with a stored report; `UPDATE_GOLDEN=1` stores it anew.
fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap();
    assert!(text == stored, "{name} changed; UPDATE_GOLDEN=1 stores it anew:\n{text}");
}

fn no_line_is_longer(text: &str, width: usize) {
    for line in text.lines() {
        assert!(layout::length(line) <= width, "{} columns: {line}", layout::length(line));
    }
}

#[test]
fn at_80_columns() {
    let session = synthetic::session(3, Shape { processes: 3, frames: 2, ..Shape::default() });
    let text = render(&session, &Options::default());
    no_line_is_longer(&text, 80);
    assert_golden("80.txt", &text);
}

#[test]
fn at_120_columns_with_threads_histograms_and_a_limit() {
    let session = synthetic::session(4, Shape { processes: 2, threads: 2, lossy: false, ..Shape::default() });
    let options = Options {
        width: 120,
        threads: true,
        histograms: true,
        top: Some(2),
        sort: Sort::P99,
        ..Options::default()
    };
    let text = render(&session, &options);
    no_line_is_longer(&text, 120);
    assert_golden("120.txt", &text);
}

#[test]
fn hundreds_of_processes_stay_readable_and_add_up() {
    let session = synthetic::session(5, Shape { processes: 300, frames: 1, ..Shape::default() });
    let text = render(&session, &Options { top: Some(5), ..Options::default() });
    assert!(text.contains("295 more processes are left out"), "{text}");
    assert!(text.contains("--top 300"), "{text}");
    let titles = text.lines().filter_map(|line| line.strip_prefix("process "));
    assert_eq!(titles.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).count(), 5, "{text}");
}

#[test]
fn no_session_makes_a_terminal_obey() {
    for seed in 0..20 {
        let shape =
            Shape { processes: 6, threads: (seed % 3) as u32, lossy: seed % 2 == 0, ..Shape::default() };
        let session = synthetic::session(seed, shape);
        for threads in [false, true] {
            let options = Options { threads, histograms: true, width: 80, ..Options::default() };
            let text = render(&session, &options);
            let hidden = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            assert!(!text.contains(hidden), "{text:?}");
            no_line_is_longer(&text, 80);
        }
    }
}

fn one_call(stats: CallStats, exit: Option<Exit>) -> Session {
    let mut session = Session::new(synthetic::header(Shape::default()));
    let call = Call::whole(Abi::Native, 231);
    let process = Process {
        comm: "worker".to_owned(),
        threads: 1,
        exit,
        syscalls: [((None, call), stats)].into(),
        ..Process::default()
    };
    session.processes.insert(ProcessKey { pid: 7, joined_ns: 1 }, process);
    session.finished = true;
    session
}

#[test]
fn a_call_that_never_returns_has_a_count_and_no_latency() {
    let text =
        render(&one_call(CallStats { unreturned: 1, ..CallStats::default() }, None), &Options::default());
    assert!(text.contains("exit_group     1      0     -    -   -   -   -     -   -\n"), "{text}");
    assert!(text.contains("1 never returned: the thread ended inside the call"), "{text}");
}

#[test]
fn the_end_of_a_process_is_told_in_words() {
    let ends = [(Some(0x300), "exit 3"), (Some(9), "killed by SIGKILL"), (None, "status not known")];
    for (status, words) in ends {
        let exit = Some(Exit { status, at_ns: 1_500_000_000 });
        let text =
            render(&one_call(CallStats { unreturned: 1, ..CallStats::default() }, exit), &Options::default());
        assert!(text.contains(words) && text.contains("at 1.50s"), "{text}");
    }
}

#[test]
fn rows_of_several_processes_are_named_and_counted_as_such() {
    let mut session = one_call(CallStats { unreturned: 1, ..CallStats::default() }, None);
    let like = session.processes.values().next().cloned().unwrap();
    for (joined_ns, comm, folded) in [(0, "[others]", 0), (1, "make", 12), (2, "sh", 1)] {
        let process = Process { comm: comm.to_owned(), folded, ..like.clone() };
        session.processes.insert(ProcessKey { pid: 0, joined_ns }, process);
    }
    session.ledger.degraded.insert("processes_shared".to_owned(), 5);
    let text = render(&session, &Options::default());
    assert!(text.contains("19 processes seen, 13 ended meanwhile"), "{text}");
    let state = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().last());
    assert_eq!(state("[others] "), Some("-"), "{text}");
    assert_eq!(state("make, 12 ended processes "), Some("ended"), "{text}");
    assert_eq!(state("sh, 1 ended process "), Some("ended"), "{text}");
    assert_eq!(state("7 worker "), Some("alive"), "{text}");
}

#[test]
fn a_quantile_below_the_cost_of_its_probe_is_warned_of() {
    let mut session = one_call(CallStats::default(), None);
    let stats = session.processes.values_mut().flat_map(|process| process.syscalls.values_mut());
    stats.for_each(|stats| [50, 60, 70, 5000].iter().for_each(|value| stats.latency.record(*value)));
    assert!(!render(&session, &Options::default()).contains("warning"));
    session.overhead = synthetic::session(1, Shape::default()).overhead;
    let text = render(&session, &Options::default());
    assert!(
        text.contains("warning: these are below what the probes") && text.contains("exit_group p50\n"),
        "{text}"
    );
}

#[test]
fn a_recording_without_end_says_so() {
    let mut session = synthetic::session(1, Shape::default());
    assert!(!render(&session, &Options::default()).contains("no last record"));
    session.finished = false;
    assert!(render(&session, &Options::default()).contains("no last record"));
}

#[test]
fn sections_without_data_do_not_appear() {
    let mut session = synthetic::session(3, Shape::default());
    session.header.probes = vec!["sched".to_owned()];
    for process in session.processes.values_mut() {
        process.syscalls.clear();
        process.counters = None;
        process.futexes.clear();
        process.mutexes.clear();
    }
    (session.overhead.traps, session.notes) = (None, Vec::new());
    let text = render(&session, &Options::default());
    for absent in [
        "locks, by",
        "waiting on a condition",
        "mutexes, as",
        "note:",
        "\nprocess 1000",
        "> futex",
        "No system call",
    ] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    for present in ["where the time went", "scheduling of 1000", "within 1/32"] {
        assert!(text.contains(present), "{present}: {text}");
    }
}

#[test]
fn a_session_of_system_calls_alone_has_only_those() {
    let mut session = synthetic::session(3, Shape::default());
    for process in session.processes.values_mut() {
        process.sched = None;
        process.sched_threads.clear();
        process.futexes.clear();
        process.mutexes.clear();
    }
    (session.overhead.traps, session.notes) = (None, Vec::new());
    let text = render(&session, &Options { threads: true, histograms: true, ..Options::default() });
    for absent in
        ["where the time went", "scheduling of", "locks, by", "waiting on a condition", "mutexes, as", "\n> "]
    {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
}

#[test]
fn an_empty_session_is_a_report_too() {
    let text = render(&Session::default(), &Options::default());
    assert!(
        text.contains("No process was seen") && text.contains("ledger: complete, 0 calls counted"),
        "{text}"
    );
}
