//! What is told of one moment.

use serde::Serialize;

use super::edge::Certainty;

/// The waits of some processes at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Picture {
    /// Processes that were looked at.
    pub processes: usize,
    /// Their threads.
    pub threads: usize,
    /// Time that looking took, us.
    pub took_us: u64,
    /// Rings of threads each of which waits for the next one: none of them can go on.
    pub deadlocks: Vec<Vec<Waiting>>,
    /// Rings through pipes, children and locks on files: a signal handler, or a descriptor on its way, could end them.
    pub rings: Vec<Vec<Waiting>>,
    /// Threads that wait for a deadlock and are not in its ring.
    pub stuck: Vec<Waiting>,
    /// Things that several threads wait for.
    pub convoys: Vec<Convoy>,
    /// All other threads that wait for something and did not move between two looks.
    pub waiting: Vec<Waiting>,
    /// Threads that others wait for, and that wait for nothing themselves: the most waited for first.
    pub roots: Vec<Root>,
    /// Threads that wait for work, by what they wait in.
    pub idle: Vec<Idle>,
    /// Threads of which it is not known what they wait for, by where they do.
    pub unknown: Vec<Idle>,
    /// Threads that moved between the two looks, or were about to.
    pub moving: usize,
    /// What could not be seen, in words.
    pub notes: Vec<String>,
}

/// A thread, as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its process.
    pub pid: u32,
    /// Its id.
    pub tid: u32,
    /// Its name.
    pub comm: String,
}

/// A thread and its wait.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Waiting {
    /// The thread.
    pub thread: Told,
    /// What it waits for.
    pub object: String,
    /// What has to happen.
    pub until: &'static str,
    /// Threads that could end it, any of them.
    pub enders: Vec<Told>,
    /// How that is known.
    pub certainty: Certainty,
    /// Functions of its stack, the innermost first.
    pub stack: Vec<String>,
}

/// A thing that several threads wait for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Convoy {
    /// What they wait for.
    pub object: String,
    /// Threads that could end it.
    pub enders: Vec<Told>,
    /// The waiting threads.
    pub waiting: Vec<Waiting>,
}

/// A thread that others wait for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Root {
    /// The thread.
    pub thread: Told,
    /// How many wait for it, directly or behind others.
    pub behind: usize,
    /// What it does.
    pub does: String,
    /// Functions of its stack, the innermost first; empty while it runs.
    pub stack: Vec<String>,
}

/// Threads that wait in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Idle {
    /// What they wait in.
    pub place: String,
    /// How many there are.
    pub threads: usize,
}
