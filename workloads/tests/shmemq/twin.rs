//! Against the published design in C: the same memory, and no slower.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use pulse_trace_testing::need;
use serde_json::{Value, json};

use crate::harness::{alone, leftovers, number};

/// The compiled twin, in a directory of its own.
struct Twin(PathBuf);

impl Twin {
    /// Compiles it; the reason where there is no C compiler.
    fn built() -> Result<Self, String> {
        let directory = std::env::temp_dir().join(format!("pulse-trace-twin-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shmemq/twin.c");
        let program = directory.join("twin");
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-Wall", "-Werror", "-pthread", source, "-o"]).arg(&program);
        let twin = Self(directory);
        let output = cc.output().map_err(|error| format!("there is no C compiler: {error}"))?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(twin)
    }

    fn command(&self) -> Command {
        Command::new(self.0.join("twin"))
    }

    #[cfg(not(debug_assertions))]
    fn elapsed_ns(&self, kind: &str, trips: u64, cpus: &str) -> u64 {
        let (server, client) = cpus.split_once(',').unwrap();
        let trips = trips.to_string();
        let output = self.command().args(["bench", kind, "256", &trips, server, client]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        number(&serde_json::from_slice::<Value>(&output.stdout).unwrap()["elapsed_ns"])
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Killed when a failed test drops it.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_c_program_and_ours_share_one_queue() {
    let _alone = alone();
    let twin = need!(Twin::built());
    for kind in ["plain", "adaptive"] {
        let names = ["s", "c"].map(|end| format!("shmemq-test.{}.{end}", std::process::id()));
        let mut host = twin.command();
        host.args(["host", kind, "96", "3000", &names[0], &names[1]]).stdout(Stdio::piped());
        let mut host = Helper(host.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(host.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");

        let report = client(kind, &names);
        assert!(host.0.wait().unwrap().success());
        assert_eq!(number(&report["completed"]), 3000);
        let messages = ["sent", "received", "lost", "reordered", "duplicated", "corrupt"];
        let messages = messages.map(|field| number(&report["messages"][field]));
        assert_eq!(messages, [3000, 3000, 0, 0, 0, 0], "{report}");
        assert_eq!(leftovers(), Vec::<String>::new());
    }
}

/// Our client on queues that the C program made: this test is its coordinator.
fn client(kind: &str, names: &[String; 2]) -> Value {
    let plan = json!({
        "mutex": kind, "geometry": {"capacity": 1000, "size": 96}, "repetitions": 3000, "spin_tunable": null,
        "warmup_operations": 0, "warmup_ns": null, "per_yield": 500, "timeout_ns": 20_000_000_000u64,
        "time_every": 0, "count_futex": false, "crash_at": null,
        "to_server": format!("/dev/shm/{}", names[0]), "to_client": format!("/dev/shm/{}", names[1]),
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_shmemq"));
    command.args(["--worker", "client", "--parent", &std::process::id().to_string()]);
    let mut ours = Helper(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    writeln!(ours.0.stdin.as_mut().unwrap(), "{plan}\ngo").unwrap();
    let mut said = BufReader::new(ours.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(said.next().as_deref(), Some("\"ready\""));
    let report: Value = serde_json::from_str(&said.next().unwrap()).unwrap();
    report["report"].clone()
}

/// Of the release build only, `cargo test --release -p pulse-trace-workloads --test shmemq`: without optimisation there
/// is nothing to compare.
#[cfg(not(debug_assertions))]
#[test]
fn ours_is_no_slower_than_the_published_design() {
    const TRIPS: u64 = 3_000;
    let _alone = alone();
    let twin = need!(Twin::built());
    let cpus = need!(crate::harness::two_cpus(), "contention needs two CPUs");
    for kind in ["plain", "adaptive"] {
        let words = format!("--mutex {kind} --repetitions {TRIPS} --time-every 0 --pin {cpus}");
        let (mut ours, mut theirs) = (u64::MAX, u64::MAX);
        // In turn, and the best of each: what disturbs the one would disturb the other.
        for _ in 0..7 {
            ours = ours.min(number(&crate::harness::truth(&words)["cells"][0]["elapsed_ns"]));
            theirs = theirs.min(twin.elapsed_ns(kind, TRIPS, &cpus));
        }
        assert!((ours as f64) < 1.3 * theirs as f64, "{kind}: {ours} ns, and {theirs} ns in C");
    }
}
