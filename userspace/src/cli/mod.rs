//! The command line: one file per command.

mod attach;
mod bench;
mod beside;
mod compare;
mod dashboard;
mod doctor;
mod export;
mod failure;
mod generate;
mod live;
mod options;
mod output;
mod page;
mod probes;
mod report;
mod run;
mod selftest;
mod side_by_side;
mod sites;
mod why;

use std::{ffi::OsString, io::Write as _, thread};

use clap::{Parser, Subcommand};
use failure::Failure;
use kernel::{inline, sandbox, target};
use model::text;
use views::files;

use crate::selftest as selftest_caller;

/// Shows where a process's communication time goes: system calls, their latencies and errors, counted in the kernel,
/// complete to the last one.
#[derive(Parser)]
#[command(name = "pulse-trace", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 a check failed; 2 bad usage or a bad file; 3 missing privilege; 4 the kernel lacks something; \
`run` passes on the status of its command (128 + signal if one killed it).";

#[derive(Subcommand)]
enum Command {
    Attach(attach::Attach),
    Run(run::Run),
    Bench(bench::Bench),
    Compare(compare::Compare),
    Report(report::Report),
    Export(export::Export),
    Doctor(doctor::Doctor),
    Why(why::Why),
    Probes(probes::Probes),
    #[command(name = "__generate", hide = true)]
    Generate(generate::Generate),
    #[command(name = "__selftest", hide = true)]
    Selftest(selftest::Selftest),
}

/// Runs a command line; the exit code.
#[must_use]
pub fn main(arguments: &[OsString]) -> u8 {
    files::outlive_size_limit();
    let word = |at: usize| arguments.get(at).and_then(|argument| argument.to_str());
    if word(1) == Some(target::HOLD) {
        let rest: Vec<OsString> = arguments[2..].to_vec();
        return say(&target::hold_and_exec(&rest), failure::CANNOT_EXECUTE);
    }
    if word(1) == Some(sandbox::SANDBOX) {
        return sandbox::serve(word(2));
    }
    if word(1) == Some(inline::HELPER) {
        return inline::serve();
    }
    if word(1) == Some(selftest_caller::CALLER) {
        return match selftest_caller::make_calls(word(2).unwrap_or_default()) {
            Ok(()) => 0,
            Err(cause) => {
                say(&format!("cannot make calls: {cause}; this is a part of __selftest"), failure::CHECK)
            }
        };
    }
    on_known_stack(|| {
        let cli = match Cli::try_parse_from(arguments) {
            Ok(cli) => cli,
            Err(error) => return usage(&error),
        };
        match dispatch(cli.command) {
            Ok(code) => code,
            Err(failure) => say(&failure.to_string(), failure.code()),
        }
    })
}

/// Does it on a stack of a known size: the caller may have set a small limit for that of the first thread.
fn on_known_stack(work: impl Fn() -> u8 + Sync) -> u8 {
    const STACK: usize = 8 << 20;
    thread::scope(|scope| match thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &work) {
        Ok(worker) => worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // Without room for another thread the one that there is has to do.
        Err(_) => work(),
    })
}

fn dispatch(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Attach(attach) => attach.run(),
        Command::Run(run) => run.run(),
        Command::Bench(bench) => bench.run(),
        Command::Compare(compare) => compare.run(),
        Command::Report(report) => report.run(),
        Command::Export(export) => export.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Why(why) => why.run(),
        Command::Probes(probes) => probes.run(),
        Command::Generate(generate) => generate.run(),
        Command::Selftest(selftest) => selftest.run(),
    }
}

/// Prints what clap has to say: help and version are answers, the rest is bad usage.
fn usage(error: &clap::Error) -> u8 {
    // Nothing is left to be done about a terminal that is gone.
    let _ = error.print();
    if error.use_stderr() { failure::USAGE } else { 0 }
}

/// Prints to standard output. A reader that has gone away, as with `| head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("cannot write to standard output: {cause}; see where it leads")))
        }
        _ => Ok(()),
    }
}

fn say(message: &str, code: u8) -> u8 {
    if !message.is_empty() {
        // As above.
        let _ = writeln!(std::io::stderr().lock(), "pulse-trace: {}", text::message(message));
    }
    code
}
