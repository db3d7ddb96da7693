//! The command lines of the processes of a run.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use pulse_trace_workloads::contract::Warmup;

use super::super::options::{LinkArgs, RunArgs};

/// Of the aggregator, worker 0.
pub fn aggregator(args: &RunArgs, private: &str, pipe: Option<BorrowedFd>) -> Vec<String> {
    let mut words = Words::new("aggregator");
    words.link(&args.link, &place(private, pipe));
    words.option("--expect", args.producers);
    words.option("--output", Path::display(&args.output.output));
    words.pin(args, 0);
    words.0
}

/// Of producer `id`, worker `id + 1`.
pub fn producer(args: &RunArgs, address: &str, id: u64, pipe: Option<BorrowedFd>) -> Vec<String> {
    let load = &args.load;
    let mut words = Words::new("producer");
    words.link(&args.link, &place(address, pipe));
    words.option("--id", id);
    words.option("--producers", args.producers);
    words.option("--parent", std::process::id());
    words.option("--messages", load.messages);
    words.option("--size", load.size);
    words.option("--batch", load.batch);
    words.option("--seed", args.common.seed);
    if load.flood {
        words.flag("--flood");
    } else {
        words.option("--rate", load.rate);
        words.option("--jitter", load.jitter);
    }
    if load.drop_when_full {
        words.flag("--drop-when-full");
    }
    if let Some(Warmup::Operations(messages)) = args.common.warmup {
        words.option("--warmup", messages);
    }
    words.pin(args, id as usize + 1);
    words.0
}

fn place(address: &str, pipe: Option<BorrowedFd>) -> String {
    pipe.map_or_else(|| address.to_owned(), |end| format!("fd:{}", end.as_raw_fd()))
}

struct Words(Vec<String>);

impl Words {
    fn new(command: &str) -> Self {
        Self(vec![command.to_owned(), "--json".to_owned()])
    }

    fn flag(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn option(&mut self, name: &str, value: impl std::fmt::Display) {
        // One word, so that a value that begins with a dash stays a value.
        self.0.push(format!("{name}={value}"));
    }

    fn link(&mut self, link: &LinkArgs, at: &str) {
        self.option("--variant", link.variant.name());
        self.option("--at", at);
        self.option("--patience", format_args!("{}ms", link.patience.as_millis()));
        if link.blocking {
            self.flag("--blocking");
        }
        if link.stages {
            self.flag("--stages");
        }
        if link.tcp_nodelay {
            self.flag("--tcp-nodelay");
        }
        if let Some(workers) = link.workers {
            self.option("--workers", workers);
        }
        if let Some(bytes) = link.buffer {
            self.option("--buffer", bytes);
        }
    }

    fn pin(&mut self, args: &RunArgs, worker: usize) {
        if let Some(cpus) = &args.common.pin {
            self.option("--pin", cpus.of_worker(worker));
        }
    }
}
