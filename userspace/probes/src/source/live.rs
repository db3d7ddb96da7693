//! Frames of the running machine.

use std::{collections::BTreeMap, os::fd::BorrowedFd, time::Duration};

use kernel::{
    Attached, Kernel, LoadError, Setup, give_back, hooks_of,
    inline::{Detail, Hands, InlineError, bring_to_entry},
    lacks_cookies, sandbox,
    target::Pinned,
};
use model::{
    frame::{CallStats, Frame, Ledger, ProcessKey},
    glance::Glance,
    grade::EVENTS_MISSED,
    probes::ProbeSet,
};
use pulse_trace_common::{
    loss::{Class, Slot},
    target::{Row, row_flag},
};

use super::{
    booking::{add_positive, book_events, total},
    costs::Costs,
    counting::Counting,
    gather::Gatherer,
    host,
    inlining::Inlining,
    misses::Misses,
    probing::{NOT_OF_EVERYBODY, Probing, Wish, no_cookies, without_tier_0},
    seating::{Onlooker, open_accounts},
    switch::{SWITCHED_OFF, Switches},
    tree::take_in,
};
use crate::{Futexes, Sched, Switch};

/// The ledger's name for calls that were still running at the end.
const IN_FLIGHT: &str = "in_flight_at_detach";
/// The ledger's name for counters that the machine has but this session could not open.
const COUNTERS_MISSING: &str = "counters_missing";
/// The ledger's name for processes that ran before their probes were in, and how long they did.
const UNPROBED: &str = "mutex_unprobed";
const UNPROBED_US: &str = "mutex_unprobed_us";

/// A target and how it is to be taken in.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Process to trace.
    pub pinned: &'a Pinned,
    /// True for a command that is held before its `exec`.
    pub held: bool,
}

/// A session on the running machine.
pub struct Live {
    pub(super) kernel: Kernel,
    pub(super) probes: ProbeSet,
    pub(super) attached: Attached,
    pub(super) gatherer: Gatherer,
    costs: Costs,
    losses: BTreeMap<&'static str, u64>,
    misses: Misses,
    pub(super) start_ns: u64,
    last_ns: u64,
    sequence: u64,
    everybody: bool,
    has_ended: bool,
    /// Threads that found no room at the start, until a ledger has told so.
    refused: u64,
    counting: Counting,
    pub(super) switches: Switches,
    /// Probes in the targets' code, where they are wanted.
    probing: Option<Probing>,
    inlining: Inlining,
    /// Reason for which the probes are not in although they are wanted.
    pub(super) left_out: Option<String>,
}

