//! Warnings that the reader must know before believing a comparison.

use std::{cmp::Ordering::Equal, collections::BTreeSet};

use model::{frame::Ledger, grade::Grade, stats};

use super::{
    build::Frame,
    json::{Environment, Warning, WarningKind},
    sample::{Sample, Variant, WHOLE},
};

/// Rounds below which intervals are so wide that they rarely decide.
const FEW: usize = 5;
/// Largest change by tracing without a warning, percent.
const PERTURBED: f64 = 5.0;
/// CPU time that others may take without a warning, percent.
const STOLEN: f64 = 2.0;
/// CPU time that unrelated programs may take without a warning, percent.
const OTHERS: f64 = 5.0;
/// Totals that a warning names.
const NAMED: usize = 4;
/// The quantities that stand for a round: the first that it has.
const MAIN: [&str; 4] = ["throughput", "operation", WHOLE, "wall"];

/// All of them.
pub fn all(frame: &Frame, variants: &[Variant]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let fewest = variants.iter().map(|variant| variant.rounds.len()).min().unwrap_or(0);
    let least = stats::least_rounds(variants.len().saturating_sub(1));
    if fewest < FEW.max(least) {
        let text = match fewest {
            0 => "a variant has no round at all".to_owned(),
            1 => "a single round of a variant: nothing can be said about chance, so no difference is claimed"
                .to_owned(),
            some if some < least => format!(
                "{some} rounds of each carry no verdict: equal variants fall like this too often; it takes {least}"
            ),
            _ => format!("{fewest} rounds only: intervals are wide; {FEW} or more say far more"),
        };
        warnings.push(Warning { kind: WarningKind::FewRounds, column: None, text });
    }
    for (nth, variant) in variants.iter().enumerate() {
        let found =
            [drift(variant), outlier(variant), perturbed(variant), incomplete(variant), failed(variant)];
        let found = found.into_iter().flatten();
        warnings.extend(found.map(|(kind, text)| Warning { kind, column: Some(nth), text }));
    }
    if let Some(uneven) = &frame.uneven {
        let text = format!("{uneven}: totals ({}) are not compared, their rates are", totals(variants));
        warnings.push(Warning { kind: WarningKind::Unequal, column: None, text });
    }
    let texts = slowed(&frame.environment);
    warnings.extend(texts.map(|text| Warning { kind: WarningKind::Throttling, column: None, text }));
    warnings
}

