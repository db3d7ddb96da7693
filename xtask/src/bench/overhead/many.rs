//! The tool under a large load: 64 processes at once, and as many calls as this machine can make.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    super::{
        readings::{self, Memory},
        running::{Bench, OURS, Ready, Running},
    },
    caller::Caller,
    peers::of_pulse_trace,
};

/// Targets at once.
pub const PROCESSES: usize = 64;
/// Every process makes its mix of calls this often.
const BEAT: Duration = Duration::from_millis(100);
const WARM_UP: Duration = Duration::from_secs(2);
const WATCHED: Duration = Duration::from_secs(8);
/// CPUs of the notional host.
const CPUS: u64 = 128;
/// Bytes that the table of thread ids takes where ids go up to 2^22, as they do on a large host: 4 for each id.
const LARGEST_TID_TABLE: u64 = 4 << 22;

/// The tool on 64 processes, at its default interval of a second.
pub struct Many {
    /// Share of a CPU that it took.
    pub cpu_share: f64,
    /// Kinds of calls that each process made.
    pub kinds: usize,
    /// Memory of the tool.
    pub memory: Memory,
    /// Kernel memory of its maps, as it reports it, bytes.
    pub kernel_bytes: u64,
    /// Memory that these maps would take on the notional host.
    pub notional: Notional,
}

/// Kernel memory on a notional host, as a sum.
pub struct Notional {
    /// Bytes measured on this machine.
    pub here: u64,
    /// Bytes that each further CPU adds.
    pub per_cpu: u64,
    /// Number of CPUs that it has more than this machine.
    pub further_cpus: u64,
    /// Bytes by which the table of thread ids is smaller on this machine.
    pub thread_ids: u64,
}

impl Notional {
    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.here + self.per_cpu * self.further_cpus + self.thread_ids
    }
}

/// Attaches to 64 processes that make a mix of calls.
pub fn measure(bench: &Bench) -> Result<Many> {
    let mut callers = (0..PROCESSES).map(|_| Caller::start()).collect::<Result<Vec<_>>>()?;
    let tool = attach(bench, &callers)?;
    beat(&mut callers, WARM_UP)?;
    let (begin, cpu_before) = (Instant::now(), readings::cpu_ns(tool.pid()));
    beat(&mut callers, WATCHED)?;
    let cpu_ns = readings::cpu_ns(tool.pid()) - cpu_before;
    let cpu_share = cpu_ns as f64 / begin.elapsed().as_nanos() as f64;
    let memory = readings::memory(tool.pid());
    let per_cpu = readings::maps(tool.pid()).iter().map(|map| map.per_cpu_bytes).sum();
    let session: Value = serde_json::from_str(&tool.stop()?.json).context("the tool left no JSON")?;
    let kernel_bytes = session["overhead"]["kernel_bytes"].as_u64().context("no kernel_bytes in the JSON")?;
    let kinds = session["processes"][0]["syscalls"].as_array().map_or(0, Vec::len);
    let notional = Notional {
        here: kernel_bytes,
        per_cpu,
        further_cpus: CPUS.saturating_sub(readings::cpus()),
        thread_ids: LARGEST_TID_TABLE.saturating_sub(tid_table_here()?),
    };
    Ok(Many { cpu_share, kinds, memory, kernel_bytes, notional })
}

fn tid_table_here() -> Result<u64> {
    Ok(4 * std::fs::read_to_string("/proc/sys/kernel/pid_max")?.trim().parse::<u64>()?)
}

/// Attaches our tool to several processes at once.
fn attach(bench: &Bench, callers: &[Caller]) -> Result<Running> {
    let pids: Vec<String> = callers.iter().map(|caller| caller.pid().to_string()).collect();
    let json = bench.dir.join("json").display().to_string();
    let words = [OURS, "attach", "--quiet", "--json", &json, "-p", &pids.join(",")];
    bench.start(&words.map(str::to_owned), Ready::ProgramsRun)
}

fn beat(callers: &mut [Caller], duration: Duration) -> Result<()> {
    let begin = Instant::now();
    let mut next = begin;
    while begin.elapsed() < duration {
        for caller in &mut *callers {
            caller.mix()?;
        }
        next += BEAT;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// One loop per CPU, all traced.
pub struct Flood {
    /// Calls a second, all loops together, from the first call to the last.
    pub per_second: f64,
    /// Calls a second while the loops had their CPUs, by the median chunk.
    pub per_second_running: f64,
    /// Calls that the loops made.
    pub made: u64,
    /// Calls that the tool counted.
    pub counted: u64,
    /// True when the tool's own ledger says that nothing is missing.
    pub complete: bool,
}

/// Calls that each loop makes.
const FLOOD: u64 = 2_000_000;

/// Has every CPU make calls at once.
pub fn flood(bench: &Bench) -> Result<Flood> {
    let mut callers = (0..readings::cpus()).map(|_| Caller::start()).collect::<Result<Vec<_>>>()?;
    let tool = attach(bench, &callers)?;
    let begin = Instant::now();
    callers.iter_mut().try_for_each(|caller| caller.order(FLOOD))?;
    let paces = callers.iter_mut().map(Caller::answer).collect::<Result<Vec<_>>>()?;
    let elapsed = begin.elapsed().as_secs_f64();
    let left = tool.stop()?;
    let session: Value = serde_json::from_str(&left.json).context("the tool left no JSON")?;
    let made = FLOOD * callers.len() as u64;
    Ok(Flood {
        per_second: made as f64 / elapsed,
        per_second_running: paces.iter().map(|pace| 1e9 / pace.ns_per_call).sum(),
        made,
        counted: callers.iter().filter_map(|caller| of_pulse_trace(&left, caller.pid())).sum(),
        // What the scheduler does besides is another probe's business: a call is missing, or it is not.
        complete: session["ledger"]["lost"].as_object().is_some_and(serde_json::Map::is_empty),
    })
}
