//! The command line, and what it means.

use std::time::Duration;

use clap::Parser;
use pulse_trace_workloads::contract::{CommonArgs, CpuList};

use crate::mutex::Mutex;
use crate::plan::Role;

/// Ping-pong between two processes over two queues in shared memory.
///
/// Both sides call try_enqueue and try_dequeue in a busy loop, and every call takes the queue's lock. What the loop
/// costs is therefore what the lock costs: in time, in system calls, in spinning.
#[derive(Clone, Debug, Parser)]
#[command(name = "shmemq", version, max_term_width = 110)]
pub struct Args {
    /// Locks to compare, such as `plain,adaptive`
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["plain", "adaptive"], value_name = "KIND,...")]
    pub mutex: Vec<Mutex>,
    /// Every lock there is
    #[arg(long, conflicts_with = "mutex")]
    pub every_mutex: bool,
    /// Bytes of a message
    #[arg(long, value_delimiter = ',', default_value = "256", value_name = "BYTES,...", value_parser = at_least_one())]
    pub size: Vec<u64>,
    /// Round trips; each passes two messages
    #[arg(long, value_delimiter = ',', default_value = "100000", value_name = "N,...", value_parser = at_least_one())]
    pub repetitions: Vec<u64>,
    /// Most messages in a queue
    #[arg(long, default_value = "1000", value_name = "N", value_parser = at_least_one())]
    pub capacity: u64,
    /// Limit of the adaptive spin: sets `glibc.pthread.mutex_spin_count`, and that of the restated loops
    #[arg(long, value_delimiter = ',', value_name = "N,...", value_parser = clap::value_parser!(i32).range(0..=32_767))]
    pub spin_tunable: Vec<i32>,
    /// Attempts in vain before a side lets others run
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub yield_after: u32,
    /// Seconds without progress before giving up
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Duration,
    /// Time every Nth round trip, 0 for none: two looks at the clock cost more than a tenth of the fastest round trip
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub time_every: u64,
    /// Have the kernel count the futex calls of both sides (needs tracefs and CAP_PERFMON)
    #[arg(long)]
    pub count_futex: bool,
    /// Kill the server while it holds the lock, before its Nth message
    #[arg(long, value_name = "N")]
    pub crash_at: Option<u64>,
    /// Leave the placement to the scheduler, instead of a CPU of its own for each side
    #[arg(long, conflicts_with = "pin")]
    pub no_pin: bool,
    /// Be one side only; the other one is started by hand with the same name
    #[arg(long, value_enum, requires = "name", help_heading = "Two terminals")]
    pub role: Option<Role>,
    /// Under which the two sides find each other
    #[arg(long, requires = "role", help_heading = "Two terminals")]
    pub name: Option<String>,
    /// One side, started by the coordinator
    #[arg(long, hide = true, value_enum, value_name = "ROLE")]
    pub worker: Option<Role>,
    /// The coordinator's process
    #[arg(long, hide = true, requires = "worker", default_value_t = 0)]
    pub parent: u32,
    /// Flags of every bundled program.
    #[command(flatten)]
    pub common: CommonArgs,
}

impl Args {
    /// Gives each side a CPU of its own, where there are two and no `--pin` or `--no-pin` says otherwise: on one CPU
    /// the sides take turns, and the lock is hardly ever wanted by both.
    pub fn place_sides(&mut self) {
        if self.common.pin.is_none() && !self.no_pin && self.worker.is_none() {
            // A kernel that does not tell the CPUs leaves the sides unpinned.
            self.common.pin = CpuList::allowed().ok().and_then(|cpus| cpus.two_cores());
        }
    }

    /// The placement in words.
    pub fn placement(&self) -> String {
        let Some(cpus) = &self.common.pin else {
            let why = if self.no_pin { "--no-pin" } else { "one CPU only" };
            return format!("{why}: the scheduler places both sides, and on one CPU they take turns\n");
        };
        let (server, client) = (cpus.of_worker(0), cpus.of_worker(1));
        format!("server on CPU {server}, client on CPU {client} (--pin A,B for others, --no-pin for none)\n")
    }
}

fn at_least_one() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 => {
            Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
        }
        _ => Err(String::from("a number of seconds above 0 is wanted")),
    }
}
