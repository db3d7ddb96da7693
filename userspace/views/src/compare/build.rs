//! From rounds to a comparison.

use std::collections::BTreeMap;

use model::{
    frame,
    hist::Hist,
    stats::{self, Grain, Pair},
};

use super::{
    json::{
        Anatomy, Better, Cell, Column, Comparison, Difference, Environment, Histogram, Method, Part, Round,
        Row, SCHEMA, Unit, Verdict, Warning,
    },
    sample::{Measure, PARTS, Sample, Variant, WHOLE},
    summary, warnings,
};
use crate::export::{self, json::Tool};

/// Data of a comparison beside its rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Name of the thing that is compared.
    pub title: String,
    /// The machine that the rounds ran on.
    pub environment: Environment,
    /// The way in which the rounds were measured.
    pub method: Method,
    /// Index of the variant that the differences are to.
    pub reference: usize,
    /// Reason why totals are not compared; `None` where they are.
    pub uneven: Option<String>,
    /// True if all rounds were done.
    pub finished: bool,
    /// Warnings beside those that follow from the rounds.
    pub warnings: Vec<Warning>,
}

/// Compares variants and builds the table of differences.
#[must_use]
pub fn build(frame: Frame, variants: &[Variant]) -> Comparison {
    let heads = heads(variants);
    let rows = Table::new(&heads, variants, &frame).rows();
    let comparisons = variants.len().saturating_sub(1);
    let mut warnings = frame.warnings.clone();
    warnings.append(&mut warnings::all(&frame, variants));
    let method = Method {
        confidence_percent: stats::CONFIDENCE * 100.0,
        family: heads.len() * comparisons,
        primary: heads.iter().filter(|head| head.section.is_primary()).count() * comparisons,
        least_rounds: stats::least_rounds(comparisons),
        ..frame.method
    };
    let comparison = Comparison {
        schema: SCHEMA.to_owned(),
        tool: Tool { name: "pulse-trace".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        title: frame.title,
        environment: frame.environment,
        method,
        columns: variants.iter().map(column).collect(),
        reference: frame.reference,
        rows,
        warnings,
        finished: frame.finished,
        uneven: frame.uneven,
        summary: Vec::new(),
    };
    Comparison { summary: summary::lines(&comparison), ..comparison }
}

/// One measure of each key, by section, in the order in which they were first seen.
fn heads(variants: &[Variant]) -> Vec<&Measure> {
    let mut heads: Vec<&Measure> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let rounds = variants.iter().flat_map(|variant| &variant.rounds);
    for measure in rounds.flat_map(|round| &round.measures) {
        if seen.insert(&measure.key) {
            heads.push(measure);
        }
    }
    heads.sort_by_key(|measure| measure.section);
    heads
}

/// The rounds' values of a key. A variant of which any round lacks it has none: what is missing is not at random.
fn values(variant: &Variant, key: &str) -> Vec<f64> {
    let values: Vec<f64> = variant.rounds.iter().filter_map(|round| round.value(key)).collect();
    if values.len() == variant.rounds.len() { values } else { Vec::new() }
}

/// The rounds of all variants, row by row, and the differences between pairs of variants.
struct Table<'a> {
    heads: &'a [&'a Measure],
    /// By row, by variant.
    values: Vec<Vec<Vec<f64>>>,
    reference: usize,
    /// Totals are compared, too.
    totals: bool,
    variants: usize,
    pairs: BTreeMap<(usize, usize), Vec<Option<stats::Difference>>>,
}

