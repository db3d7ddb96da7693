//! Two tools on one target do not disturb each other: both tell the truth.

use views::export::json::Export;

use crate::support::{Calls, How, Tool, Trace, Truth, assert_true, export, nothing_missing};

fn assert_exported(export: &Export, truth: &Truth) {
    for (name, made) in &truth.calls {
        let syscalls = export.processes.iter().flat_map(|process| &process.syscalls);
        let counted: u64 = syscalls.filter(|call| call.name == *name).map(|call| call.count).sum();
        assert_eq!(counted, *made, "{name}");
    }
    assert!(nothing_missing(&export.ledger.lost, &export.ledger.degraded), "{:?}", export.ledger);
}

#[test]
fn two_tools_and_a_third_from_within_agree_with_the_truth() {
    let directory = tempfile::tempdir().unwrap();
    let files = ["one", "two"].map(|name| directory.path().join(name));
    let mut calls = Calls::start(&["--threads", "4", "--count", "2000"]);
    let attach = |file: &std::path::PathBuf, more: &str| {
        Tool::attach(calls.pid(), &["--quiet", more, "--json", file.to_str().unwrap()])
    };
    let (one, two) = (attach(&files[0], "--threads"), attach(&files[1], "--children"));
    let mut third = Trace::of(calls.pid(), &How::default());
    calls.go();
    third.until(|| calls.has_ended());
    let session = third.finish();
    for tool in [one, two] {
        let (status, out, err) = tool.end();
        assert_eq!((status.code(), out.as_str(), err.as_str()), (Some(0), "", ""));
    }
    let truth = calls.truth();
    assert_true(&session, &truth);
    let exports = files.map(|file| export(&file));
    exports.iter().for_each(|export| assert_exported(export, &truth));
    // What both have seen from the same moment on to the same end is the same, whichever call it was.
    assert_eq!(exports[0].processes[0].threads, 5);
    assert!(exports[0].processes[0].by_thread.is_some() && exports[1].processes[0].by_thread.is_none());
}
