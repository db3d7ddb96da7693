//! Ready and go: nothing of the measured work happens before the tracer has its probes in place.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::event::{PollFd, PollFlags, poll};

use super::{CommonArgs, Refusal, cannot, stopping};
use crate::sys::{fd, signal};

/// The two descriptors, taken over once at start so that a wrong number is refused before any work.
#[derive(Debug)]
pub struct Handshake {
    ready: Option<File>,
    go: Option<File>,
}

impl Handshake {
    /// Takes over the descriptors named on the command line.
    ///
    /// # Errors
    ///
    /// A number is not an open descriptor.
    pub fn new(args: &CommonArgs) -> Result<Self, Refusal> {
        Ok(Self { ready: adopt("--ready-fd", args.ready_fd)?, go: adopt("--go-fd", args.go_fd)? })
    }

    /// Says `ready` and waits for the go; without descriptors it returns at once.
    ///
    /// Answers false when a stop was asked for while waiting.
    ///
    /// # Errors
    ///
    /// The tracer closed its side without saying go.
    pub fn ready_then_go(&mut self) -> Result<bool, Refusal> {
        self.say_ready()?;
        self.wait_for_go()
    }

    /// Says `ready` and closes the descriptor.
    ///
    /// # Errors
    ///
    /// The tracer has gone.
    pub fn say_ready(&mut self) -> Result<(), Refusal> {
        match self.ready.take() {
            Some(mut ready) => ready.write_all(b"ready\n").map_err(|error| gone("say ready", error)),
            None => Ok(()),
        }
    }

    /// Waits for one byte; false when a stop was asked for.
    ///
    /// # Errors
    ///
    /// The tracer closed its side without saying go.
    pub fn wait_for_go(&mut self) -> Result<bool, Refusal> {
        let Some(mut go) = self.go.take() else { return Ok(!stopping()) };
        while !stopping() {
            // The bell of the stop signals instead of a time-out: repeated polls would show up in a trace.
            let mut polled = vec![PollFd::new(&go, PollFlags::IN)];
            let bell = signal::bell();
            polled.extend(bell.as_ref().map(|bell| PollFd::new(bell, PollFlags::IN)));
            match poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(gone("wait for the go", error)),
                Ok(_) if stopping() => break,
                Ok(_) => {}
            }
            return match go.read(&mut [0]) {
                Ok(0) => Err(gone("wait for the go", "the other side closed without saying it")),
                Ok(_) => Ok(!stopping()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(gone("wait for the go", error)),
            };
        }
        Ok(false)
    }
}

fn gone(what: &str, cause: impl std::fmt::Display) -> Refusal {
    cannot(what, cause, "keep the process that holds the descriptor alive until then")
}

fn adopt(flag: &str, number: Option<i32>) -> Result<Option<File>, Refusal> {
    number
        .map(|number| {
            fd::adopt(number).map(File::from).map_err(|error| {
                cannot(
                    format_args!("use {flag} {number}"),
                    error,
                    "pass the number of an inherited, open descriptor",
                )
            })
        })
        .transpose()
}
