//! `calls`: makes a known number of each of a dozen system calls, in threads, forked children, replaced programs;
//! sleeps and blocks for known times. The reports of a system call tracer are compared with its truth.

mod args;
mod blocking;
mod crew;
mod replace;
mod sealed;
mod truth;
mod worker;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use pulse_trace_workloads::{
    contract::{self, Handshake, now_ns},
    sys::{seccomp, usage::Usage},
};

use args::Args;
use truth::Truths;

fn main() -> ExitCode {
    let args = Args::parse();
    contract::main(|| run(&args))
}

fn run(args: &Args) -> anyhow::Result<bool> {
    worker::warm_up(args);
    if args.refuse_getppid {
        seccomp::refuse_getppid()
            .context("cannot have calls refused; a kernel with CONFIG_SECCOMP_FILTER is needed")?;
    }
    if args.sealed {
        match sealed::run(args)? {}
    }
    let mut handshake = Handshake::new(&args.common)?;
    handshake.ready_then_go()?;
    let (begin, before) = (now_ns(), Usage::now());
    let mut truths = Truths { made: crew::work(args)?, ..Truths::default() };
    truths.elapsed_ns = now_ns() - begin;
    truths.naps_ns = blocking::naps(args);
    truths.reads_ns = blocking::reads(args)?;
    truths.usage = Usage::now().since(before);
    if let Some(exec) = args.exec {
        return Err(replace::replace(args, exec, &truths.made).into());
    }
    truth::print(args, &truths)
}
