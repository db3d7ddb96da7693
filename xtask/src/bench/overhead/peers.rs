//! The tools side by side: how each is started on a process, and how its count is read.

use serde_json::Value;

use super::super::running::{Left, OURS, Ready};

/// Arguments from which a tool's command is made.
pub struct Start<'a> {
    /// The process that makes the calls.
    pub caller: u32,
    /// Another process, which makes none.
    pub bystander: u32,
    /// Path of the tool's JSON, if it writes any.
    pub json: &'a str,
}

/// A row of the comparison.
pub struct Peer {
    /// Its name in the table.
    pub name: &'static str,
    /// Words of its command; the program is the first.
    pub command: fn(&Start) -> Vec<String>,
    /// When it counts.
    pub ready: Ready,
    /// The `getppid` calls that it counted for a process, where it counts any.
    pub counted: fn(&Left, u32) -> Option<u64>,
    /// Calls that the loop makes under it to be timed: few where each takes long.
    pub calls: u64,
}

/// The row that all others are net of.
pub const EMPTY: &str = "empty program";
/// Our tool, tracing the process that makes the calls.
pub const TRACED: &str = "pulse-trace";
/// Our tool, tracing another process.
pub const NOT_TRACED: &str = "pulse-trace, of a non-target";
/// The tool that keeps count and total time only.
pub const SYSCOUNT: &str = "syscount -P -L";
/// The tool that keeps a histogram too.
pub const BPFTRACE: &str = "bpftrace hist()";

/// All rows, in the order in which each round takes them.
pub const PEERS: &[Peer] = &[
    Peer {
        name: EMPTY,
        command: |_| words(&["bpftrace", "-e", EMPTY_PROGRAM]),
        ready: Ready::ProgramsRun,
        counted: |_, _| None,
        calls: FAST,
    },
    Peer {
        name: TRACED,
        command: |start| ours(start, start.caller),
        ready: Ready::ProgramsRun,
        counted: of_pulse_trace,
        calls: FAST,
    },
    Peer {
        name: NOT_TRACED,
        command: |start| ours(start, start.bystander),
        ready: Ready::ProgramsRun,
        counted: |_, _| None,
        calls: FAST,
    },
    Peer {
        name: SYSCOUNT,
        command: |_| words(&["syscount", "-P", "-L", "-T", "100000"]),
        ready: Ready::ProgramsRun,
        counted: of_syscount,
        calls: FAST,
    },
    Peer {
        name: BPFTRACE,
        command: |start| words(&["bpftrace", "-f", "json", "-e", &histogram(start.caller)]),
        ready: Ready::ProgramsRun,
        counted: of_bpftrace,
        calls: FAST,
    },
    Peer {
        name: "perf trace -s",
        command: |start| words(&["perf", "trace", "-s", "-p", &start.caller.to_string()]),
        ready: Ready::BuffersMapped,
        counted: of_perf,
        calls: FAST / 16,
    },
    Peer {
        name: "strace -c -f",
        command: |start| words(&["strace", "-c", "-f", "-p", &start.caller.to_string()]),
        ready: Ready::Says("attached"),
        counted: of_strace,
        calls: FAST / 80,
    },
];

const FAST: u64 = 400_000;
const EMPTY_PROGRAM: &str = "tracepoint:raw_syscalls:sys_enter { } tracepoint:raw_syscalls:sys_exit { }";

/// The one-liner that people know, for one process.
pub fn histogram(pid: u32) -> String {
    format!(
        "tracepoint:raw_syscalls:sys_enter /pid == {pid}/ {{ @start[tid] = nsecs; }} \
         tracepoint:raw_syscalls:sys_exit /@start[tid]/ {{ \
         @ns[pid, args->id] = hist(nsecs - @start[tid]); delete(@start[tid]); }}"
    )
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn ours(start: &Start, target: u32) -> Vec<String> {
    words(&[
        OURS,
        "attach",
        "-p",
        &target.to_string(),
        "--quiet",
        "--probes",
        "syscalls",
        "--json",
        start.json,
    ])
}

/// The count of one call in our JSON; 0 where the process made none.
pub fn of_pulse_trace(left: &Left, pid: u32) -> Option<u64> {
    let session: Value = serde_json::from_str(&left.json).ok()?;
    let of_process = |process: &&Value| process["pid"] == pid;
    let process = session["processes"].as_array()?.iter().find(of_process)?;
    let of_call = |call: &&Value| call["name"] == "getppid";
    process["syscalls"].as_array()?.iter().find(of_call).map_or(Some(0), |call| call["count"].as_u64())
}

/// `PID COMM COUNT TIME`. All calls of the process are in the count; see [`super::rounds`].
fn of_syscount(left: &Left, pid: u32) -> Option<u64> {
    let pid = pid.to_string();
    let row = |line: &&str| line.split_whitespace().next() == Some(&pid);
    left.text.lines().find(row)?.split_whitespace().rev().nth(1)?.parse().ok()
}

/// `{"type": "hist", "data": {"@ns": {"PID,NR": [{"count": N}, ...]}}}`
fn of_bpftrace(left: &Left, pid: u32) -> Option<u64> {
    let key = format!("{pid},{GETPPID}");
    let maps = left.text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let histogram = maps.into_iter().find(|map| map["type"] == "hist")?;
    let buckets = histogram["data"]["@ns"][&key].as_array()?;
    Some(buckets.iter().filter_map(|bucket| bucket["count"].as_u64()).sum())
}

#[cfg(target_arch = "x86_64")]
const GETPPID: u32 = 110;
#[cfg(not(target_arch = "x86_64"))]
const GETPPID: u32 = 173;

/// `getppid CALLS ERRORS ...`
fn of_perf(left: &Left, _: u32) -> Option<u64> {
    let row = |line: &&str| line.split_whitespace().next() == Some("getppid");
    left.text.lines().find(row)?.split_whitespace().nth(1)?.parse().ok()
}

/// `%TIME SECONDS USECS/CALL CALLS [ERRORS] getppid`
fn of_strace(left: &Left, _: u32) -> Option<u64> {
    let row = |line: &&str| line.split_whitespace().next_back() == Some("getppid");
    left.text.lines().find(row)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Left {
        Left { text: text.into(), json: String::new() }
    }

    #[test]
    fn every_output_is_understood() {
        let syscount =
            "PID    COMM               COUNT        TIME (us)\n32001  a b    4901     29284366.451\n";
        assert_eq!(of_syscount(&text(syscount), 32001), Some(4901));
        assert_eq!(of_syscount(&text(syscount), 3200), None);
        let bpftrace = format!(
            "{{\"type\": \"attached_probes\", \"data\": {{\"probes\": 2}}}}\n\
             {{\"type\": \"hist\", \"data\": {{\"@ns\": {{\"7,{GETPPID}\": [{{\"min\": 1, \"max\": 2, \
             \"count\": 40}}, {{\"count\": 2}}]}}}}}}"
        );
        assert_eq!(of_bpftrace(&text(&bpftrace), 7), Some(42));
        let perf = " x (1), 29385 events, 100.0%\n\n   getppid            14692      0   205.900     0.012\n";
        assert_eq!(of_perf(&text(perf), 1), Some(14692));
        let strace = "100.00    0.105152           2     45353           getppid\n";
        assert_eq!(of_strace(&text(strace), 1), Some(45353));
        let json = r#"{"processes":[{"pid":7,"syscalls":[{"name":"getppid","count":3}]}]}"#;
        let left = Left { text: String::new(), json: json.into() };
        assert_eq!(of_pulse_trace(&left, 7), Some(3));
        assert_eq!(of_pulse_trace(&left, 8), None);
    }
}
