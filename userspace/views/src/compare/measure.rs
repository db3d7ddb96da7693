//! Measures of a round from its traced session: calls, scheduling, locks, and wakeups.

mod calls;
mod events;
mod locks;
mod sched;

use model::{hist::Hist, stats::Grain};

use super::{Distribution, HistError, Measure, json::Unit};
use crate::export::json::{Export, Process};

/// Resolution of a quantile: half a bucket on either side, as a share of it.
pub const BUCKET: Grain = Grain { share: pulse_trace_common::hist::MAX_RELATIVE_ERROR / 2.0, step: 0.0 };
/// Quantiles that are shown.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)];

/// Values that must lie beyond a quantile for it to be one; `1.0 - 0.99` is a little less than a hundredth.
const FEWEST_BEYOND: f64 = 1.999;

/// The processes of a session to measure, and the divisor of their numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Those of these names; `None` for all.
    pub comms: Option<&'a [String]>,
    /// Prefix of keys and names, where several names are compared.
    pub prefix: &'a str,
    /// Messages or operations, where counts are to be given per each.
    pub per: Option<f64>,
    /// Duration of the session, ns, where rates are to stand beside totals.
    pub duration_ns: Option<u64>,
}

/// Key of the rate of a total: `read.count` per second is `read.rate`.
#[must_use]
pub fn rate_key(key: &str) -> String {
    format!("{}.rate", key.strip_suffix(".count").unwrap_or(key))
}

/// The numbers of a session, and its distributions.
///
/// # Errors
/// If a distribution does not add up, or has another geometry.
pub fn measures(
    export: &Export,
    selection: Selection<'_>,
) -> Result<(Vec<Measure>, Vec<Distribution>), HistError> {
    let chosen = |process: &&Process| selection.comms.is_none_or(|comms| comms.contains(&process.comm));
    let processes: Vec<&Process> = export.processes.iter().filter(chosen).collect();
    let mut found = Found { selection, measures: Vec::new(), distributions: Vec::new() };
    // Calls that were not counted are not the same as no calls.
    if export.session.probes.is_empty() || export.session.probes.iter().any(|probe| probe == "syscalls") {
        calls::add(&mut found, &processes)?;
    }
    sched::add(&mut found, &processes)?;
    events::add(&mut found, &processes)?;
    locks::add(&mut found, &processes)?;
    Ok((found.measures, found.distributions))
}

/// Rate of a total: things per second, or time as its share of the time.
fn rate(measure: &Measure, seconds: f64) -> Measure {
    let name = measure.name.strip_suffix(" count").unwrap_or(&measure.name);
    let (name, unit, per) = match measure.unit {
        Unit::Ns => (format!("{name}, of a CPU or thread"), Unit::Percent, seconds * 1e7),
        _ => (format!("{name} per second"), Unit::PerSecond, seconds),
    };
    Measure { key: rate_key(&measure.key), name, unit, ..measure.clone().divided(per) }
}

/// Measures and distributions that were found so far.
struct Found<'a> {
    selection: Selection<'a>,
    measures: Vec<Measure>,
    distributions: Vec<Distribution>,
}

impl Found<'_> {
    /// A number of things, divided by what counts are given per; its rate, where the duration is known.
    fn count(&mut self, measure: Measure) {
        let measure = if measure.unit == Unit::Count { measure.counted() } else { measure };
        if let Some(seconds) = self.selection.duration_ns.filter(|ns| *ns > 0).map(|ns| ns as f64 / 1e9) {
            self.plain(rate(&measure, seconds));
        }
        let per = self.selection.per;
        self.plain(Measure { total: per.is_none(), ..measure.divided(per.unwrap_or(1.0)) });
    }

    /// A number as it is.
    fn plain(&mut self, measure: Measure) {
        let (key, name) = (self.prefixed(&measure.key), self.prefixed(&measure.name));
        self.measures.push(Measure { key, name, ..measure });
    }

    /// Mean and quantiles of times, and their distribution.
    fn times(&mut self, like: &Measure, values: Hist) {
        let Some(mean) = values.mean() else { return };
        let with = |tail: &str, value: f64| Measure {
            key: format!("{}.{tail}", like.key),
            name: format!("{} {tail}", like.name),
            value,
            ..like.clone()
        };
        self.plain(with("mean", mean));
        // A quantile beyond which fewer than two values lie is a maximum by another name.
        let count = values.count() as f64;
        for (tail, share) in QUANTILES.into_iter().filter(|(_, share)| count * (1.0 - share) >= FEWEST_BEYOND)
        {
            let value = values.quantile(share).unwrap_or_default() as f64;
            self.plain(Measure { grain: BUCKET, ..with(tail, value) });
        }
        let (key, name) = (self.prefixed(&like.key), self.prefixed(&like.name));
        self.distributions.push(Distribution { key, name, unit: like.unit, values });
    }

    fn prefixed(&self, text: &str) -> String {
        format!("{}{text}", self.selection.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::json::Section;

    fn counted(selection: Selection<'_>) -> Vec<Measure> {
        let mut found = Found { selection, measures: Vec::new(), distributions: Vec::new() };
        found.count(Measure::exact("read.count", "read count", Section::Syscalls, 100.0));
        found.count(Measure::exact("cpu", "CPU time", Section::Cost, 1e9).in_unit(Unit::Ns));
        found.measures
    }

    #[test]
    fn totals_have_rates_beside_them_and_are_none_per_message() {
        let shown = |it: &Measure| (it.key.clone(), it.value, it.grain.step, it.unit, it.total);
        let of = |selection| counted(selection).iter().map(shown).collect::<Vec<_>>();
        let row = |key: &str, value, step, unit, total| (key.to_owned(), value, step, unit, total);
        let all = Selection { duration_ns: Some(4_000_000_000), ..Selection::default() };
        assert_eq!(
            of(all),
            [
                row("read.rate", 25.0, 0.25, Unit::PerSecond, false),
                row("read.count", 100.0, 1.0, Unit::Count, true),
                row("cpu.rate", 25.0, 0.0, Unit::Percent, false),
                row("cpu", 1e9, 0.0, Unit::Ns, true),
            ]
        );
        let per_message = Selection { per: Some(50.0), ..Selection::default() };
        assert_eq!(
            of(per_message),
            [row("read.count", 2.0, 0.02, Unit::Count, false), row("cpu", 2e7, 0.0, Unit::Ns, false)]
        );
        assert_eq!(counted(all)[0].name, "read per second");
        assert_eq!(counted(all)[2].name, "CPU time, of a CPU or thread");
    }
}
