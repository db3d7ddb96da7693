//! Rates over time from the history.

use super::History;
use crate::sums::Sums;

impl History {
    /// Time covered by the newest reading, ns: a frame, or a glance since the last one.
    #[must_use]
    pub fn newest_tick_ns(&self) -> u64 {
        let Some(slot) = self.slots.back() else { return 0 };
        let (from_ns, ticks) =
            if self.ticks.is_empty() { (slot.from_ns, &slot.ticks) } else { (slot.to_ns, &self.ticks) };
        match ticks[..] {
            [] => self.newest_span_ns(),
            [only] => only.0 - from_ns,
            [.., before, last] => last.0 - before.0,
        }
    }

    /// Calls per second in each of so many columns of a time.
    #[must_use]
    pub fn calls_chart(&self, from_ns: i64, to_ns: u64, columns: usize) -> Vec<Option<f64>> {
        let mut parts = Vec::new();
        let first = self.slots.partition_point(|slot| (slot.to_ns as i64) <= from_ns);
        for slot in self.slots.range(first..).take_while(|slot| slot.from_ns < to_ns) {
            let Some(sums) = self.of(slot) else { continue };
            match slot.ticks[..] {
                [_, ..] if self.chosen.is_empty() => steps(&mut parts, slot.from_ns, &slot.ticks),
                _ => parts.push((slot.from_ns, slot.to_ns, sums.call_totals().0 as f64)),
            }
        }
        if self.chosen.is_empty() {
            steps(&mut parts, self.newest_ns(), &self.ticks);
        }
        spread(parts.into_iter().filter(|part| part.0 < to_ns), from_ns, to_ns, columns)
    }

    /// Something per second in each of so many columns of a time.
    #[must_use]
    pub fn chart(
        &self,
        from_ns: i64,
        to_ns: u64,
        columns: usize,
        of: &dyn Fn(&Sums) -> f64,
    ) -> Vec<Option<f64>> {
        let slots = self.slots(from_ns.max(0) as u64, to_ns);
        spread(slots.filter_map(|(from, to, sums)| Some((from, to, of(sums?)))), from_ns, to_ns, columns)
    }
}

fn steps(parts: &mut Vec<(u64, u64, f64)>, mut from_ns: u64, ticks: &[(u64, u64)]) {
    for (to_ns, count) in ticks {
        parts.push((from_ns, *to_ns, *count as f64));
        from_ns = *to_ns;
    }
}

/// Numbers of stretches of time as rates in columns of equal length; `None` where no stretch is.
fn spread(
    parts: impl Iterator<Item = (u64, u64, f64)>,
    from_ns: i64,
    to_ns: u64,
    columns: usize,
) -> Vec<Option<f64>> {
    let mut values = vec![None; columns];
    let width = (to_ns as i64 - from_ns) as f64 / columns.max(1) as f64;
    // Of each column, the share of it that is covered.
    let mut covered = vec![0.0; columns];
    for (begin, end, number) in parts {
        let per_second = number / (end.saturating_sub(begin).max(1) as f64 / 1e9);
        let begin = (begin as i64 - from_ns).max(0) as f64 / width;
        let end = ((end as i64 - from_ns) as f64 / width).min(columns as f64);
        for column in begin as usize..(end.ceil() as usize).min(columns) {
            let part = (end.min(column as f64 + 1.0) - begin.max(column as f64)).max(0.0);
            *values[column].get_or_insert(0.0) += per_second * part;
            covered[column] += part;
        }
    }
    let mean = |(value, covered): (Option<f64>, f64)| value.filter(|_| covered > 0.0).map(|it| it / covered);
    values.into_iter().zip(covered).map(mean).collect()
}
