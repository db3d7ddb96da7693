//! Processes that live for a few milliseconds: what they did before their probes were in is said to be missing, and
//! nothing unknown is said of them.

use views::export::json::Export;

use crate::support::{Tool, compiled, export, installed, need};

/// A run of the program with so many children, each of which finds a mutex taken so many times.
fn traced(count: u32, times: u32) -> Export {
    let directory = tempfile::tempdir().unwrap();
    let program = compiled(directory.path(), "cc", "brood.c", &["-pthread"]).unwrap();
    let json = directory.path().join("session.json");
    let options =
        ["run", "--probes", "auto,mutex", "--budget", "unlimited", "--json", json.to_str().unwrap(), "--"];
    let program = [program.to_str().unwrap(), &count.to_string(), &times.to_string()].map(str::to_owned);
    let (status, _, err) = Tool::start(options.map(str::to_owned).iter().chain(&program)).end();
    assert!(status.success(), "{err}");
    export(&json)
}

#[test]
fn what_children_did_before_their_mutex_probes_were_in_is_in_the_ledger() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    for (count, times) in [(20, 10), (3, 400)] {
        let seen = traced(count, times);
        let (books, truth) = (&seen.ledger, u64::from(count * times));
        let contended = books.events.get("contended_acquisitions").copied().unwrap_or_default();
        let unprobed = books.degraded.get("mutex_unprobed").copied().unwrap_or_default();
        assert!(contended <= truth, "{contended} of {truth}");
        assert!(truth - contended <= u64::from(times) * unprobed, "{contended} of {truth}: {books:?}");
        assert!(unprobed <= u64::from(count), "{books:?}");
        let said = seen.notes.iter().any(|note| note.contains("before its probes were in"));
        assert_eq!(said, unprobed > 0, "{:?}", seen.notes);
        assert_eq!(books.events.contains_key("mutex_unprobed_us"), unprobed > 0, "{books:?}");
    }
}

#[test]
fn of_a_program_that_ends_at_once_it_is_not_said_that_it_has_no_mutex_library() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    need!(installed("cc"), "there is no C compiler");
    for _ in 0..4 {
        let notes = traced(0, 0).notes;
        assert!(!notes.iter().any(|note| note.contains("cannot find contended paths")), "{notes:?}");
    }
}
