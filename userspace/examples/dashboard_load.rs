//! Drives the real dashboard with a load that no machine at hand has: 200 processes, each making 60 kinds of calls in
//! every frame, ten frames a second. Prints what the dashboard's own thread cost. `docs/results/dashboard.md` has figures.
//!
//! Arguments: processes, calls, seconds; to be started on a terminal.

use std::{
    fs,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use model::{
    frame::{Abi, Call, CallFrame, CallStats, Frame, ProcessFrame, ProcessKey},
    session::Header,
};
use tui::{Dashboard, End, Facts, Look, Outside};
use views::report;

const INTERVAL: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u32>().ok());
    let mut next = |otherwise| numbers.next().unwrap_or(otherwise);
    let (processes, calls, seconds) = (next(200), next(60), next(10));
    let header = Header { arch: "x86_64".into(), probes: vec!["syscalls".into()], ..Header::default() };
    let facts = Facts { header, interval: Some(INTERVAL), ..Facts::default() };
    let outside = Outside {
        request: Box::new(|_| {}),
        json: Box::new(|_| Ok(Vec::new())),
        findings: Box::new(report::findings),
        switched: mpsc::channel().1,
    };
    let begin = Instant::now();
    let dashboard = Dashboard::open(facts, Look::of_environment(None), outside)?;
    let mut random = 1;
    for number in 0..u64::from(seconds) * 10 {
        dashboard.take(frame(number, processes, calls, &mut random));
        thread::sleep((begin + INTERVAL * (number as u32 + 1)).saturating_duration_since(Instant::now()));
    }
    let cost = thread_ms("dashboard");
    let memory = fs::read_to_string("/proc/self/status")?;
    let memory = memory.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    let memory: Vec<&str> = memory.collect();
    dashboard.end(End::Close);
    let (session, ended) = dashboard.close();
    ended?;
    let elapsed = begin.elapsed().as_millis() as f64;
    let share = cost.map(|ms| ms / elapsed * 100.0);
    fs::write(
        std::env::temp_dir().join("dashboard_load.txt"),
        format!(
            "{processes} x {calls}, {elapsed} ms: {share:?} % of a CPU; {memory:?}; {} calls\n",
            session.ledger.counted
        ),
    )?;
    Ok(())
}

/// CPU time of a thread by name, ms.
fn thread_ms(name: &str) -> Option<f64> {
    let tasks = fs::read_dir("/proc/self/task").ok()?.flatten();
    let path = tasks
        .map(|task| task.path())
        .find(|path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name))?;
    let schedstat = fs::read_to_string(path.join("schedstat")).ok()?;
    Some(schedstat.split_ascii_whitespace().next()?.parse::<f64>().ok()? / 1e6)
}

fn frame(number: u64, processes: u32, calls: u32, random: &mut u64) -> Frame {
    let mut below = |bound: u64| {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*random >> 33) % bound
    };
    let mut call = |nr: u32| {
        let mut stats = CallStats::default();
        (0..8).for_each(|_| stats.latency.record((300 << (nr % 8)) + below(200 << (nr % 8))));
        CallFrame { thread: None, call: Call::whole(Abi::Native, nr), stats }
    };
    let mut process = |pid: u32| ProcessFrame {
        key: ProcessKey { pid: 1000 + pid, joined_ns: 1 },
        comm: format!("worker-{pid}"),
        threads: 4,
        syscalls: (0..calls).map(&mut call).collect(),
        ..ProcessFrame::default()
    };
    let mut frame = Frame {
        sequence: number,
        at_ns: (number + 1) * INTERVAL.as_nanos() as u64,
        span_ns: INTERVAL.as_nanos() as u64,
        processes: (0..processes).map(&mut process).collect(),
        ..Frame::default()
    };
    frame.ledger.counted = u64::from(processes) * u64::from(calls) * 8;
    frame
}
