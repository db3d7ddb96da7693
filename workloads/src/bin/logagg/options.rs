//! The command line: what was typed, and what it means once checked.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use pulse_trace_workloads::contract::{CommonArgs, Refusal, Warmup, cannot};

use super::message::{ENVELOPE, MOST};
use super::transport::{self, Role, Transport, Tuning};

/// Log aggregation over one way of inter-process communication
#[derive(Debug, Parser)]
#[command(
    name = "logagg",
    version,
    after_help = "Exit status: 0 all messages accounted for, 1 not, 2 refused."
)]
pub struct Cli {
    /// Subcommand to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start an aggregator and producers as processes, and say what became of every message
    Run(RunArgs),
    /// Send messages to an aggregator that runs already
    Producer(ProducerArgs),
    /// Receive messages until stopped
    Aggregator(AggregatorArgs),
}

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Options of the link.
    #[command(flatten)]
    pub link: LinkArgs,
    /// Options of the load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Destination of the received messages.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Number of producers
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub producers: u64,
    /// End a run that takes longer; by default what the load should take, and a minute
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Flags of all families.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Flags of `producer`.
#[derive(Args, Clone, Debug)]
pub struct ProducerArgs {
    /// Options of the link.
    #[command(flatten)]
    pub link: LinkArgs,
    /// Options of the load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Number of this producer
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub id: u32,
    /// How many producers share the link (a shared pipe keeps only short writes whole)
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub producers: u64,
    /// End when this process is gone
    #[arg(long, value_name = "PID", hide = true)]
    pub parent: Option<u32>,
    /// Flags of all families.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Flags of `aggregator`.
#[derive(Args, Clone, Debug)]
pub struct AggregatorArgs {
    /// Options of the link.
    #[command(flatten)]
    pub link: LinkArgs,
    /// Destination of the received messages.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Add to the output file instead of starting it anew
    #[arg(long)]
    pub append: bool,
    /// Say ready once so many producers are there, and end when they are done; 0: until stopped
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub expect: u64,
    /// With --expect, on a link without connections: end after so long without a message, too
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub quiet: Duration,
    /// Descriptor whose closing says that nothing more will be sent
    #[arg(long, value_name = "FD", help_heading = "Tracer")]
    pub stop_fd: Option<i32>,
    /// Flags of all families.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// The link between the processes.
#[derive(Args, Clone)]
pub struct LinkArgs {
    /// Way of communication: unixsock, tcp, unixgram, udp, fifo, pipe, seqpacket, mqueue, shm, shm-futex
    #[arg(long, value_name = "NAME", default_value = "unixsock", value_parser = transport::find)]
    pub variant: &'static dyn Transport,
    /// Path, ADDRESS:PORT, /QUEUE or fd:NUMBER, as the variant has it
    #[arg(long, value_name = "PLACE")]
    pub at: Option<String>,
    /// Plain threads and blocking calls instead of tokio
    #[arg(long)]
    pub blocking: bool,
    /// Worker threads of tokio in each process; by default one per CPU
    #[arg(long, value_name = "N", conflicts_with = "blocking", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub workers: Option<u16>,
    /// Send small TCP segments at once
    #[arg(long)]
    pub tcp_nodelay: bool,
    /// Note where each message was, for `stages` in the truth: with --blocking, without --batch, up to 100000 messages
    #[arg(long)]
    pub stages: bool,
    /// Receive buffer of sockets, or size of the pipe or the ring
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=1 << 36))]
    pub buffer: Option<u64>,
    /// How long a producer puts up with an aggregator that is missing, gone, or full
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub patience: Duration,
}

/// The messages that each producer sends.
#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// Messages per producer
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    pub messages: u64,
    /// Messages per second and producer
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = rate, conflicts_with = "flood")]
    pub rate: f64,
    /// As fast as possible
    #[arg(long)]
    pub flood: bool,
    /// Shift every message at random by up to this share of the interval
    #[arg(long, value_name = "PERCENT", default_value_t = 0, conflicts_with = "flood", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub jitter: u8,
    /// Payload of a message in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub size: usize,
    /// Messages per write
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    pub batch: u64,
    /// Throw a message away (and count it) when the link is full, instead of waiting
    #[arg(long)]
    pub drop_when_full: bool,
}

/// Destination of the received messages.
#[derive(Args, Clone, Debug)]
pub struct OutputArgs {
    /// File for the received messages; `none` writes nothing
    #[arg(short, long, value_name = "FILE", default_value = "aggregated_logs.jsonl")]
    pub output: PathBuf,
}

impl std::fmt::Debug for LinkArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:?}", self.variant.name(), self.at)
    }
}

