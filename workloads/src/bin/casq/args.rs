//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pulse_trace_workloads::contract::{CommonArgs, Warmup};
use serde::{Deserialize, Serialize};

/// Producers push into one queue in shared memory; every push is timed with the processor's own clock
///
/// Lists (`--queue`, `--producers`, `--log`) are all run, alternately, `--rounds` times.
#[derive(Parser)]
#[command(name = "casq", version, args_conflicts_with_subcommands = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Subcommand)]
pub enum Command {
    /// One producer process; started by casq itself
    #[command(hide = true)]
    Worker {
        /// What to do, as JSON
        job: String,
    },
}

#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Queues to run
    #[arg(long, value_enum, value_delimiter = ',', default_value = "cas", value_name = "QUEUE,...")]
    pub queue: Vec<Queue>,
    /// Numbers of producers to run
    #[arg(long, value_delimiter = ',', default_values_t = [1, 3, 5, 9], value_name = "N,...",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub producers: Vec<u32>,
    /// What happens to the time of each push
    #[arg(long, value_enum, value_delimiter = ',', default_value = "none", value_name = "LOG,...")]
    pub log: Vec<Log>,
    /// Measured messages of a run, shared out over its producers
    #[arg(long, default_value_t = 500_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub pushes: u64,
    /// Slots of the queue, a power of two
    #[arg(long, default_value_t = 512, value_name = "N")]
    pub slots: u64,
    /// Bytes of a message; the first eight are its number
    #[arg(long, default_value_t = 8, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    pub size: u64,
    /// Messages of one push
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch: u32,
    /// Pushes a second of each producer, kept up even when the queue is full [default: as fast as possible]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub rate: Option<u64>,
    /// What a producer does when the queue is full, and the consumer when it is empty
    #[arg(long, value_enum, default_value_t = Pause::Yield, value_name = "HOW")]
    pub pause: Pause,
    /// Producers are threads of this process instead of processes (the crossbeam queue knows nothing else)
    #[arg(long)]
    pub threads: bool,
    /// Keep the logged samples in files that start with this path
    #[arg(long, value_name = "PATH")]
    pub samples: Option<PathBuf>,
    /// A run in which nothing arrives for so long is given up
    #[arg(long, default_value = "10s", value_parser = time, value_name = "TIME")]
    pub patience: Duration,
    /// Producer that kills itself inside a push, half-way: what is lost must be found out and said
    #[arg(long, value_name = "ID")]
    pub kill: Option<u32>,
    /// Leave out the drawn histograms
    #[arg(long)]
    pub no_draw: bool,
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Queue {
    /// Compare-and-swap on the tail
    Cas,
    /// Fetch-and-add on the tail
    FetchAdd,
    /// A process-shared robust mutex
    Mutex,
    /// Compare-and-swap, and a futex to sleep on when full or empty
    Futex,
    /// crossbeam's ArrayQueue, between threads
    Crossbeam,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Log {
    /// Histogram only
    None,
    /// Kept in memory, written at the end
    Deferred,
    /// One log for all producers, under one mutex
    Mutex,
    /// A log for each producer
    PerThread,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pause {
    /// Gives the CPU to another thread
    Yield,
    /// Spins a little, then yields, then sleeps
    Backoff,
}

impl Queue {
    pub fn name(self) -> String {
        name(&self)
    }
}

impl Log {
    pub fn name(self) -> String {
        name(&self)
    }
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn time(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(Warmup::Time(time)) if !time.is_zero() => Ok(time),
        _ => Err("give a time, such as 500ms or 10s".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lists_are_lists_and_nonsense_is_refused() {
        let cli = Cli::try_parse_from(["casq", "--queue", "cas,fetch-add", "--producers", "1,9"]).unwrap();
        assert_eq!(cli.options.queue, [Queue::Cas, Queue::FetchAdd]);
        assert_eq!(cli.options.producers, [1, 9]);
        let big = (1u64 << 40).to_string();
        for bad in [
            ["--size", "0"],
            ["--size", &big],
            ["--pushes", "0"],
            ["--queue", "x"],
            ["--producers", "0"],
            ["--producers", "65"],
            ["--batch", "0"],
            ["--rate", "0"],
            ["--log", "disk"],
            ["--patience", "0"],
        ] {
            assert!(Cli::try_parse_from(["casq", bad[0], bad[1]]).is_err(), "{bad:?}");
        }
    }
}
