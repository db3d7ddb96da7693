//! The program replaces itself by itself.

use std::{os::unix::process::CommandExt as _, process::Command, thread};

use pulse_trace_workloads::contract::{Refusal, cannot};

use crate::{
    args::{Args, Exec},
    worker::Made,
};

/// Does not return but with an error.
pub fn replace(args: &Args, by: Exec, made: &Made) -> Refusal {
    let mut command = again(args, made);
    let error = match by {
        Exec::Leader => command.exec().to_string(),
        // When it succeeds this thread is gone, in the middle of its waiting.
        Exec::Thread => match thread::spawn(move || command.exec()).join() {
            Ok(error) => error.to_string(),
            Err(_) => "the thread panicked".to_owned(),
        },
    };
    cannot("replace the program", error, "check that /proc is mounted")
}

/// The same work once more, without another replacement.
fn again(args: &Args, made: &Made) -> Command {
    let mut command = Command::new("/proc/self/exe");
    let names: Vec<String> = args.kinds().iter().map(|kind| kind.name()).collect();
    command.arg("--calls").arg(names.join(","));
    command.arg("--count").arg(args.count.to_string());
    command.arg("--threads").arg(args.threads.to_string());
    command.arg("--rounds").arg(args.common.rounds.to_string());
    command.arg("--before").arg(made.each.first().copied().unwrap_or(0).to_string());
    command.arg("--touch-pages").arg(args.touch_pages.to_string());
    if args.common.json {
        command.arg("--json");
    }
    command
}
