//! A session by the library, step by step.

use std::{
    thread,
    time::{Duration, Instant},
};

use kernel::{
    inline::{Detail, Hands},
    target::Pinned,
};
use model::{
    probes::AUTO,
    session::{Header, Session},
};
use probes::source::{
    host,
    live::{Live, Target},
    probing::Wish,
    seating::Onlooker,
};
use pulse_trace::session::{Request, Scope, kernel_setup};

use super::{assert_consistent, hidden};

/// Options of a trace.
pub struct How<'a> {
    pub scope: Scope,
    pub per_thread: bool,
    /// Names of the probes, as with `--probes`.
    pub probes: &'a [&'a str],
    /// True if stacks are taken.
    pub stacks: bool,
    /// Limits set by hand, as with `--limit`.
    pub limits: &'a [(&'a str, u32)],
    /// Wishes for the probes in the targets' own code.
    pub wish: Wish,
    /// True if counters are put into the targets.
    pub inline: bool,
}

impl Default for How<'_> {
    fn default() -> Self {
        Self {
            scope: Scope::Targets,
            per_thread: false,
            probes: &[AUTO],
            stacks: true,
            limits: &[],
            wish: Wish::default(),
            inline: false,
        }
    }
}

/// A running session.
pub struct Trace {
    live: Live,
    session: Session,
    /// Threads whose accounts were opened in the midst of their lives.
    found: u64,
}

impl Trace {
    /// Traces a process.
    pub fn of(pid: u32, how: &How<'_>) -> Self {
        Self::of_pinned(&Pinned::process(pid).unwrap(), how)
    }

    /// Traces a process, or one thread of it, that was pinned before.
    pub fn of_pinned(pinned: &Pinned, how: &How<'_>) -> Self {
        Self::of_all(&[pinned], how)
    }

    /// Traces several processes.
    pub fn of_all(pinned: &[&Pinned], how: &How<'_>) -> Self {
        Self::watched(pinned, how, &mut |_| true)
    }

    /// The same while getting ready is watched.
    pub fn watched(pinned: &[&Pinned], how: &How<'_>, onlooker: &mut Onlooker<'_>) -> Self {
        hidden::begin();
        super::reads_by_the_tool();
        let limits = how.limits.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let probes = how.probes.iter().map(|name| (*name).to_owned()).collect();
        let request = Request {
            scope: how.scope,
            per_thread: how.per_thread,
            probes,
            stacks: how.stacks,
            limits,
            debug: false,
        };
        let setup = kernel_setup(&request, pinned).unwrap();
        let targets: Vec<Target<'_>> = pinned.iter().map(|pinned| Target { pinned, held: false }).collect();
        let mut live = Live::start_watched(&setup, how.wish, &targets, onlooker).unwrap();
        if how.inline {
            live.count_inline(&targets, (Detail::Kinds, Hands::Own)).unwrap();
        }
        let header = Header { arch: host::arch(), per_thread: how.per_thread, ..Header::default() };
        // Those that are born until the first frame are among them: none too few.
        let mut session = Session::new(header);
        session.add(&live.frame());
        let found = threads(&session);
        Self { live, session, found }
    }

    /// Reads the counters, as the event loop does when processes end and when a frame is due.
    pub fn step(&mut self) {
        self.live.harvest();
        let frame = self.live.frame();
        self.session.add(&frame);
    }

    /// Switches a probe off or on, as a key of the dashboard does.
    pub fn switch(&mut self, probe: &str, on: bool) -> Result<(), String> {
        let done = self.live.switch(probe, on);
        let frame = self.live.frame();
        self.session.add(&frame);
        self.found += threads(&self.session);
        done
    }

    /// Goes on for so many steps.
    pub fn steps(&mut self, number: u32) {
        let mut taken = 0;
        self.until(|| {
            taken += 1;
            taken > number
        });
    }

    /// Goes on until something has happened.
    pub fn until(&mut self, mut over: impl FnMut() -> bool) {
        while !over() {
            thread::sleep(Duration::from_millis(10));
            self.live.watch();
            self.step();
        }
    }

    /// Goes on until the session has a note with this text.
    pub fn until_noted(&mut self, text: &str) {
        let since = Instant::now();
        while !self.session.notes.iter().any(|note| note.contains(text)) {
            assert!(since.elapsed() < Duration::from_secs(60), "{text}: {:?}", self.session.notes);
            thread::sleep(Duration::from_millis(10));
            self.live.watch();
            self.step();
        }
    }

    /// True if no target is left.
    pub fn is_over(&self) -> bool {
        self.live.is_over()
    }

    /// Lets go. What every session must hold is checked.
    pub fn finish(self) -> Session {
        let Self { live, mut session, found } = self;
        session.add(&live.finish());
        session.finished = true;
        assert_consistent(&session, found);
        session
    }
}

/// Threads that were ever followed.
fn threads(session: &Session) -> u64 {
    session.processes.values().map(|process| u64::from(process.threads)).sum()
}