impl Live {
    /// Loads the kernel side, seats the targets and attaches the probes.
    ///
    /// # Errors
    /// When the kernel or the user cannot.
    pub fn start(setup: &Setup, targets: &[Target<'_>]) -> Result<Self, LoadError> {
        Self::start_with(setup, Wish::default(), targets)
    }

    /// The same, with wishes for the probes in the targets' code.
    ///
    /// # Errors
    /// As for [`Live::start`].
    pub fn start_with(setup: &Setup, wish: Wish, targets: &[Target<'_>]) -> Result<Self, LoadError> {
        Self::start_watched(setup, wish, targets, &mut |_| true)
    }

    /// The same, with a callback that is told the progress and may stop it.
    ///
    /// # Errors
    /// As for [`Live::start`]; also when the onlooker has said stop.
    pub fn start_watched(
        setup: &Setup,
        wish: Wish,
        targets: &[Target<'_>],
        onlooker: &mut Onlooker<'_>,
    ) -> Result<Self, LoadError> {
        let mut kernel = Kernel::load(setup)?;
        let (mut probing, left_out) = prepare_probing(setup, &mut kernel, wish)?;
        let costs = Costs::open(&mut kernel);
        let mut attached = Attached::default();
        let hooks = hooks_of(setup.probes);
        kernel.load_ahead(&hooks.concat());
        kernel.attach(hooks[0], &mut attached)?;
        let taken = take_in(&mut kernel, setup, targets, onlooker)?;
        let all = taken.all(targets);
        // All that takes its time comes before the hooks that many pass.
        let mut gatherer = Gatherer::new(setup.probes, setup.stacks);
        if let Some(probing) = &mut probing {
            begin_probing(probing, &mut kernel, &mut gatherer, targets);
        }
        if !setup.everybody {
            gatherer.observe(&kernel);
        }
        for hooks in &hooks[1..] {
            kernel.attach(hooks, &mut attached)?;
        }
        kernel.forget_types();
        give_back();
        let counting = match (setup.probes.has("counters"), setup.everybody) {
            (false, _) => Counting::default(),
            (true, true) => Counting::of_everybody(),
            (true, false) => Counting::prepare(&all, &taken.joined_ns, setup.follow_children, &mut gatherer),
        };
        let mut live = Self {
            kernel,
            probes: setup.probes,
            attached,
            gatherer,
            costs,
            losses: BTreeMap::new(),
            misses: Misses::default(),
            start_ns: 0,
            last_ns: 0,
            sequence: 0,
            everybody: setup.everybody,
            has_ended: false,
            refused: 0,
            counting,
            switches: Switches::default(),
            probing,
            inlining: Inlining::default(),
            left_out,
        };
        live.begin(onlooker)?;
        live.refused = taken.refused;
        Ok(live)
    }

    /// Has everything count that is in place, from one moment on.
    fn begin(&mut self, onlooker: &mut Onlooker<'_>) -> Result<(), LoadError> {
        // What was lost while the hooks were being put in belongs to no session.
        let _ = self.take_losses();
        self.costs.begin(&self.kernel);
        self.counting.begin();
        let start_ns = host::monotonic_ns();
        self.kernel.open()?;
        (self.start_ns, self.last_ns) = (start_ns, start_ns);
        self.gatherer.start_at(start_ns);
        if let Some(probing) = &mut self.probing {
            probing.start_at(&self.kernel, start_ns);
        }
        let goes_on = !self.gatherer.follows_sched() || open_accounts(&self.kernel, start_ns, onlooker);
        goes_on.then_some(()).ok_or(LoadError::Stopped)
    }

    /// Counts inside of the targets too.
    ///
    /// # Errors
    /// The reason for which one of them is left alone; then all are.
    pub fn count_inline(&mut self, targets: &[Target<'_>], how: (Detail, Hands)) -> Result<(), InlineError> {
        let mut keys: Vec<(ProcessKey, u32)> = Vec::with_capacity(targets.len());
        for Target { pinned, held } in targets {
            if *held && !bring_to_entry(pinned.pid)? {
                // There is no such program: it says so itself.
                continue;
            }
            let joined = self.kernel.process_rows().filter(|(_, row)| row.tgid == pinned.pid);
            let newest = joined.map(|(_, row)| row).max_by_key(|row| row.joined_ns);
            let row = newest.ok_or(InlineError::Gone(pinned.pid))?;
            let key = (ProcessKey { pid: pinned.pid, joined_ns: row.joined_ns }, row.execs);
            if !keys.contains(&key) {
                self.gatherer.expect_counters(key.0, &pinned.comm);
                keys.push(key);
            }
        }
        self.inlining.begin(&keys, how)
    }

    /// Start of the session, ns of the monotonic clock.
    #[must_use]
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Time since the start of the session.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(host::monotonic_ns().saturating_sub(self.start_ns))
    }

    /// The descriptor that becomes readable when a process ends.
    #[must_use]
    pub fn finished_fd(&self) -> BorrowedFd<'_> {
        self.kernel.finished_fd()
    }

    /// Begins or ends a stretch in which the programs' cost is measured.
    pub fn measure_costs(&mut self, on: bool) {
        self.costs.measure(on);
    }

    /// Reads the counters now, so that processes that ended make room for others. Tells whether many had.
    pub fn harvest(&mut self) -> bool {
        self.kernel.acknowledge_finished();
        self.kernel.flush_log();
        if let Some(probing) = &mut self.probing {
            probing.meet_new(&mut self.kernel, &mut self.gatherer);
        }
        self.inlining.meet_new(&self.kernel, &mut self.gatherer);
        let freed = self.gatherer.collect(&mut self.kernel, host::monotonic_ns(), false);
        freed > self.kernel.room_for_rows() / 16
    }

    /// Puts probes into processes that are new, at once; the rest of a harvest is still to come.
    pub fn meet_new(&mut self) {
        self.kernel.acknowledge_finished();
        if let Some(probing) = &mut self.probing {
            probing.meet_new(&mut self.kernel, &mut self.gatherer);
        }
        self.inlining.meet_new(&self.kernel, &mut self.gatherer);
    }

    /// True if there are probes or counters in the targets' code: their cost is to be watched, and new code is
    /// to get them.
    #[must_use]
    pub fn is_probing(&self) -> bool {
        self.probing.is_some() || self.inlining.follows()
    }

    /// Since when a probe is out because it cost more than its budget, ns since the session began.
    pub(super) fn taken_out_ns(&self, which: Switch) -> Option<u64> {
        self.probing.as_ref().filter(|_| which == Switch::Mutex)?.taken_out_ns()
    }

    /// Takes the probes out of the targets' code, or puts them in again.
    pub(super) fn switch_mutex(&mut self, on: bool) {
        match (&mut self.probing, on) {
            (Some(probing), true) => probing.switch_on(&mut self.kernel, &mut self.gatherer),
            (Some(probing), false) => probing.switch_off(&self.kernel),
            (None, _) => {}
        }
    }

    /// True if it is measured how long mutexes are held.
    pub(super) fn follows_holds(&self) -> bool {
        self.probing.as_ref().is_some_and(Probing::follows_holds)
    }

    /// Watches what probes in the targets' code cost, and puts them into code that is new.
    pub fn watch(&mut self) {
        if let Some(probing) = &mut self.probing {
            probing.watch(&mut self.kernel);
        }
        self.look_around();
    }

    /// True if there are mutexes whose memory is to be looked at now and then.
    #[must_use]
    pub fn has_mutexes(&self) -> bool {
        self.gatherer.has_samples() && !self.switches.is_off("futex")
    }

    /// Looks at their memory; to be called at random times.
    pub fn look_at_mutexes(&mut self) {
        if let Some(futexes) = self.gatherer.futexes() {
            futexes.look();
        }
    }

    fn look_around(&mut self) {
        self.inlining.meet_new(&self.kernel, &mut self.gatherer);
        if let Some(probing) = &mut self.probing {
            probing.look_around(&mut self.kernel, &mut self.gatherer);
        }
    }

    /// True if no target is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        // Threads that found no room have no seat, and live on.
        let may_live = |row: &Row| {
            let ends_with_seats = row.tid != 0 || row.flags & (row_flag::ALONE | row_flag::OTHERS) != 0;
            row.live != 0 || row.exited_ns == 0 && !ends_with_seats
        };
        !self.everybody && !self.kernel.rows().any(|(_, row)| may_live(&row))
    }

    /// The interval since the last frame.
    pub fn frame(&mut self) -> Frame {
        self.look_around();
        self.gatherer.collect(&mut self.kernel, host::monotonic_ns(), false);
        self.counting.collect(&mut self.gatherer);
        self.inlining.collect(&mut self.gatherer);
        let losses = self.take_losses();
        self.close_frame(losses, host::monotonic_ns())
    }

    /// Number of system calls since the last frame, where they are counted; the next one has them all the same.
    pub fn calls_since(&mut self) -> Option<Glance> {
        let counted = self.gatherer.counts_calls().then(|| self.gatherer.glance(&self.kernel));
        // As with frames, the end is when everything has been read.
        let now = host::monotonic_ns();
        let (at_ns, span_ns) = (now - self.start_ns, now.saturating_sub(self.last_ns));
        counted.map(|counted| Glance { at_ns, span_ns, ..counted })
    }

    /// Lets go of everything; the last interval.
    #[must_use]
    pub fn finish(mut self) -> Frame {
        let looked_at_futexes = !self.switches.is_off("futex");
        self.inlining.meet_new(&self.kernel, &mut self.gatherer);
        self.switches.end();
        self.kernel.close();
        self.attached.detach("sys_enter");
        for hooks in &hooks_of(self.probes)[1..] {
            self.attached.release(hooks);
        }
        // What a thread does from here on is in no number.
        let end_ns = host::monotonic_ns();
        self.kernel.end();
        self.costs.measure(false);
        if let Some(probing) = &mut self.probing {
            probing.finish(&self.kernel, end_ns);
        }
        self.attached.detach_all();
        self.gatherer.collect(&mut self.kernel, end_ns, true);
        self.gatherer.collect_in_flight(&self.kernel);
        self.counting.finish(&mut self.gatherer);
        self.inlining.finish(&mut self.gatherer);
        let mut losses = self.take_losses();
        self.has_ended = true;
        if looked_at_futexes {
            add_positive(&mut losses.censored, IN_FLIGHT, self.gatherer.uncounted_in_flight(&self.kernel));
        }
        let missed = self.attached.software_events().saturating_sub(self.kernel.software_runs());
        // Of any process, most often of the tool itself: no loss that is known of a target.
        add_positive(&mut losses.degraded, EVENTS_MISSED, missed);
        add_positive(&mut losses.events, "waiting_at_detach", Sched::waiting(&self.kernel));
        self.close_frame(losses, end_ns)
    }

    fn close_frame(&mut self, mut ledger: Ledger, now: u64) -> Frame {
        self.kernel.flush_log();
        let processes = self.gatherer.take();
        let mut overhead = self.costs.take(&self.kernel);
        overhead.traps = self.probing.as_mut().map(|probing| probing.take(&self.kernel));
        overhead.inline = self.inlining.take_cost();
        self.misses.book(&overhead.programs, &mut ledger);
        add_positive(&mut ledger.degraded, COUNTERS_MISSING, self.counting.take_missing());
        add_positive(&mut ledger.degraded, SWITCHED_OFF, self.switches.take_count());
        let (inline_missing, inline_lost) = self.inlining.take_missing();
        for (name, count) in inline_missing {
            add_positive(&mut ledger.degraded, name, count);
        }
        add_positive(&mut ledger.lost, "inline_nobodys", inline_lost);
        ledger.counted = total(&processes, CallStats::count);
        if self.gatherer.counts_calls() {
            overhead.sample_calls(ledger.counted, now.saturating_sub(self.last_ns));
        }
        book_events(&processes, &mut ledger);
        for (name, count) in self.gatherer.take_stack_events() {
            add_positive(&mut ledger.events, name, count);
        }
        add_positive(&mut ledger.censored, IN_FLIGHT, total(&processes, |stats| stats.in_flight));
        let (unprobed, unprobed_ns) = self.take_unprobed();
        add_positive(&mut ledger.degraded, UNPROBED, unprobed);
        add_positive(&mut ledger.events, UNPROBED_US, unprobed_ns.div_ceil(1000));
        let unfinished = self.probing.as_mut().map_or(0, Probing::take_unfinished);
        add_positive(&mut ledger.censored, Slot::HoldsUnfinished.name(), unfinished);
        let mut notes = self.switches.take_notes();
        notes.extend(self.counting.take_note());
        notes.extend(self.gatherer.futexes().and_then(Futexes::take_note));
        notes.extend(self.gatherer.take_stack_notes(self.probing.is_some()));
        let of_probing = self.probing.as_mut().map(Probing::take_notes).unwrap_or_default();
        let left_out = self.left_out.iter().filter(|_| self.sequence == 0).cloned();
        let unprobed = self.probing.as_ref().filter(|_| self.has_ended).and_then(Probing::note_unprobed);
        let of_probing = left_out.chain(of_probing).chain(unprobed);
        let shown = self.gatherer.follows_futexes();
        notes.extend(of_probing.map(|note| if shown { note } else { without_tier_0(&note) }));
        notes.extend(self.inlining.take_notes().into_iter().chain(sandbox::take_notes()));
        let frame = Frame {
            sequence: self.sequence,
            at_ns: now - self.start_ns,
            span_ns: now.saturating_sub(self.last_ns),
            processes,
            ledger,
            overhead,
            notes,
        };
        self.last_ns = now;
        self.sequence += 1;
        frame
    }

    /// Processes that ran without probes, and for how long.
    fn take_unprobed(&mut self) -> (u64, u64) {
        let ended = self.gatherer.take_ended();
        let Some(probing) = &mut self.probing else { return (0, 0) };
        probing.bury(&ended);
        probing.take_unprobed()
    }

    /// Losses since the last call.
    fn take_losses(&mut self) -> Ledger {
        let mut ledger = Ledger::default();
        for (slot, count) in self.kernel.losses() {
            let new = count - self.losses.insert(slot.name(), count).unwrap_or(0);
            // Where calls are not counted, a call that is on no futex either is in no number.
            let nowhere =
                matches!(slot, Slot::FutexesFull | Slot::UnmatchedExit) && !self.gatherer.counts_calls();
            let book = match slot.class() {
                _ if nowhere => &mut ledger.lost,
                Class::Lost => &mut ledger.lost,
                Class::Degraded => &mut ledger.degraded,
                Class::Censored => &mut ledger.censored,
                Class::Noted => &mut ledger.events,
            };
            add_positive(book, slot.name(), new);
        }
        add_positive(&mut ledger.degraded, Slot::TargetsFull.name(), std::mem::take(&mut self.refused));
        self.kernel.note_full_tables(&mut ledger);
        ledger
    }
}

/// Probes for the targets' code, where they are wanted and can be had, or why they are left out.
fn prepare_probing(
    setup: &Setup,
    kernel: &mut Kernel,
    wish: Wish,
) -> Result<(Option<Probing>, Option<String>), LoadError> {
    match (setup.probes.has("mutex"), setup.everybody) {
        (false, _) => Ok((None, None)),
        (true, true) => Ok((None, Some(NOT_OF_EVERYBODY.to_owned()))),
        (true, false) => match Probing::prepare(kernel, wish) {
            Ok(probing) => Ok((Some(probing), None)),
            Err(error) if lacks_cookies(&error) => Ok((None, Some(no_cookies()))),
            Err(error) => Err(error),
        },
    }
}

/// Puts probes into all targets.
fn begin_probing(
    probing: &mut Probing,
    kernel: &mut Kernel,
    gatherer: &mut Gatherer,
    targets: &[Target<'_>],
) {
    for target in targets.iter().filter(|target| target.held) {
        probing.expect(kernel, gatherer, target.pinned.pid);
    }
    probing.look_around(kernel, gatherer);
}