impl RunArgs {
    /// Messages of a round, all producers together.
    pub fn messages(&self) -> u64 {
        self.producers.saturating_mul(self.load.messages)
    }
}

impl LinkArgs {
    /// The place for one side.
    pub fn address(&self, role: Role) -> String {
        self.at.clone().unwrap_or_else(|| self.variant.usual_address(role))
    }

    /// The settings of one side; a producer that drops must not block.
    pub fn tuning(&self, id: u32, drop_when_full: bool) -> Tuning {
        Tuning {
            nodelay: self.tcp_nodelay,
            buffer: self.buffer.map(|bytes| bytes as usize),
            id,
            nonblocking: !self.blocking || drop_when_full,
        }
    }

    /// Name of the runtime in the tables.
    pub fn runtime(&self) -> &'static str {
        if self.blocking { "blocking" } else { "tokio" }
    }
}

impl LoadArgs {
    /// Time between two messages of one producer; none when flooding.
    pub fn interval(&self) -> Option<Duration> {
        (!self.flood).then(|| Duration::from_secs_f64(1.0 / self.rate))
    }

    /// Bytes of the largest write.
    fn write_size(&self) -> Option<usize> {
        usize::try_from(self.batch).ok()?.checked_mul(self.size.checked_add(ENVELOPE)?)
    }

    /// Refuses what the variant would tear or cannot carry.
    pub fn check(&self, link: &LinkArgs, producers: u64) -> Result<(), Refusal> {
        if self.size == 0 {
            let remedy = "give --size 1 or more";
            return Err(cannot("send messages of size 0", "an empty payload proves nothing", remedy));
        }
        let largest = link.variant.largest_write(producers);
        match self.write_size() {
            Some(bytes) if bytes <= largest => Ok(()),
            _ => Err(cannot(
                format_args!("send {} x {} bytes over {}", self.batch, self.size, link.variant.name()),
                format_args!(
                    "with {producers} producers at most {largest} bytes, {ENVELOPE} of them for each message's envelope, are sure to stay whole"
                ),
                "lower --size or --batch, or choose another --variant",
            )),
        }
    }
}

/// Warm-up messages; a time makes no sense where every message is counted.
pub fn warmup(common: &CommonArgs) -> Result<u64, Refusal> {
    match common.warmup {
        None => Ok(0),
        Some(Warmup::Operations(messages)) if messages <= MOST => Ok(messages),
        Some(_) => {
            let cause = format!("logagg warms up by a number of messages, at most {MOST}");
            Err(cannot("warm up so long", cause, "give --warmup a bare number"))
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e7).contains(&rate) => Ok(rate),
        _ => Err("a rate lies between 0.001 and 10000000 per second".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match text.parse()? {
        Warmup::Time(time) => Ok(time),
        Warmup::Operations(_) => Err("a time needs its unit, `ms` or `s`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn run(extra: &[&str]) -> Result<RunArgs, clap::Error> {
        let words = ["logagg", "run"].iter().chain(extra);
        match Cli::try_parse_from(words)?.command {
            Command::Run(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent_and_names_every_variant() {
        Cli::command().debug_assert();
        let help =
            Cli::command().find_subcommand_mut("run").unwrap().render_help().to_string().replace('\n', " ");
        for transport in transport::ALL {
            assert!(help.contains(transport.name()), "{}", transport.name());
        }
    }

    #[test]
    fn the_defaults_are_five_producers_of_fifty_messages_every_tenth_of_a_second() {
        let args = run(&[]).unwrap();
        assert_eq!((args.producers, args.load.messages, args.load.size), (5, 50, 100));
        assert_eq!(args.load.interval(), Some(Duration::from_millis(100)));
        assert!(!args.link.blocking);
        assert_eq!(args.output.output.to_str(), Some("aggregated_logs.jsonl"));
    }

    #[test]
    fn what_would_be_torn_is_refused() {
        let check =
            |extra: &[&str]| run(extra).map(|args| args.load.check(&args.link, args.producers).is_ok());
        assert!(check(&["--size", "1000000"]).unwrap());
        assert!(!check(&["--size", "0"]).unwrap());
        assert!(!check(&["--size", "1099511627776"]).unwrap());
        assert!(!check(&["--size", "18446744073709551615"]).unwrap());
        assert!(!check(&["--variant", "fifo", "--size", "4000"]).unwrap());
        assert!(check(&["--variant", "fifo", "--size", "4000", "--producers", "1"]).unwrap());
        assert!(!check(&["--variant", "pipe", "--batch", "50"]).unwrap());
        assert!(check(&["--variant", "pigeon"]).is_err());
        assert!(check(&["--rate", "0"]).is_err());
        assert!(check(&["--rate", "5", "--flood"]).is_err());
    }
}