/// Some of the totals by name.
fn totals(variants: &[Variant]) -> String {
    let rounds = variants.iter().flat_map(|variant| &variant.rounds);
    let names: std::collections::BTreeSet<&str> =
        rounds.flat_map(|round| &round.measures).filter(|it| it.total).map(|it| it.key.as_str()).collect();
    let named: Vec<&str> = names.iter().take(NAMED).copied().collect();
    let more = names.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

/// Conditions that took CPU time or speed away from all variants.
fn slowed(machine: &Environment) -> impl Iterator<Item = String> {
    let above = |share: Option<f64>, limit: f64| share.filter(|share| *share > limit);
    let stolen = above(machine.stolen_percent, STOLEN)
        .map(|share| format!("the hypervisor gave {share:.1} % of the CPU time to others meanwhile"));
    let others = above(machine.others_percent, OTHERS).map(|share| {
        let waited = machine.pressure_percent.map(|waited| {
            format!("; in {waited:.0} % of the time a thread waited for a CPU (their own waits included)")
        });
        format!("other programs took {share:.1} % of the CPU time meanwhile{}", waited.unwrap_or_default())
    });
    let heat = machine
        .throttled
        .filter(|times| *times > 0)
        .map(|times| format!("CPUs were slowed down {times} times meanwhile because of their temperature"));
    let governor = machine.governor.as_deref().filter(|it| *it != "performance");
    let speed = governor.map(|it| {
        format!("the speed of the CPUs follows the load (governor {it}); `performance` holds it still")
    });
    [stolen, others, heat, speed].into_iter().flatten()
}

type Found = Option<(WarningKind, String)>;

/// The key that stands for the variant's rounds, and its values.
fn main_values(variant: &Variant) -> Option<(&'static str, Vec<f64>)> {
    MAIN.into_iter().find_map(|key| {
        let values: Vec<f64> = variant.rounds.iter().filter_map(|round| round.value(key)).collect();
        (!values.is_empty() && values.len() == variant.rounds.len()).then_some((key, values))
    })
}

fn drift(variant: &Variant) -> Found {
    let (key, values) = main_values(variant)?;
    let way = match stats::drifts(&values) {
        0 => return None,
        1 => "rises",
        _ => "falls",
    };
    let text =
        format!("{key} of {} {way} from round to round: the machine, or the program, drifts", variant.label);
    Some((WarningKind::Drift, text))
}

fn outlier(variant: &Variant) -> Found {
    let (key, values) = main_values(variant)?;
    let outside: Vec<String> = stats::outliers(&values).iter().map(|nth| format!("{}", nth + 1)).collect();
    if outside.is_empty() {
        return None;
    }
    let text = format!(
        "{key} of {} is unlike the others in round {}; it counts like every other",
        variant.label,
        outside.join(", ")
    );
    Some((WarningKind::Outlier, text))
}

fn perturbed(variant: &Variant) -> Found {
    let (key, values) = main_values(variant)?;
    let untraced = variant.untraced.as_ref()?.value(key).filter(|value| *value != 0.0)?;
    let gap = 100.0 * (stats::estimate(&values, stats::Grain::EXACT)?.mean - untraced) / untraced;
    let text = format!(
        "tracing changed {key} of {} by {gap:+.1} % (one untraced round beside {} traced ones)",
        variant.label,
        values.len()
    );
    (gap.abs() > PERTURBED).then_some((WarningKind::Perturbation, text))
}

fn incomplete(variant: &Variant) -> Found {
    let ledgers = variant.rounds.iter().filter_map(|round| round.ledger.as_ref());
    let doubtful: Vec<(Grade, &Ledger)> =
        ledgers.map(|ledger| (ledger.grade(), ledger)).filter(|(grade, _)| grade.is_doubtful()).collect();
    let severity = |grade: Grade| (matches!(grade, Grade::Lost(_)), grade.share().unwrap_or(0.0));
    let (worst, _) = doubtful
        .iter()
        .max_by(|(one, _), (other, _)| severity(*one).partial_cmp(&severity(*other)).unwrap_or(Equal))?;
    let slots = doubtful.iter().flat_map(|(_, ledger)| ledger.lost.iter().chain(&ledger.degraded));
    let names: BTreeSet<&str> =
        slots.filter(|(_, count)| **count > 0).map(|(name, _)| name.as_str()).collect();
    let text = format!(
        "{} of {} rounds of {} are incomplete, the worst is {}: {}",
        doubtful.len(),
        variant.rounds.len(),
        variant.label,
        worst.words(),
        names.into_iter().collect::<Vec<_>>().join(", ")
    );
    Some((WarningKind::Incomplete, text))
}

fn failed(variant: &Variant) -> Found {
    let bad = |round: &&Sample| round.status.is_some_and(|status| status != 0);
    let first = variant.rounds.iter().find(bad)?.status?;
    let count = variant.rounds.iter().filter(bad).count();
    let text = format!("{count} rounds of {} ended with status {first}, not 0", variant.label);
    Some((WarningKind::Unequal, text))
}

#[cfg(test)]
mod tests {
    use super::{super::synthetic, *};

    fn kinds(variants: &[Variant]) -> Vec<(WarningKind, Option<usize>)> {
        all(&Frame::default(), variants).iter().map(|warning| (warning.kind, warning.column)).collect()
    }

    #[test]
    fn quiet_rounds_need_no_warning() {
        assert_eq!(kinds(&synthetic::variants(6)), []);
    }

    #[test]
    fn causes_of_a_slow_machine_are_named() {
        let machine = Environment {
            stolen_percent: Some(3.0),
            others_percent: Some(12.0),
            pressure_percent: Some(40.0),
            throttled: Some(7),
            governor: Some("powersave".to_owned()),
            ..Environment::default()
        };
        let told: Vec<String> = slowed(&machine).collect();
        for (text, part) in told.iter().zip(["3.0 %", "12.0 %", "7 times", "powersave"]) {
            assert!(text.contains(part), "{told:?}");
        }
        assert_eq!(told.len(), 4);
        let calm = Environment { governor: Some("performance".to_owned()), throttled: Some(0), ..machine };
        let calm = Environment { stolen_percent: Some(1.0), others_percent: None, ..calm };
        assert_eq!(slowed(&calm).count(), 0);
    }

    #[test]
    fn a_few_details_of_thousands_that_are_missing_need_no_warning() {
        let mut variants = synthetic::variants(6);
        let missing = |variants: &mut [Variant], switches| {
            let ledger = variants[0].rounds[2].ledger.as_mut().unwrap();
            ledger.events.insert("context_switches".to_owned(), 1000);
            ledger.degraded.insert("switch_unseen".to_owned(), switches);
        };
        missing(&mut variants, 10);
        assert_eq!(kinds(&variants), []);
        missing(&mut variants, 11);
        let warnings = all(&Frame::default(), &variants);
        let texts: Vec<&str> = warnings.iter().map(|warning| warning.text.as_str()).collect();
        let label = &variants[0].label;
        let text =
            format!("1 of 6 rounds of {label} are incomplete, the worst is partial (1.1%): switch_unseen");
        assert_eq!(texts, [text]);
    }

    #[test]
    fn each_fault_is_named_with_its_variant() {
        let mut variants = synthetic::variants(6);
        let set = |sample: &mut Sample, value: f64| {
            sample.measures.iter_mut().find(|it| it.key == "throughput").unwrap().value = value;
        };
        for (nth, round) in variants[0].rounds.iter_mut().enumerate() {
            set(round, 1000.0 + nth as f64);
        }
        set(variants[1].untraced.as_mut().unwrap(), 1e9);
        set(&mut variants[1].rounds[3], 1.0);
        variants[1].rounds[0].status = Some(3);
        let ledger = variants[1].rounds[0].ledger.as_mut().unwrap();
        ledger.lost.insert("cells_full".to_owned(), 1);
        let expected = [
            (WarningKind::Drift, Some(0)),
            (WarningKind::Perturbation, Some(0)),
            (WarningKind::Outlier, Some(1)),
            (WarningKind::Perturbation, Some(1)),
            (WarningKind::Incomplete, Some(1)),
            (WarningKind::Unequal, Some(1)),
        ];
        assert_eq!(kinds(&variants), expected);
        assert_eq!(kinds(&synthetic::variants(2)), [(WarningKind::FewRounds, None)]);
    }
}
