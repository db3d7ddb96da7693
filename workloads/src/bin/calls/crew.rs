//! The workers: threads of this process, or of forked children.

use std::thread;

use pulse_trace_workloads::{
    contract::{Refusal, cannot, stopping},
    sys::fork::fork,
};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::{
    args::Args,
    worker::{self, Made},
};

/// Has everything made, in all rounds.
pub fn work(args: &Args) -> Result<Made, Refusal> {
    let mut made = Made::none(args.kinds().len());
    let rounds = if args.forever { u32::MAX } else { args.common.rounds };
    for _ in 0..rounds {
        if stopping() {
            break;
        }
        if args.children > 0 {
            made.add(&by_children(args)?);
        } else {
            made.add(&by_threads(args, 0)?);
        }
    }
    Ok(made)
}

fn by_threads(args: &Args, first: u64) -> Result<Made, Refusal> {
    let pin = |nth: u64| args.common.pin.as_ref().map_or(Ok(()), |cpus| cpus.pin(nth as usize));
    if args.threads == 1 {
        pin(first)?;
        return Ok(worker::work(args, first));
    }
    let mut made = Made::none(args.kinds().len());
    thread::scope(|scope| {
        let spawn = |nth| {
            let body = move || pin(nth).map(|()| worker::work(args, nth));
            thread::Builder::new().spawn_scoped(scope, body).map_err(|error| {
                cannot("start a thread", error, "ask for fewer `--threads` or raise `ulimit -u`")
            })
        };
        let spawned: Vec<_> = (0..u64::from(args.threads)).map(|nth| spawn(first + nth)).collect();
        for handle in spawned {
            let ended = handle?.join();
            made.add(&ended.map_err(|_| cannot("make calls", "a thread panicked", "report this"))??);
        }
        Ok(made)
    })
}

/// Children answer with their exit status only: what they made is what they were to make, or they say that it is not.
fn by_children(args: &Args) -> Result<Made, Refusal> {
    let kinds = args.kinds();
    let child = |nth: u32| {
        let first = u64::from(nth) * u64::from(args.threads);
        fork(move || match by_threads(args, first) {
            Ok(made) => u8::from(made != whole(args, made.each.len())),
            Err(_) => 2,
        })
        .map_err(|error| cannot("fork", error, "ask for fewer `--children` or raise `ulimit -u`"))
    };
    let pids: Vec<Pid> = (0..args.children).map(child).collect::<Result<_, _>>()?;
    let mut made = Made::none(kinds.len());
    for pid in pids {
        let ended = loop {
            match waitpid(Some(pid), WaitOptions::empty()) {
                Err(rustix::io::Errno::INTR) => continue,
                ended => break ended,
            }
        };
        let status = ended.ok().flatten().and_then(|(_, status)| status.exit_status());
        if status == Some(0) {
            made.add(&whole(args, kinds.len()));
        } else {
            made.odd += 1;
        }
    }
    Ok(made)
}

/// Calls that one process makes when nothing stops it.
fn whole(args: &Args, kinds: usize) -> Made {
    Made { each: vec![args.count * u64::from(args.threads); kinds], odd: 0 }
}
