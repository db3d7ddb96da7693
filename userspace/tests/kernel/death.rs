//! Deaths of threads and processes of every kind: what was seen is true, and nothing is left behind.

use std::{collections::BTreeSet, fs, thread, time::Duration};

use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use rustix::process::Signal;

use crate::support::{Calls, HOOKS, How, Tool, Trace, blocked_in, counts, whole, within};

#[test]
fn a_target_killed_in_its_calls_leaves_them_unreturned() {
    let mut calls = Calls::start(&["--sealed", "--threads", "5", "--count", "20"]);
    blocked_in(calls.pid(), libc::SYS_readv, 6);
    let mut trace = Trace::of(calls.pid(), &How::default());
    calls.go();
    calls.done(5);
    blocked_in(calls.pid(), libc::SYS_readv, 6);
    calls.kill();
    trace.steps(3);
    let session = trace.finish();
    let counts = counts(&session);
    // The read in which each began is censored, the one in which each died is counted.
    let readv = &counts["readv"];
    assert_eq!((readv.count(), readv.unreturned, readv.latency.count()), (6, 6, 0), "{:?}", session.ledger);
    assert_eq!(counts["dup"].count(), 100);
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    assert!(!session.ledger.censored.contains_key("in_flight_at_detach"), "{:?}", session.ledger);
    assert_eq!(session.processes.values().next().unwrap().exit.unwrap().status, Some(9));
}

/// Ids of all the kernel's objects that a running tool has brought into being.
struct Left {
    links: BTreeSet<u32>,
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
}

impl Left {
    fn by(tool: &Tool) -> Self {
        let programs: BTreeSet<u32> = tool.objects("prog_id").into_iter().collect();
        let mut maps: BTreeSet<u32> = tool.objects("map_id").into_iter().collect();
        for program in loaded_programs().flatten().filter(|program| programs.contains(&program.id())) {
            maps.extend(program.map_ids().unwrap().unwrap_or_default());
        }
        Self { links: tool.objects("link_id").into_iter().collect(), programs, maps }
    }

    /// Those that the kernel still has.
    fn still_there(&self) -> Vec<String> {
        let links = loaded_links().flatten().map(|link| link.id()).filter(|id| self.links.contains(id));
        let programs =
            loaded_programs().flatten().map(|program| program.id()).filter(|id| self.programs.contains(id));
        let maps = loaded_maps().flatten().map(|map| map.id()).filter(|id| self.maps.contains(id));
        let links = links.map(|id| format!("link {id}"));
        links
            .chain(programs.map(|id| format!("program {id}")))
            .chain(maps.map(|id| format!("map {id}")))
            .collect()
    }
}

#[test]
fn a_killed_tool_leaves_no_program_link_or_map() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut calls = Calls::start(&["--forever", "--threads", "2", "--count", "10"]);
        let mut tool = Tool::attach(calls.pid(), &["--children"]);
        calls.go();
        thread::sleep(Duration::from_millis(200));
        let left = Left::by(&tool);
        assert!(left.links.len() == HOOKS && left.programs.len() >= HOOKS && left.maps.len() >= 10);
        assert_eq!(
            left.still_there().len(),
            left.links.len() + left.programs.len() + left.maps.len(),
            "ids are looked for in the right place"
        );
        tool.signal(signal);
        within(Duration::from_secs(10), "the tool to end", || tool.has_ended());
        let mut still = left.still_there();
        // The kernel takes maps apart in the background, after its own grace period.
        within(Duration::from_secs(10), "the kernel to clean up", || {
            still = left.still_there();
            still.is_empty()
        });
        assert!(!calls.has_ended(), "the target does not notice");
    }
}

#[test]
fn an_interrupted_tool_reports_everything_and_ends_well() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out.json");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut calls = Calls::start(&["--sealed", "--threads", "3", "--count", "40"]);
        blocked_in(calls.pid(), libc::SYS_readv, 4);
        let tool = Tool::attach(calls.pid(), &["--json", file.to_str().unwrap()]);
        calls.go();
        calls.done(3);
        blocked_in(calls.pid(), libc::SYS_readv, 4);
        tool.signal(signal);
        let (status, report, errors) = tool.end();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
        assert!(report.contains("faccessat"), "{report}");
        let export = crate::support::export(&file);
        assert_eq!(export.ledger.counted, 3 * (12 * 40 + 1) + 1, "{:?}", export.ledger);
        assert_eq!(export.ledger.censored["in_flight_at_detach"], 4);
        fs::remove_file(&file).unwrap();
    }
}
