//! One file, read by a process of its own: what one file makes its reader say is about no other file. Probes and counters are
//! put where the reader says.

use std::{fs::File, io, path::Path, slice, time::Duration};

use binary::{
    files::Origin,
    input,
    locate::{
        plan::{LARGEST, Planned},
        replaceable::Offer,
    },
    service::{Reply, Request},
};

use super::{
    answers::Answers,
    process::{CPU_TIME, Failure, Process},
    shared,
};

/// Files that may fail in a session: each may have taken seconds.
const MOST_FAILED: u32 = 16;
/// Bytes of a file that are read in a second by a slow machine.
const BYTES_PER_SECOND: u64 = 64 << 20;

/// Places to probe in a file.
///
/// # Errors
/// When it cannot be read.
pub fn plan(file: &File, origin: Origin) -> io::Result<Planned> {
    match ask(file, &origin.clone(), Request::Plan(origin))? {
        Reply::Plan(planned) => planned.map_err(Into::into),
        _ => Err(not_understood()),
    }
}

/// Instructions to replace in a file.
///
/// # Errors
/// When it cannot be read.
pub fn offer(file: &File, path: &Path) -> io::Result<Offer> {
    let origin = Origin { pid: 0, path: path.to_owned() };
    match ask(file, &origin.clone(), Request::Offer(origin))? {
        Reply::Offer(offer) => offer.map_err(Into::into),
        _ => Err(not_understood()),
    }
}

/// Build id of a file.
#[must_use]
pub fn build_id(file: &File) -> Option<String> {
    match ask(file, &Origin::default(), Request::BuildId) {
        Ok(Reply::BuildId(id)) => id,
        _ => None,
    }
}

fn not_understood() -> io::Error {
    io::Error::other("what was read of it does not fit into a message")
}

fn ask(file: &File, origin: &Origin, request: Request) -> io::Result<Reply> {
    let mut answers = Answers::default();
    answers.handed_over(origin);
    if shared().failed_files == MOST_FAILED {
        return Err(io::Error::other(format!(
            "{MOST_FAILED} files have failed already, and no more are read"
        )));
    }
    // No more than this is read, even of a file that claims to be longer.
    let length = file.metadata()?.len().min(LARGEST);
    let mut process = Process::start(0)?;
    let cpu_time = CPU_TIME + Duration::from_secs(length / BYTES_PER_SECOND);
    let asked = process.ask(request, slice::from_ref(file), &mut answers, cpu_time);
    shared().spent_ns += process.cpu_ns();
    asked.map_err(|failure| {
        if let Failure::Unsent(error) = failure {
            return error;
        }
        shared().failed_files += 1;
        // The one that follows stacks need not fail over it, too.
        if let Ok(file) = input::identity(file) {
            shared().answers.exclude(file);
        }
        io::Error::other(format!("{}; its functions have no names", process.end(&failure)))
    })
}
