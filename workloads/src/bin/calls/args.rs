//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use pulse_trace_workloads::{contract::CommonArgs, sys::calls::Kind};

/// Makes system calls whose number is known, to hold a tracer against.
///
/// Every worker makes every call COUNT times. Workers are the threads of the program or of its forked children; they
/// live anew in every round.
#[derive(Clone, Debug, Parser)]
#[command(name = "calls", version, max_term_width = 110)]
pub struct Args {
    /// Calls to make; without it twelve different ones, or none with --nap, --block or --spin
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,...")]
    pub calls: Option<Vec<Kind>>,
    /// How often each worker makes each call
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub count: u64,
    /// Threads per process; one alone is the first thread itself
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32_768))]
    pub threads: u32,
    /// Forked children that do the work in the program's place
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=4096))]
    pub children: u32,
    /// Calls a second that each worker makes at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// Do it again and again until stopped
    #[arg(long, conflicts_with = "rounds")]
    pub forever: bool,
    /// Fresh pages of memory that each worker then writes to, one page fault each
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    pub touch_pages: u32,
    /// Then keep the CPU busy so long, in each worker
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub spin: Option<Duration>,
    /// Then sleep so long in nanosleep, COUNT times each; the truth lists how long each took
    #[arg(long, value_delimiter = ',', value_name = "TIME,...", value_parser = time)]
    pub nap: Vec<Duration>,
    /// Then wait so long in a read (readv) of a pipe, COUNT times each; the truth lists how long each took
    #[arg(long, value_delimiter = ',', value_name = "TIME,...", value_parser = time)]
    pub block: Vec<Duration>,
    /// Then replace the program by itself once, from this thread, and do everything again
    #[arg(long, value_enum, value_name = "THREAD")]
    pub exec: Option<Exec>,
    /// Start the threads before being ready and make no other call afterwards: each waits in a readv, is woken by one
    /// write, makes its calls and one write of one byte to the ready descriptor, and hangs in a readv until killed
    #[arg(long, requires_all = ["ready_fd", "go_fd"], conflicts_with_all = ["children", "forever", "nap", "block", "exec", "rate", "spin"])]
    pub sealed: bool,
    /// Have a seccomp filter refuse getppid, as containers refuse calls
    #[arg(long)]
    pub refuse_getppid: bool,
    /// Calls of each kind made before the program replaced itself
    #[arg(long, default_value_t = 0, hide = true)]
    pub before: u64,
    #[command(flatten)]
    pub common: CommonArgs,
}

/// The thread that calls `execve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Exec {
    /// The process's first thread.
    Leader,
    /// Another one, whose id the kernel then changes to the first one's.
    Thread,
}

impl Args {
    /// The calls to make.
    pub fn kinds(&self) -> Vec<Kind> {
        match &self.calls {
            Some(calls) => calls.clone(),
            None if self.nap.is_empty() && self.block.is_empty() && self.spin.is_none() => {
                Kind::COMMON.to_vec()
            }
            None => Vec::new(),
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number = number.parse().map_err(|_| format!("`{text}` does not start with a number"))?;
    match unit {
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err(format!("`{unit}` is no unit; use `us`, `ms` or `s`")),
    }
}
