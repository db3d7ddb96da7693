//! What a traced session says of a round: calls, scheduling, locks, and who woke whom.

mod calls;
mod locks;
mod sched;

use super::{Distribution, HistError, Measure};
use crate::{
    export::json::{Export, Process},
    model::hist::Hist,
};

/// How far a quantile may be off: half a bucket on either side, as a share of it.
const RESOLUTION: f64 = pulse_trace_common::hist::MAX_RELATIVE_ERROR / 2.0;
/// Quantiles that are shown.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)];

/// Values that must lie beyond a quantile for it to be one; `1.0 - 0.99` is a little less than a hundredth.
const FEWEST_BEYOND: f64 = 1.999;

/// Which processes of a session, and what their numbers are divided by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Those of these names; `None` for all.
    pub comms: Option<&'a [String]>,
    /// What is put before keys and names, where several names are compared.
    pub prefix: &'a str,
    /// Messages or operations, where counts are to be given per each.
    pub per: Option<f64>,
}

/// The numbers of a session, and its distributions.
///
/// # Errors
/// When a distribution does not add up, or has another geometry.
pub fn measures(
    export: &Export,
    selection: Selection<'_>,
) -> Result<(Vec<Measure>, Vec<Distribution>), HistError> {
    let chosen = |process: &&Process| selection.comms.is_none_or(|comms| comms.contains(&process.comm));
    let processes: Vec<&Process> = export.processes.iter().filter(chosen).collect();
    let mut found = Found { selection, measures: Vec::new(), distributions: Vec::new() };
    // What nobody counted is not none.
    if export.session.probes.is_empty() || export.session.probes.iter().any(|probe| probe == "syscalls") {
        calls::add(&mut found, &processes)?;
    }
    sched::add(&mut found, &processes)?;
    locks::add(&mut found, &processes)?;
    Ok((found.measures, found.distributions))
}

/// What was found so far.
struct Found<'a> {
    selection: Selection<'a>,
    measures: Vec<Measure>,
    distributions: Vec<Distribution>,
}

impl Found<'_> {
    /// A number of things, divided by what counts are given per.
    fn count(&mut self, measure: Measure) {
        let value = measure.value / self.selection.per.unwrap_or(1.0);
        self.plain(Measure { value, ..measure });
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
            self.plain(Measure { resolution: RESOLUTION, ..with(tail, value) });
        }
        let (key, name) = (self.prefixed(&like.key), self.prefixed(&like.name));
        self.distributions.push(Distribution { key, name, unit: like.unit, values });
    }

    fn prefixed(&self, text: &str) -> String {
        format!("{}{text}", self.selection.prefix)
    }
}