impl<'a> Table<'a> {
    fn new(heads: &'a [&'a Measure], variants: &[Variant], frame: &Frame) -> Self {
        let of = |head: &&Measure| variants.iter().map(|variant| values(variant, &head.key)).collect();
        let values = heads.iter().map(of).collect();
        let (reference, totals) = (frame.reference, frame.uneven.is_none());
        Self { heads, values, reference, totals, variants: variants.len(), pairs: BTreeMap::new() }
    }

    fn rows(mut self) -> Vec<Row> {
        (0..self.heads.len()).map(|nth| self.row(nth)).collect()
    }

    /// Differences of all rows from one variant to another.
    fn pair(&mut self, from: usize, to: usize) -> &[Option<stats::Difference>] {
        self.pairs.entry((from, to)).or_insert_with(|| {
            let (heads, values, totals) = (self.heads, &self.values, self.totals);
            let pair = |nth: usize| {
                let head = heads[nth];
                // What is not compared has no part in what chance may claim.
                let of = |variant: usize| -> &[f64] {
                    if head.total && !totals { &[] } else { &values[nth][variant] }
                };
                Pair { from: of(from), to: of(to), grain: head.grain, primary: head.section.is_primary() }
            };
            let pairs: Vec<Pair<'_>> = (0..heads.len()).map(pair).collect();
            stats::differences(&pairs, self.variants.saturating_sub(1))
        })
    }

    fn row(&mut self, nth: usize) -> Row {
        let (head, variants) = (self.heads[nth], self.variants);
        let cell = |values: &Vec<f64>| {
            stats::estimate(values, head.grain).map(|estimate| Cell {
                mean: estimate.mean,
                low: estimate.interval.map(|interval| interval.low),
                high: estimate.interval.map(|interval| interval.high),
                rounds: estimate.rounds,
            })
        };
        let cells: Vec<Option<Cell>> = self.values[nth].iter().map(cell).collect();
        let difference = |column: usize| {
            let other = column != self.reference;
            let found = if other { self.pair(self.reference, column)[nth] } else { None };
            found.map(|it| shown(&it, head.better))
        };
        Row {
            key: head.key.clone(),
            name: head.name.clone(),
            section: head.section,
            unit: head.unit,
            better: head.better,
            primary: head.section.is_primary(),
            resolution: head.grain.share,
            step: head.grain.step,
            total: head.total,
            differences: (0..variants).map(difference).collect(),
            best: self.best(nth, &cells),
            cells,
        }
    }

    /// The one that is better than each of the others by more than chance.
    fn best(&mut self, nth: usize, cells: &[Option<Cell>]) -> Option<usize> {
        let better = self.heads[nth].better?;
        let means: Vec<(usize, f64)> =
            cells.iter().enumerate().filter_map(|(nth, cell)| Some((nth, (*cell)?.mean))).collect();
        let order = |left: &&(usize, f64), right: &&(usize, f64)| left.1.total_cmp(&right.1);
        let (leader, _) = *match better {
            Better::Lower => means.iter().min_by(order),
            Better::Higher => means.iter().max_by(order),
        }?;
        let reference = self.reference;
        let beaten = |other: usize| {
            // One table for both directions of a pair.
            let turned = other == reference || (leader != reference && other < leader);
            let (from, to) = if turned { (other, leader) } else { (leader, other) };
            self.pair(from, to)[nth].is_some_and(|found| found.verdict == stats::Verdict::Real)
        };
        let others: Vec<usize> = means.iter().map(|(nth, _)| *nth).filter(|nth| *nth != leader).collect();
        (!others.is_empty() && others.into_iter().all(beaten)).then_some(leader)
    }
}

fn shown(found: &stats::Difference, better: Option<Better>) -> Difference {
    let verdict = match (found.verdict, better) {
        (stats::Verdict::Unknown, _) => Verdict::Unknown,
        (stats::Verdict::Same, _) => Verdict::Same,
        (stats::Verdict::Undecided { .. }, _) => Verdict::Undecided,
        (stats::Verdict::Real, None) => Verdict::Different,
        (stats::Verdict::Real, Some(better)) => {
            if (better == Better::Higher) == (found.absolute > 0.0) {
                Verdict::Better
            } else {
                Verdict::Worse
            }
        }
    };
    let more_rounds = match found.verdict {
        stats::Verdict::Undecided { more_rounds } => more_rounds,
        _ => None,
    };
    Difference {
        absolute: found.absolute,
        percent: found.relative.map(|share| share * 100.0),
        low: found.interval.map(|interval| interval.low),
        high: found.interval.map(|interval| interval.high),
        cliffs_delta: found.delta,
        verdict,
        more_rounds,
    }
}

