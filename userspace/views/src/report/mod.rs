//! The text report: a pure function of a session. What a recording gives back prints the very same.

mod budget;
mod calls;
mod cost;
mod counters;
mod events;
mod finding;
mod header;
mod histogram;
mod holds;
mod inline;
pub mod layout;
mod ledger;
mod locks;
mod mutex;
mod notes;
mod place;
mod processes;
mod sched;
mod share;
mod sort;

pub use finding::lines as findings;
use layout::Layout;
use model::session::{Process, Session};
pub use sort::{Sort, UnknownSort};

/// Processes, and threads of a process, that are shown by default.
pub const DEFAULT_TOP: usize = 20;

/// Options of the report.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Order of calls, processes, threads and locks.
    pub sort: Sort,
    /// Number of processes, threads and calls to show; by default [`DEFAULT_TOP`] processes with all of their calls.
    pub top: Option<usize>,
    /// True if threads are shown apart.
    pub threads: bool,
    /// True if each distribution is drawn.
    pub histograms: bool,
    /// True if the text may carry colours.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { sort: Sort::Total, top: None, threads: false, histograms: false, colour: false, width: 80 }
    }
}

/// Possible error of quantiles, where no table of calls has stated it.
fn precision(session: &Session, layout: Layout) -> String {
    let processes = || session.processes.values();
    let said = processes().any(|process| !process.syscalls.is_empty());
    let other = |process: &Process| {
        process.sched.is_some()
            || !process.events.is_empty()
            || !process.futexes.is_empty()
            || !process.mutexes.is_empty()
    };
    if said || !processes().any(other) {
        return String::new();
    }
    layout.wrap(
        "",
        "Counts, totals and means are exact; p50 to p99.9 are within 1/32 (3.13%) of the true value.",
    )
}

/// The whole report.
#[must_use]
pub fn render(session: &Session, options: &Options) -> String {
    let layout = Layout::new(options.width, options.colour);
    let sections = [
        header::render(session, layout),
        notes::render(session, layout),
        finding::render(session, layout),
        budget::render(session, options, layout),
        processes::render(session, options, layout),
        events::render(session, options, layout),
        sched::render(session, options, layout),
        locks::render(session, options, layout),
        mutex::render(session, options, layout),
        holds::render(session, options, layout),
        inline::render(session, options, layout),
        precision(session, layout),
        cost::warning(session, layout),
        cost::render(session, layout),
        ledger::render(session, layout),
    ];
    let filled: Vec<String> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    filled.join("\n")
}

#[cfg(test)]
mod tests;
