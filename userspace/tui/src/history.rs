//! The last minutes, and the whole session as a sum.
//!
//! Each frame becomes a slot. Memory is bounded by bytes: frames in full (needed to narrow to single processes) are let
//! go first, then old slots are merged in pairs, so that the resolution fades with age but no count is ever dropped.

mod charts;
mod period;

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{frame::Frame, glance::Glance, session::Session};
pub use period::Period;

use super::{
    joined::Joined,
    sums::{Chosen, Sums},
};

/// Limits of the history.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Frames in full, bytes.
    pub frames: usize,
    /// Sums of slots, bytes.
    pub sums: usize,
    /// Number of slots.
    pub slots: usize,
}

impl Limits {
    /// For a running session.
    pub const LIVE: Self = Self { frames: 8 << 20, sums: 8 << 20, slots: 1500 };
    /// For a recording, which is there as a whole.
    pub const REPLAY: Self = Self { frames: 256 << 20, sums: 128 << 20, slots: 20_000 };
}

/// Some time, and what happened in it.
#[derive(Debug)]
pub struct Slot {
    /// Beginning, ns since the session began.
    pub from_ns: u64,
    /// End, ns since the session began.
    pub to_ns: u64,
    /// All processes together.
    sums: Sums,
    /// The chosen ones together; `None` where that cannot be told any more.
    narrowed: Option<Sums>,
    /// Its calls in finer steps, where there were glances: the end of each, and how many.
    ticks: Vec<(u64, u64)>,
    frame: Option<(Arc<Frame>, usize)>,
    bytes: usize,
}

/// Data of the session that is remembered.
#[derive(Debug)]
pub struct History {
    total: Arc<Mutex<Session>>,
    slots: VecDeque<Slot>,
    limits: Limits,
    chosen: Chosen,
    joined: Joined,
    /// Sum of the slots that were dropped, since the last reset.
    gone: Sums,
    /// Everything since the last reset.
    since: Arc<Sums>,
    /// The same for the chosen processes, and since when.
    since_narrowed: Option<(u64, Arc<Sums>)>,
    reset_ns: u64,
    frame_bytes: usize,
    sum_bytes: usize,
    core: RefCell<Option<Core>>,
    /// The last window that was asked for; forgotten with every frame.
    window: RefCell<Option<Window>>,
    waiting: RefCell<Waiting>,
    /// Calls since the newest frame.
    ahead: Option<Glance>,
    /// In finer steps; see [`Slot::ticks`].
    ticks: Vec<(u64, u64)>,
}

/// Frames whose system calls are not in the session yet.
#[derive(Debug, Default)]
struct Waiting {
    frames: Vec<Arc<Frame>>,
    bytes: usize,
}

/// Most frames that wait. They are added up together, each of the session's histograms once; most of them are
/// remembered in full at that time anyway.
const WAITING_FRAMES: usize = 32;
const WAITING_BYTES: usize = 4 << 20;

impl Drop for History {
    /// The session outlives it, and is to be whole.
    fn drop(&mut self) {
        drop(self.session());
    }
}

/// The sum of the middle of a window that moves on: what joins and leaves it at the ends is added anew each time.
#[derive(Debug)]
struct Core {
    from_ns: u64,
    to_ns: u64,
    sums: Sums,
}

/// The sum of some slots.
#[derive(Debug)]
struct Window {
    first: usize,
    end: usize,
    sums: Arc<Sums>,
}

/// Slots that are left out of a new core at its old end, so that it stays of use for as many frames.
const CORE_MARGIN: usize = 10;

impl History {
    /// An empty one; frames are added to the session as well.
    #[must_use]
    pub fn new(total: Arc<Mutex<Session>>, limits: Limits) -> Self {
        Self {
            total,
            slots: VecDeque::new(),
            limits,
            chosen: Chosen::new(),
            joined: Joined::default(),
            gone: Sums::default(),
            since: Arc::default(),
            since_narrowed: None,
            reset_ns: 0,
            frame_bytes: 0,
            sum_bytes: 0,
            core: RefCell::new(None),
            window: RefCell::new(None),
            waiting: RefCell::default(),
            ahead: None,
            ticks: Vec::new(),
        }
    }