fn column(variant: &Variant) -> Column {
    let rounds = &variant.rounds;
    let mut ledger: Option<frame::Ledger> = None;
    for theirs in rounds.iter().filter_map(|round| round.ledger.as_ref()) {
        ledger.get_or_insert_default().merge(theirs);
    }
    let cpu: Vec<f64> = rounds.iter().filter_map(|round| round.tracer_cpu_percent).collect();
    let mut notes: Vec<String> = Vec::new();
    for note in rounds.iter().chain(&variant.untraced).flat_map(|round| &round.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    Column {
        label: variant.label.clone(),
        source: variant.source.clone(),
        rounds: rounds.iter().map(round).collect(),
        untraced: variant.untraced.as_ref().map(round),
        histograms: histograms(rounds),
        anatomy: anatomy(variant),
        ledger: ledger.as_ref().map(export::ledger),
        tracer_cpu_percent: stats::estimate(&cpu, Grain::EXACT).map(|estimate| estimate.mean),
        notes,
    }
}

fn round(sample: &Sample) -> Round {
    Round {
        position: sample.position,
        start_unix_ns: sample.start_unix_ns,
        wall_ns: sample.wall_ns,
        status: sample.status,
        values: sample.measures.iter().map(|measure| (measure.key.clone(), measure.value)).collect(),
    }
}

fn histograms(rounds: &[Sample]) -> Vec<Histogram> {
    let mut order: Vec<(&str, &str, Unit)> = Vec::new();
    let mut sums: BTreeMap<&str, Hist> = BTreeMap::new();
    for it in rounds.iter().flat_map(|round| &round.distributions) {
        if !sums.contains_key(it.key.as_str()) {
            order.push((&it.key, &it.name, it.unit));
        }
        sums.entry(&it.key).or_default().merge(&it.values);
    }
    let exported = |(key, name, unit): (&str, &str, Unit)| Histogram {
        key: key.to_owned(),
        name: name.to_owned(),
        values: export::distribution(&sums[key], unit.of_distribution()),
    };
    order.into_iter().map(exported).collect()
}

fn anatomy(variant: &Variant) -> Option<Anatomy> {
    let mean = |key: &str| stats::estimate(&values(variant, key), Grain::EXACT).map(|estimate| estimate.mean);
    let whole_ns = mean(WHOLE)?;
    let part = |(key, name): &(&str, &str)| {
        let ns = mean(&format!("anatomy.{key}"))?;
        Some(Part { key: (*key).to_owned(), name: (*name).to_owned(), ns })
    };
    let parts: Vec<Part> = PARTS.iter().map(part).collect::<Option<_>>()?;
    let sum: f64 = parts.iter().map(|part| part.ns).sum();
    (whole_ns > 0.0).then(|| Anatomy { whole_ns, parts, explained_percent: 100.0 * sum / whole_ns })
}

#[cfg(test)]
mod tests {
    use super::{super::synthetic, *};

    #[test]
    fn the_best_is_marked_only_where_it_beats_everybody() {
        let comparison = synthetic::comparison(5);
        let best = |key: &str| comparison.rows.iter().find(|row| row.key == key).unwrap().best;
        assert_eq!(best("throughput"), Some(1));
        assert_eq!((best("write.count"), best("lost")), (Some(0), None));
        let mean = comparison.rows.iter().find(|row| row.key == "latency.mean").unwrap();
        assert_eq!(mean.differences[2].unwrap().verdict, Verdict::Undecided);
    }

    #[test]
    fn a_number_that_a_round_lacks_is_no_number_of_the_variant() {
        let mut variants = synthetic::variants(3);
        variants[1].rounds[2].measures.retain(|measure| measure.key != "throughput");
        let comparison = build(Frame::default(), &variants);
        let row = comparison.rows.iter().find(|row| row.key == "throughput").unwrap();
        assert_eq!((row.cells[1], row.differences[1]), (None, None));
        assert!(row.cells[0].is_some());
    }

    #[test]
    fn a_single_round_has_values_and_no_verdicts() {
        let comparison = build(Frame::default(), &synthetic::variants(1));
        let verdicts = comparison.rows.iter().flat_map(|row| row.differences.iter().flatten());
        assert!(verdicts.clone().count() > 0);
        assert!(verdicts.into_iter().all(|difference| difference.verdict == Verdict::Unknown));
    }

    #[test]
    fn parts_add_up_to_the_whole_and_histograms_to_all_rounds() {
        let comparison = synthetic::comparison(5);
        let anatomy = comparison.columns[0].anatomy.as_ref().unwrap();
        assert!((anatomy.explained_percent - 100.0).abs() < 1e-6, "{anatomy:?}");
        let latency = &comparison.columns[0].histograms[0];
        assert_eq!((latency.key.as_str(), latency.values.count), ("latency", 5 * 400));
    }
}
