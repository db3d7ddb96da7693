//! The time that is looked at, and its data.

use super::{App, WINDOWS_NS};
use crate::{history::Period, sums::Sums};

impl App {
    /// The end of what is shown, ns since the session began.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        let now = || self.history.ahead().map_or(self.history.newest_ns(), |glance| glance.at_ns);
        self.held_ns.unwrap_or_else(now)
    }

    /// The period of the numbers on screen.
    #[must_use]
    pub fn period(&self) -> Period {
        // The last frame is one, and not what comes after it; a choice of processes is not glanced at.
        let narrow = !self.cumulated && WINDOWS_NS[self.window] == 0 || !self.history.chosen().is_empty();
        let ahead = self.history.ahead().filter(|_| self.held_ns.is_none() && !narrow);
        let end = match self.held_ns {
            None if narrow => self.history.newest_ns(),
            _ => self.end_ns(),
        };
        let frames = if self.cumulated { self.history.cumulated(end) } else { self.window_until(end) };
        Period { ahead: ahead.cloned(), ..frames }
    }

    pub(super) fn window_period(&self) -> Period {
        self.window_until(self.end_ns())
    }

    fn window_until(&self, end: u64) -> Period {
        self.history.window(end, WINDOWS_NS[self.window])
    }

    /// The time that a chart of so many columns is about: one column per frame, or the window if that is longer. It
    /// may begin before the session does: charts grow from the right.
    #[must_use]
    pub fn chart_span(&self, columns: usize) -> (i64, u64) {
        let to = self.end_ns();
        let step = self.history.newest_tick_ns().max(1);
        let remembered = to.saturating_sub(self.history.oldest_ns());
        let window = WINDOWS_NS[self.window].min(remembered);
        (to as i64 - window.max(step.saturating_mul(columns as u64)) as i64, to)
    }

    /// Something per second over time; `None` where nothing is known of the time.
    #[must_use]
    pub fn chart(&self, columns: usize, of: &dyn Fn(&Sums) -> f64) -> Vec<Option<f64>> {
        let (from, to) = self.chart_span(columns);
        self.history.chart(from, to, columns, of)
    }

    /// Calls per second over time.
    #[must_use]
    pub fn calls_chart(&self, columns: usize) -> Vec<Option<f64>> {
        let (from, to) = self.chart_span(columns);
        self.history.calls_chart(from, to, columns)
    }

    /// The two things that are compared, with their names; `None` for one that is not there.
    #[must_use]
    pub fn compared(&self) -> [Option<(String, Period)>; 2] {
        if !self.versus_processes {
            return std::array::from_fn(|at| {
                self.marks[at].as_ref().map(|mark| (["A", "B"][at].to_owned(), mark.period.clone()))
            });
        }
        let session = self.history.session();
        let mut chosen = self.history.chosen().iter().filter_map(|key| {
            let process = session.processes.get(key)?;
            let sums = Sums::of_process(*key, process, session.duration_ns).into();
            Some((process.shown(*key), Period { from_ns: 0, to_ns: session.duration_ns, sums, ahead: None }))
        });
        [chosen.next(), chosen.next()]
    }
}
