//! Calls that take their time: sleeps, and reads of a pipe that is written to later.

use std::{io::IoSliceMut, sync::mpsc, thread, time::Duration};

use pulse_trace_workloads::contract::{Refusal, cannot, now_ns, stopping};
use rustix::{
    io::{readv, write},
    pipe::{PipeFlags, pipe_with},
    thread::{NanosleepRelativeResult, Timespec, nanosleep},
};

use crate::args::Args;

fn repeated(args: &Args, times: &[Duration]) -> impl Iterator<Item = Duration> {
    let times = times.to_vec();
    (0..args.count).flat_map(move |_| times.clone())
}

/// Sleeps; how long each sleep took, ns.
pub fn naps(args: &Args) -> Vec<u64> {
    let mut took = Vec::new();
    for nap in repeated(args, &args.nap).take_while(|_| !stopping()) {
        let request =
            Timespec { tv_sec: nap.as_secs().cast_signed(), tv_nsec: i64::from(nap.subsec_nanos()) };
        let begin = now_ns();
        let ended = nanosleep(&request);
        let end = now_ns();
        if matches!(ended, NanosleepRelativeResult::Ok) {
            took.push(end - begin);
        }
    }
    took
}

/// Reads what another thread writes later; how long each read took, ns.
pub fn reads(args: &Args) -> Result<Vec<u64>, Refusal> {
    if args.block.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |error| cannot("block in a read", error, "raise `ulimit -n`");
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let (about_to_read, told) = mpsc::channel::<Duration>();
    let writing = thread::spawn(move || {
        for pause in told {
            thread::sleep(pause);
            if write(&writer, &[1]).is_err() {
                return;
            }
        }
    });
    let mut took = Vec::new();
    for pause in repeated(args, &args.block).take_while(|_| !stopping()) {
        if about_to_read.send(pause).is_err() {
            break;
        }
        let begin = now_ns();
        let read = readv(&reader, &mut [IoSliceMut::new(&mut [0])]);
        let end = now_ns();
        read.map_err(failed)?;
        took.push(end - begin);
    }
    drop(about_to_read);
    // It ends once no thread sends to it any more; it has no result.
    let _ = writing.join();
    Ok(took)
}
