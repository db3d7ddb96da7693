//! The two sides started by hand.

use serde_json::Value;

use crate::harness::{Running, alone, number, run, shmemq, wait_until};

/// A name no other run of these tests has.
fn name(test: &str) -> String {
    format!("test-{test}-{}", std::process::id())
}

/// A server that is there to be found.
fn server(words: &str, name: &str) -> Running {
    let running = Running::new(shmemq(&format!("--role server --name {name} {words} --json --timeout 30")));
    let listed = format!("@pulse-trace.shmemq.{name}");
    wait_until("the server listens", || std::fs::read_to_string("/proc/net/unix").unwrap().contains(&listed));
    running
}

#[test]
fn both_sides_tell_the_same_story() {
    let _alone = alone();
    let name = name("story");
    let server = server("--mutex plain,lockfree,adaptive-restated-2.22 --repetitions 97 --rounds 2", &name);
    let client = run(&format!("--role client --name {name} --json"));
    let server = server.done();
    assert_eq!((server.code(), client.code()), (Some(0), Some(0)), "{}{}", server.err, client.err);
    let (server, client) = (server.truth(), client.truth());
    let cells = |truth: &Value| truth["cells"].as_array().unwrap().clone();
    assert_eq!((cells(&server).len(), cells(&client).len()), (6, 6));
    for (server, client) in cells(&server).iter().zip(cells(&client)) {
        assert_eq!((&server["mutex"], &server["round"]), (&client["mutex"], &client["round"]));
        assert_eq!((number(&server["completed"]), number(&client["completed"])), (97, 97));
        assert_eq!(
            (server["sides"][0]["role"].as_str(), client["sides"][0]["role"].as_str()),
            (Some("server"), Some("client"))
        );
    }
}

#[test]
fn the_death_of_the_other_side_is_noticed() {
    let _alone = alone();
    for mutex in ["robust", "plain"] {
        let name = name(mutex);
        // The server dies holding the lock the client needs next.
        let server = server(&format!("--mutex {mutex} --repetitions 1000 --crash-at 300"), &name);
        let client = run(&format!("--role client --name {name} --json"));
        assert_eq!(server.done().code(), None);
        assert_eq!(client.code(), Some(2), "{}", client.err);
        let wanted = if mutex == "robust" {
            "the server has gone after 300 round trips"
        } else {
            "blocked in its lock"
        };
        assert!(client.err.contains(wanted), "{}", client.err);
    }
}

#[test]
fn a_second_server_of_the_name_is_refused() {
    let _alone = alone();
    let name = name("twice");
    let first = server("--repetitions 10", &name);
    let second = run(&format!("--role server --name {name}"));
    assert_eq!(second.code(), Some(2));
    assert!(second.err.contains("use another --name"), "{}", second.err);
    first.signal(15);
    assert_eq!(first.done().code(), Some(2));
}
