//! Cost of tracing in all: of the targets' calls and of those of all other processes apart.

use views::export::json::Export;

use crate::support::{Calls, Tool, export};

/// A session over one of two processes, of which the first makes calls as fast as it can and the other none: what the
/// report says of its own cost, and the export.
fn traced(of_the_busy_one: bool) -> (String, Export) {
    let mut busy = Calls::start(&["--calls", "getppid", "--forever"]);
    let idle = Calls::start(&["--calls", "getppid", "--count", "1"]);
    busy.go();
    let pid = if of_the_busy_one { busy.pid() } else { idle.pid() }.to_string();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("session.json");
    let path = file.to_str().unwrap();
    let tool = Tool::start(["attach", "-p", &pid, "-d", "3s", "--probes", "syscalls", "--json", path]);
    let (status, report, said) = tool.end();
    assert!(status.success(), "{said}");
    let cost = report.split_once("own cost\n").unwrap().1;
    (cost.split_whitespace().collect::<Vec<_>>().join(" "), export(&file))
}

#[test]
fn the_total_stands_first_and_calls_of_targets_are_told_from_those_of_others() {
    for of_the_busy_one in [true, false] {
        let (report, export) = traced(of_the_busy_one);
        let cost = &export.overhead;
        let (targets, others) = (cost.target_calls_percent.unwrap(), cost.other_calls_percent.unwrap());
        let (more, less) = if of_the_busy_one { (targets, others) } else { (others, targets) };
        assert!(more > 3.0 * less, "{targets} {others}");
        let words = format!(
            "Tracing takes {:.2}% of a CPU: {targets:.2}% in system calls of the targets, {others:.2}% in those of all \
             other processes,",
            cost.cpu_percent.unwrap()
        );
        assert!(report.starts_with(&words), "{words} in {report}");
        let programs: f64 = cost.programs.iter().filter_map(|program| program.cpu_percent).sum();
        assert!(cost.cpu_percent.unwrap() > programs && programs >= targets + others - 1e-9, "{report}");
    }
}
