//! Stretches of time in which mutexes are followed from where they are taken to where they are released. A probe costs
//! its trap even if the program ignores the hit, so sampling means that most of the time there is none.

use model::scatter::scattered;

/// Length of a stretch in which it is looked at who takes a mutex.
const STRETCH_NS: u64 = 50_000_000;
/// Time after such a stretch for which a mutex's release is still waited for.
const PATIENCE_NS: u64 = 10_000_000_000;

/// Next thing to do with the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No mutex is held whose release is still waited for: another stretch begins, with probes where mutexes
    /// are released, too.
    Begin,
    /// Take note of who takes a mutex, again.
    Resume,
    /// Take no more note of it.
    Pause,
    /// All have let go, or are not waited for.
    End,
}

/// Schedule of the stretches in which mutexes are followed.
#[derive(Clone, Debug)]
pub struct Sampling {
    parts: u64,
    begin_ns: u64,
    /// The number of the present stretch, without a gap in the probes where mutexes are let go of.
    stretch: u32,
    taking: bool,
    /// Number of pauses so far, plus one.
    pauses: u32,
    /// Time since which takes of mutexes are not followed; `None` while they are, and where all is over.
    paused_ns: Option<u64>,
}

impl Sampling {
    /// In one of so many parts of the time from now on.
    #[must_use]
    pub const fn new(parts: u32, now_ns: u64) -> Self {
        Self { parts: parts as u64, begin_ns: now_ns, stretch: 0, taking: false, pauses: 1, paused_ns: None }
    }

    /// The number of the present stretch.
    #[must_use]
    pub const fn stretch(&self) -> u32 {
        self.stretch
    }

    /// True if there are probes where mutexes are released.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.taking || self.paused_ns.is_some()
    }

    /// Number of pauses so far, plus one.
    #[must_use]
    pub const fn pauses(&self) -> u32 {
        self.pauses
    }

    /// The probes are out, even if another step was due: what comes next begins a new stretch.
    pub const fn stop(&mut self) {
        self.pauses += self.taking as u32;
        (self.taking, self.paused_ns) = (false, None);
    }

    /// Next thing to do, given whether a thread still holds a mutex that was taken in this stretch.
    pub fn step(&mut self, now_ns: u64, is_held: impl FnOnce(u32) -> bool) -> Option<Step> {
        let due = self.is_due(now_ns);
        if due == self.taking {
            let paused_ns = self.paused_ns?;
            if now_ns < paused_ns + PATIENCE_NS && is_held(self.stretch) {
                return None;
            }
            self.paused_ns = None;
            return Some(Step::End);
        }
        self.taking = due;
        if !due {
            self.paused_ns = Some(now_ns);
            self.pauses += 1;
            return Some(Step::Pause);
        }
        if self.paused_ns.take().is_some() {
            return Some(Step::Resume);
        }
        self.stretch += 1;
        Some(Step::Begin)
    }

    /// Each round of parts has its one somewhere, lest a program that does things at intervals is always met at
    /// the same one.
    fn is_due(&self, now_ns: u64) -> bool {
        let since = now_ns.saturating_sub(self.begin_ns);
        let round = STRETCH_NS * self.parts;
        let from = scattered(since / round) % (round - STRETCH_NS + 1);
        (from..from + STRETCH_NS).contains(&(since % round))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK_NS: u64 = 1_000_000;

    fn steps(sampling: &mut Sampling, ticks: std::ops::Range<u64>, held: bool) -> Vec<Step> {
        ticks.filter_map(|tick| sampling.step(tick * TICK_NS, |_| held)).collect()
    }

    #[test]
    fn one_part_in_so_many_is_looked_at() {
        let mut sampling = Sampling::new(10, 0);
        let mut taking = 0;
        for tick in 0..50_000 {
            sampling.step(tick * TICK_NS, |_| false);
            taking += u64::from(sampling.taking);
        }
        assert_eq!((taking, sampling.stretch()), (5_000, 100));
        assert!(!sampling.is_open() || sampling.taking);
        let mut always = Sampling::new(1, 0);
        assert_eq!(steps(&mut always, 0..5_000, false), [Step::Begin]);
    }

    #[test]
    fn who_still_has_one_is_waited_for_but_not_for_ever() {
        let mut sampling = Sampling::new(400, 0);
        let first = steps(&mut sampling, 0..20_000, false);
        assert_eq!(first, [Step::Begin, Step::Pause, Step::End]);
        let mut sampling = Sampling::new(4, 0);
        let held = steps(&mut sampling, 0..1_000, true);
        assert_eq!(held[..3], [Step::Begin, Step::Pause, Step::Resume]);
        assert!(!held.contains(&Step::End) && sampling.stretch() == 1);
        let mut stopped = Sampling::new(1, 0);
        for stretch in 1..4 {
            assert_eq!(steps(&mut stopped, 0..3, true), [Step::Begin]);
            assert_eq!((stopped.stretch(), stopped.pauses()), (stretch, stretch));
            stopped.stop();
            assert!(!stopped.is_open());
        }
        let mut sampling = Sampling::new(1000, 0);
        let late = steps(&mut sampling, 0..100_000, true);
        assert_eq!(late[..3], [Step::Begin, Step::Pause, Step::End]);
    }
}
