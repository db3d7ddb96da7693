//! A stretch in which every single system call is known, those of the runtime included: it makes none there.

use std::{convert::Infallible, io::IoSliceMut, os::fd::OwnedFd, sync::Arc, thread};

use pulse_trace_workloads::{
    contract::{Refusal, cannot},
    sys::{calls::Kind, fd, pages::Pages},
};
use rustix::{
    io::{readv, write},
    pipe::{PipeFlags, pipe_with},
};

use crate::args::Args;

/// State that the threads share.
struct Stretch {
    kinds: Vec<Kind>,
    count: u64,
    /// A byte for each worker: it may begin.
    start: (OwnedFd, OwnedFd),
    /// A pipe that no thread ever writes to.
    never: (OwnedFd, OwnedFd),
    ready: OwnedFd,
    go: OwnedFd,
}

/// Never returns but with an error.
pub fn run(args: &Args) -> Result<Infallible, Refusal> {
    let stretch = Arc::new(prepare(args)?);
    for _ in 0..args.threads {
        let stretch = Arc::clone(&stretch);
        let mut pages = fresh(args.touch_pages)?;
        let worker = move || {
            wait(&stretch.start.0);
            stretch.make_all();
            pages.touch();
            say(&stretch.ready, b".");
            wait(&stretch.never.0);
        };
        thread::Builder::new().spawn(worker).map_err(|error| {
            cannot("start a thread", error, "ask for fewer `--threads` or raise `ulimit -u`")
        })?;
    }
    let bytes = vec![b'.'; args.threads as usize];
    say(&stretch.ready, b"ready\n");
    wait(&stretch.go);
    say(&stretch.start.1, &bytes);
    wait(&stretch.never.0);
    Err(cannot("hang", "the pipe that no thread writes to was written to", "report this"))
}

/// Mapped beforehand, since that is a call too; and the code that touches them has run once.
fn fresh(pages: u32) -> Result<Pages, Refusal> {
    let failed = |error| cannot("map memory", error, "ask for less with `--touch-pages`");
    Pages::map(1).map_err(failed)?.touch();
    Pages::map(pages as usize).map_err(failed)
}

fn prepare(args: &Args) -> Result<Stretch, Refusal> {
    let failed = |error| cannot("make a pipe", error, "raise `ulimit -n`");
    let inherited = |flag: &str, number: Option<i32>| {
        fd::adopt(number.unwrap_or(-1)).map_err(|error| {
            cannot(format_args!("use {flag}"), error, "pass the number of an inherited, open descriptor")
        })
    };
    Ok(Stretch {
        kinds: args.kinds(),
        count: args.count,
        start: pipe_with(PipeFlags::CLOEXEC).map_err(failed)?,
        never: pipe_with(PipeFlags::CLOEXEC).map_err(failed)?,
        ready: inherited("--ready-fd", args.common.ready_fd)?,
        go: inherited("--go-fd", args.common.go_fd)?,
    })
}

impl Stretch {
    /// No memory is asked for here: that could become a call of its own.
    fn make_all(&self) {
        for kind in &self.kinds {
            for _ in 0..self.count {
                // Whether it ended as it must is for the tracer to tell, by the errors.
                let _ = kind.make();
            }
        }
    }
}

/// One call, its result ignored: the process at the other end takes a failure as the end of the experiment.
fn wait(fd: &OwnedFd) {
    let _ = readv(fd, &mut [IoSliceMut::new(&mut [0])]);
}

fn say(fd: &OwnedFd, what: &[u8]) {
    let _ = write(fd, what);
}
