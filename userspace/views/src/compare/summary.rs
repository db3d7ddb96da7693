//! The result in three lines.

use super::{
    format,
    json::{Comparison, Difference, Row, Verdict, WarningKind},
};

/// Variants, differences and warnings that a line names.
const NAMED: usize = 3;

/// A line each for primary numbers, exploratory ones, and reasons against believing them. Nothing for a single variant.
pub fn lines(comparison: &Comparison) -> Vec<String> {
    if comparison.columns.len() < 2 {
        return Vec::new();
    }
    vec![primary(comparison), exploratory(comparison), against(comparison)]
}

/// Rows with their differences of a column.
fn of_column(
    comparison: &Comparison,
    column: usize,
    primary: bool,
) -> impl Iterator<Item = (&Row, Difference)> {
    let rows = comparison.rows.iter().filter(move |row| row.primary == primary);
    rows.filter_map(move |row| Some((row, (*row.differences.get(column)?)?)))
}

fn is_claimed(difference: &Difference) -> bool {
    matches!(difference.verdict, Verdict::Better | Verdict::Worse | Verdict::Different)
}

fn primary(comparison: &Comparison) -> String {
    if comparison.rows.iter().all(|row| !row.primary) {
        return "primary: none; recordings and exports hold exploratory numbers only".to_owned();
    }
    let others: Vec<usize> =
        (0..comparison.columns.len()).filter(|nth| *nth != comparison.reference).collect();
    let said = others.iter().take(NAMED).map(|nth| {
        let all: Vec<(&Row, Difference)> = of_column(comparison, *nth, true).collect();
        let claimed: Vec<String> =
            all.iter().filter(|(_, it)| is_claimed(it)).take(NAMED).map(worded).collect();
        let verdict = match (claimed.is_empty(), all.first()) {
            (false, _) => claimed.join(", "),
            (true, Some((row, it))) => format!("{} {}", row.name, format::sentence(it, row.unit)),
            (true, None) => "not compared".to_owned(),
        };
        format!("{}: {verdict}", comparison.columns[*nth].label)
    });
    let said: Vec<String> = said.collect();
    format!("primary: {}{}", said.join("; "), more(others.len(), "variants"))
}

/// A claimed difference and its direction.
fn worded((row, it): &(&Row, Difference)) -> String {
    let verdict = match it.verdict {
        Verdict::Better => " better",
        Verdict::Worse => " worse",
        _ => "",
    };
    format!("{} {}{verdict}", row.name, format::difference(it, row.unit))
}

fn exploratory(comparison: &Comparison) -> String {
    let all = || {
        (0..comparison.columns.len())
            .flat_map(|nth| of_column(comparison, nth, false).map(move |(row, it)| (nth, row, it)))
    };
    let mut claimed: Vec<(usize, &Row, Difference)> = all().filter(|(_, _, it)| is_claimed(it)).collect();
    claimed.sort_by(|(.., one), (.., other)| {
        let size = |it: &Difference| it.percent.map_or(f64::INFINITY, f64::abs);
        size(other).total_cmp(&size(one))
    });
    let several = comparison.columns.len() > 2;
    let named = claimed.iter().take(NAMED).map(|(nth, row, it)| {
        let label = if several { format!("{}: ", comparison.columns[*nth].label) } else { String::new() };
        format!("{label}{}", worded(&(row, *it)))
    });
    let named: Vec<String> = named.collect();
    let colon = if named.is_empty() { "" } else { ": " };
    format!(
        "exploratory: {} of {} differences are claimed{colon}{}{}",
        claimed.len(),
        all().count(),
        named.join(", "),
        more(claimed.len(), "")
    )
}

/// Warnings, those about the machine and the number of rounds first.
fn against(comparison: &Comparison) -> String {
    let rank = |kind: WarningKind| match kind {
        WarningKind::Failed => 0,
        WarningKind::Throttling => 1,
        WarningKind::FewRounds => 2,
        WarningKind::Unequal => 3,
        WarningKind::Perturbation => 4,
        WarningKind::Incomplete => 5,
        WarningKind::Drift => 6,
        WarningKind::Outlier => 7,
    };
    let mut warnings: Vec<_> = comparison.warnings.iter().collect();
    warnings.sort_by_key(|warning| rank(warning.kind));
    let named: Vec<&str> = warnings.iter().take(NAMED).map(|warning| warning.text.as_str()).collect();
    if named.is_empty() {
        return "against it: nothing that was looked at".to_owned();
    }
    format!("against it: {}{}", named.join("; "), more(warnings.len(), ""))
}

fn more(count: usize, what: &str) -> String {
    let space = if what.is_empty() { "" } else { " " };
    if count > NAMED { format!("; {} more{space}{what}", count - NAMED) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, build, json::Environment, synthetic};

    #[test]
    fn three_lines_say_what_differs_what_may_and_what_speaks_against_it() {
        let lines = synthetic::comparison(5).summary;
        assert_eq!(
            lines[0].split(", ").next(),
            Some("primary: pipe: messages per second +51% better"),
            "{lines:?}"
        );
        assert!(
            lines[0].contains("udp, \"lossy\": messages per second") && lines[0].contains('~'),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("exploratory: 7 of 14 differences are claimed: "), "{lines:?}");
        assert_eq!(lines[2], "against it: nothing that was looked at");
    }

    /// A verdict that a busy machine prevented has the reason beside it.
    #[test]
    fn what_prevented_a_verdict_stands_with_it() {
        let environment = Environment { others_percent: Some(92.0), ..Environment::default() };
        let frame = Frame { environment, ..Frame::default() };
        let lines = build(frame, &synthetic::variants(2)).summary;
        assert!(lines[0].contains("more rounds might decide"), "{lines:?}");
        assert!(lines[2].starts_with("against it: other programs took 92.0 % of the CPU time"), "{lines:?}");
        assert!(lines[2].contains("2 rounds of each carry no verdict"), "{lines:?}");
    }
}
