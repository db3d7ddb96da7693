//! The command line.

use clap::{Parser, ValueEnum};
use pulse_trace_workloads::contract::CommonArgs;
use pulse_trace_workloads::packed::MAX_FAILURES;
use serde::Serialize;

/// The same event buffers bit-packed into one atomic word, and behind a mutex, measured side by side
///
/// Every combination of the lists is run, alternately, `--rounds` times. The work is fixed: the threads of a run share
/// `--events`, offer them to the endpoints in turn, and take events out as fast as they put them in.
#[derive(Clone, Debug, Parser)]
#[command(name = "eventbuf", version, max_term_width = 110)]
pub struct Options {
    /// Implementations to run
    #[arg(
        long = "impl",
        value_enum,
        value_delimiter = ',',
        default_value = "standard,locked,packed",
        value_name = "IMPL,..."
    )]
    pub implementation: Vec<Implementation>,
    /// Numbers of threads to run
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16], value_name = "N,...",
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: Vec<u32>,
    /// Events offered in a run, shared out over its threads
    #[arg(long, default_value_t = 4_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub events: u64,
    /// Endpoints there are
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub endpoints: u32,
    /// Endpoints that get events: 1 is one hot endpoint
    #[arg(long, value_delimiter = ',', default_value = "100", value_name = "N,...",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub active: Vec<u32>,
    /// Events that an endpoint holds, a power of two up to 2048
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = capacity)]
    pub capacity: u16,
    /// Refusals in a row that open the circuit breaker
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_FAILURES)))]
    pub threshold: u8,
    /// Milliseconds that the breaker stays open
    #[arg(long, default_value_t = 2, value_name = "MS", value_parser = clap::value_parser!(u16).range(1..=30_000))]
    pub cooldown: u16,
    /// Events of one offer
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,...", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub batch: Vec<u32>,
    /// Events after which a thread takes as many out
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub drain_every: u32,
    /// Compare-and-swap of the packed one
    #[arg(long, value_enum, value_delimiter = ',', default_value = "weak", value_name = "CAS,...")]
    pub cas: Vec<Cas>,
    /// Memory order of that compare-and-swap
    #[arg(long, value_enum, value_delimiter = ',', default_value = "acq-rel", value_name = "ORDER,...")]
    pub order: Vec<Order>,
    /// Whether each endpoint has cache lines of its own
    #[arg(long, value_enum, value_delimiter = ',', default_value = "off", value_name = "off,on")]
    pub padding: Vec<Switch>,
    /// Where events are counted besides the endpoint
    #[arg(long, value_enum, value_delimiter = ',', default_value = "local", value_name = "STATS,...")]
    pub stats: Vec<Stats>,
    /// Prefetch the state of the next endpoint
    #[arg(long, value_enum, value_delimiter = ',', default_value = "off", value_name = "off,on")]
    pub prefetch: Vec<Switch>,
    /// Whether the payloads are kept until they are taken out
    #[arg(long, value_enum, value_delimiter = ',', default_value = "off", value_name = "off,on")]
    pub store: Vec<Switch>,
    /// An array of endpoints for each NUMA node; a thread uses that of the node it starts on
    #[arg(long)]
    pub numa: bool,
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Implementation {
    /// Several atomics and a mutex
    Standard,
    /// Plain fields under a mutex
    Locked,
    /// One atomic word
    Packed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cas {
    /// May fail for no reason
    Weak,
    /// Fails only when the word changed
    Strong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Acquires and releases
    AcqRel,
    /// One order that all threads see
    SeqCst,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    Off,
    On,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stats {
    /// Each thread for itself
    Local,
    /// One shared counter, relaxed
    Relaxed,
    /// One shared counter, sequentially consistent
    Seqcst,
}

/// The name of a value on the command line.
pub fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn capacity(text: &str) -> Result<u16, String> {
    use pulse_trace_workloads::packed::MAX_CAPACITY;
    match text.parse::<u16>() {
        Ok(capacity) if capacity.is_power_of_two() && capacity <= MAX_CAPACITY => Ok(capacity),
        _ => Err(format!("give a power of two from 1 to {MAX_CAPACITY}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn nonsense_is_refused() {
        let big = (1u64 << 40).to_string();
        for bad in [
            ["--capacity", "0"],
            ["--capacity", "100"],
            ["--capacity", "4096"],
            ["--threads", "0"],
            ["--events", "0"],
            ["--events", &big],
            ["--impl", "x"],
            ["--threshold", "64"],
            ["--cas", "medium"],
            ["--order", "relaxed"],
            ["--endpoints", "0"],
            ["--batch", "0"],
            ["--padding", "maybe"],
            ["--active", &big],
        ] {
            assert!(Options::try_parse_from(["eventbuf", bad[0], bad[1]]).is_err(), "{bad:?}");
        }
    }
}