    /// The whole session.
    pub fn session(&self) -> MutexGuard<'_, Session> {
        let waiting = self.waiting.take();
        let mut session = self.outline();
        session.add_calls_of(waiting.frames.iter().map(|frame| &**frame));
        session
    }

    /// The whole session, but not all of its system calls yet.
    pub fn outline(&self) -> MutexGuard<'_, Session> {
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a frame to the session: system calls on demand or several frames at once, everything else immediately.
    fn add_to_session(&self, frame: &Arc<Frame>, bytes: usize) {
        self.outline().add_all_but_calls(frame);
        let mut waiting = self.waiting.borrow_mut();
        waiting.frames.push(Arc::clone(frame));
        waiting.bytes += bytes;
        if waiting.frames.len() >= WAITING_FRAMES || waiting.bytes >= WAITING_BYTES {
            drop(waiting);
            drop(self.session());
        }
    }

    /// Adds a frame.
    pub fn push(&mut self, frame: Frame) {
        let frame_bytes = frame_bytes(&frame);
        let frame = Arc::new(frame);
        self.add_to_session(&frame, frame_bytes);
        let sums = Sums::of(&frame, &Chosen::new());
        let narrowed = (!self.chosen.is_empty()).then(|| Sums::of(&frame, &self.chosen));
        self.joined.add(&frame);
        let add = |since: &mut Arc<Sums>, sums: &Sums| {
            let since = Arc::make_mut(since);
            since.merge(sums);
            since.fold_ended();
            self.joined.join(since);
        };
        add(&mut self.since, &sums);
        if let (Some((_, since)), Some(narrowed)) = (&mut self.since_narrowed, &narrowed) {
            add(since, narrowed);
        }
        self.window.take();
        let ticks = self.close_ticks(&frame);
        let bytes = sums.bytes() + size_of_val(&ticks[..]);
        self.sum_bytes += bytes;
        self.frame_bytes += frame_bytes;
        self.slots.push_back(Slot {
            from_ns: frame.at_ns.saturating_sub(frame.span_ns),
            to_ns: frame.at_ns,
            sums,
            narrowed,
            ticks,
            frame: Some((frame, frame_bytes)),
            bytes,
        });
        self.shrink();
    }

    /// Takes what has happened since the last frame.
    pub fn glance(&mut self, glance: Glance) {
        let known: u64 = self.ticks.iter().map(|tick| tick.1).sum();
        self.ticks.push((glance.at_ns, glance.count().saturating_sub(known)));
        self.ahead = Some(glance);
    }

    /// Calls since the last frame, if they were read.
    #[must_use]
    pub fn ahead(&self) -> Option<&Glance> {
        self.ahead.as_ref()
    }

    /// A frame is there: what was glanced at is part of it.
    fn close_ticks(&mut self, frame: &Frame) -> Vec<(u64, u64)> {
        let mut ticks = std::mem::take(&mut self.ticks);
        if self.ahead.take().is_some() {
            let known: u64 = ticks.iter().map(|tick| tick.1).sum();
            ticks.push((frame.at_ns, frame.ledger.counted.saturating_sub(known)));
            ticks.shrink_to_fit();
        }
        ticks
    }

    fn shrink(&mut self) {
        let mut at = 0;
        while self.frame_bytes > self.limits.frames && at + 1 < self.slots.len() {
            if let Some((_, bytes)) = self.slots[at].frame.take() {
                self.frame_bytes -= bytes;
            }
            at += 1;
        }
        while self.slots.len() > self.limits.slots || self.sum_bytes > self.limits.sums {
            if self.slots.len() < 32 {
                let Some(slot) = self.slots.pop_front() else { break };
                self.forget_bytes(&slot);
                if slot.from_ns >= self.reset_ns {
                    self.gone.merge(&slot.sums);
                    self.gone.fold_ended();
                }
                if self.slots.len() < 2 {
                    break;
                }
            } else {
                self.merge_pair();
            }
        }
    }

    /// Merges the pair that is finest for its age.
    fn merge_pair(&mut self) {
        let now = self.slots.back().map_or(0, |slot| slot.to_ns);
        let worth = |at: usize| {
            let (left, right) = (&self.slots[at], &self.slots[at + 1]);
            (right.to_ns - left.from_ns) as f64 / (now - right.to_ns + 1) as f64
        };
        let pairs = 0..self.slots.len() - 1;
        let Some(at) = pairs.min_by(|left, right| worth(*left).total_cmp(&worth(*right))) else { return };
        self.core.take();
        let Some(right) = self.slots.remove(at + 1) else { return };
        self.forget_bytes(&right);
        let left = &mut self.slots[at];
        self.sum_bytes -= left.bytes;
        if let Some((_, bytes)) = left.frame.take() {
            self.frame_bytes -= bytes;
        }
        left.to_ns = right.to_ns;
        left.sums.merge(&right.sums);
        left.narrowed = left.narrowed.take().zip(right.narrowed).map(|(mut left, right)| {
            left.merge(&right);
            left
        });
        left.ticks = Vec::new();
        left.bytes = left.sums.bytes();
        self.sum_bytes += left.bytes;
    }

    fn forget_bytes(&mut self, slot: &Slot) {
        self.sum_bytes -= slot.bytes;
        self.frame_bytes -= slot.frame.as_ref().map_or(0, |(_, bytes)| *bytes);
    }

    /// Looks at some processes only; none is all.
    pub fn choose(&mut self, chosen: Chosen) {
        self.chosen = chosen;
        self.core.take();
        self.window.take();
        for slot in &mut self.slots {
            let frame = slot.frame.as_ref().filter(|_| !self.chosen.is_empty());
            slot.narrowed = frame.map(|(frame, _)| Sums::of(frame, &self.chosen));
        }
        self.since_narrowed = (!self.chosen.is_empty()).then(|| {
            let (from_ns, mut sums) = self.narrowed_since_reset();
            self.joined.join(&mut sums);
            (from_ns, Arc::new(sums))
        });
    }

    /// The chosen processes since the last reset, as far back as they can be told apart, and since when that is.
    fn narrowed_since_reset(&self) -> (u64, Sums) {
        if self.reset_ns == 0 {
            return (0, Sums::of_session(&self.session(), &self.chosen));
        }
        let mut sum = (self.newest_ns(), Sums::default());
        for slot in self.slots.iter().rev().take_while(|slot| slot.from_ns >= self.reset_ns) {
            let Some(narrowed) = &slot.narrowed else { break };
            sum.1.merge(narrowed);
            sum.0 = slot.from_ns;
        }
        sum
    }

    /// The chosen processes.
    #[must_use]
    pub fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    /// Cumulated numbers begin anew.
    pub fn reset(&mut self) {
        self.reset_ns = self.newest_ns();
        self.gone = Sums::default();
        self.since = Arc::default();
        if let Some(narrowed) = &mut self.since_narrowed {
            *narrowed = (self.reset_ns, Arc::default());
        }
    }

    /// The end of the newest slot, ns since the session began.
    #[must_use]
    pub fn newest_ns(&self) -> u64 {
        self.slots.back().map_or(0, |slot| slot.to_ns)
    }

    /// The beginning of the oldest slot.
    #[must_use]
    pub fn oldest_ns(&self) -> u64 {
        self.slots.front().map_or(0, |slot| slot.from_ns)
    }

    /// The end of the slot before the one that ends at a time, or after it.
    #[must_use]
    pub fn step(&self, at_ns: u64, forward: bool) -> u64 {
        let at = self.slots.partition_point(|slot| slot.to_ns < at_ns);
        let next = if forward { at + 1 } else { at.saturating_sub(1) };
        self.slots.get(next).or(self.slots.back()).map_or(0, |slot| slot.to_ns)
    }

    /// The slots that lie within some time, oldest first; `None` for the sums of those that cannot be narrowed.
    pub fn slots(&self, from_ns: u64, to_ns: u64) -> impl Iterator<Item = (u64, u64, Option<&Sums>)> {
        let first = self.slots.partition_point(|slot| slot.to_ns <= from_ns);
        let some = self.slots.range(first..).take_while(move |slot| slot.from_ns < to_ns);
        some.map(|slot| (slot.from_ns, slot.to_ns, self.of(slot)))
    }

    fn of<'a>(&self, slot: &'a Slot) -> Option<&'a Sums> {
        if self.chosen.is_empty() { Some(&slot.sums) } else { slot.narrowed.as_ref() }
    }

    /// Length of the newest slot, ns.
    #[must_use]
    pub fn newest_span_ns(&self) -> u64 {
        self.slots.iter().rev().map(|slot| slot.to_ns - slot.from_ns).find(|span| *span > 0).unwrap_or(0)
    }

    /// The sum of the slots of a window that ends at a time: at least one, and as many as fit.
    #[must_use]
    pub fn window(&self, to_ns: u64, span_ns: u64) -> Period {
        let end = self.slots.partition_point(|slot| slot.to_ns <= to_ns);
        let fits = |slot: &Slot| {
            to_ns - slot.from_ns <= span_ns.saturating_add(slot.sums.span_ns / 2) && self.of(slot).is_some()
        };
        let count = self.slots.range(..end).rev().take_while(|slot| fits(slot)).count();
        // The newest one is always in it, however long it is.
        let first = end.saturating_sub(count.max(1));
        let mut period = Period { from_ns: to_ns, to_ns, ..Period::default() };
        if let Some(slot) = self.slots.range(first..end).next().filter(|slot| self.of(slot).is_some()) {
            period.from_ns = slot.from_ns;
            period.sums = self.sum_once(first, end);
        }
        period
    }

    /// The sum of some slots, which is asked for again with every glance.
    fn sum_once(&self, first: usize, end: usize) -> Arc<Sums> {
        let mut last = self.window.borrow_mut();
        if let Some(window) = last.as_ref().filter(|window| (window.first, window.end) == (first, end)) {
            return Arc::clone(&window.sums);
        }
        let mut sums = self.sum(first, end);
        self.joined.join(&mut sums);
        let sums = Arc::new(sums);
        *last = Some(Window { first, end, sums: Arc::clone(&sums) });
        sums
    }

    /// The sum of some slots, all of which are known.
    fn sum(&self, first: usize, end: usize) -> Sums {
        let add = |sums: &mut Sums, range: std::ops::Range<usize>| {
            self.slots.range(range).filter_map(|slot| self.of(slot)).for_each(|slot| sums.merge(slot));
        };
        let mut core = self.core.borrow_mut();
        let place = |core: &Core| {
            let begin = self.slots.partition_point(|slot| slot.from_ns < core.from_ns);
            let after = self.slots.partition_point(|slot| slot.to_ns <= core.to_ns);
            let grown = end.saturating_sub(after);
            (first <= begin && begin < after && after <= end && begin - first + grown <= 2 * CORE_MARGIN)
                .then_some((begin, after))
        };
        if let Some((begin, after)) = core.as_ref().and_then(place)
            && let Some(core) = core.as_ref()
        {
            // In the order of time: names and sizes are those of the newest.
            let mut sums = Sums::default();
            add(&mut sums, first..begin);
            sums.merge(&core.sums);
            add(&mut sums, after..end);
            return sums;
        }
        let mut sums = Sums::default();
        let begin = (first + CORE_MARGIN).min(end);
        let mut middle = Sums::default();
        add(&mut sums, first..begin);
        add(&mut middle, begin..end);
        sums.merge(&middle);
        if end - begin > 2 * CORE_MARGIN {
            let (from_ns, to_ns) = (self.slots[begin].from_ns, self.slots[end - 1].to_ns);
            *core = Some(Core { from_ns, to_ns, sums: middle });
        }
        sums
    }

    /// Everything from the last reset up to a time.
    #[must_use]
    pub fn cumulated(&self, to_ns: u64) -> Period {
        let newest = to_ns >= self.newest_ns();
        match &self.since_narrowed {
            Some((from_ns, sums)) if newest => {
                return Period { from_ns: *from_ns, to_ns, sums: Arc::clone(sums), ahead: None };
            }
            None if newest => {
                let sums = Arc::clone(&self.since);
                return Period { from_ns: self.reset_ns, to_ns, sums, ahead: None };
            }
            _ => {}
        }
        let narrowed = !self.chosen.is_empty();
        let sums = if narrowed { Sums::default() } else { self.gone.clone() };
        let mut period = Period { from_ns: self.reset_ns, to_ns, ..Period::default() };
        let mut all = sums;
        let mut first = true;
        let slots = self.slots.iter().filter(|slot| slot.from_ns >= self.reset_ns && slot.to_ns <= to_ns);
        for slot in slots {
            match self.of(slot) {
                Some(sums) => {
                    if std::mem::take(&mut first) && narrowed {
                        period.from_ns = slot.from_ns;
                    }
                    all.merge(sums);
                }
                None => (first, all) = (true, Sums::default()),
            }
        }
        self.joined.join(&mut all);
        period.sums = Arc::new(all);
        period
    }
}

/// About how many bytes a frame takes.
fn frame_bytes(frame: &Frame) -> usize {
    let mut bytes = 1024;
    for process in &frame.processes {
        bytes += size_of_val(process) + 64;
        let calls = process.syscalls.iter();
        bytes += calls.map(|call| size_of_val(call) + 16 * call.stats.latency.buckets().len()).sum::<usize>();
        bytes += process.sched.len() * 700
            + process.futexes.len() * 1500
            + process.mutexes.len() * 1500
            + process.inline.len() * 1500;
    }
    bytes
}

#[cfg(test)]
mod tests;
