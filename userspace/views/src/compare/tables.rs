//! The comparison as Markdown and as comma-separated values: every row, none left out.

use model::text::printable;

use super::{
    format,
    json::{Comparison, Difference},
};

/// A Markdown document.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    let cell = |text: &str| printable(text).replace('|', "\\|");
    let mut text = format!("## {}\n\n", cell(&comparison.title));
    let machine = &comparison.environment;
    text += &format!(
        "{} {}, {} CPUs{}. {} rounds of each",
        cell(&machine.kernel),
        cell(&machine.arch),
        machine.cpus,
        machine.processor.as_deref().map(|it| format!(", {}", cell(it))).unwrap_or_default(),
        comparison.columns.iter().map(|column| column.rounds.len()).min().unwrap_or(0)
    );
    if let (Some(before), Some(after)) = (machine.load_before, machine.load_after) {
        text += &format!(", load {before:.2} to {after:.2}");
    }
    let labels: Vec<String> = comparison.columns.iter().map(|column| cell(&column.label)).collect();
    text += &format!(", durations {}.\n", cell(&format::durations(comparison)));
    for line in &comparison.summary {
        text += &format!("\n- {}", cell(line));
    }
    text += &format!("\n\n| | {} |\n| --- |{}\n", labels.join(" | "), " ---: |".repeat(labels.len()));
    for row in &comparison.rows {
        let cells = row.cells.iter().zip(&row.differences).enumerate().map(|(nth, (value, difference))| {
            let shown = format::cell(value.as_ref(), row.unit);
            let shown = if row.best == Some(nth) { format!("**{shown}**") } else { shown };
            let change = difference.as_ref().map(|it| format!(" ({})", format::difference(it, row.unit)));
            shown + &change.unwrap_or_default()
        });
        text += &format!("| {} | {} |\n", cell(&row.name), cells.collect::<Vec<_>>().join(" | "));
    }
    if labels.len() > 1 {
        text += &format!(
            "\nIn brackets the difference to {}; `~` undecided, `=` all rounds agree, `?` one round; **bold**: better than every other.\n",
            labels[comparison.reference]
        );
    }
    for warning in &comparison.warnings {
        text += &format!("\n> {}\n", cell(&warning.text));
    }
    text
}

const HEADER: &str = "key,section,unit,variant,mean,low,high,rounds,difference,percent,difference_low,difference_high,cliffs_delta,verdict,more_rounds,best,family";

/// One line for each row and variant. What is not known is empty, never 0.
#[must_use]
pub fn csv(comparison: &Comparison) -> String {
    let mut text = format!("{HEADER}\n");
    for row in &comparison.rows {
        for (nth, column) in comparison.columns.iter().enumerate() {
            let Some(cell) = row.cells[nth] else { continue };
            let mut fields = vec![field(&row.key), word(&row.section), word(&row.unit), field(&column.label)];
            fields.extend([Some(cell.mean), cell.low, cell.high].map(number));
            fields.push(cell.rounds.to_string());
            fields.extend(of_difference(row.differences[nth].as_ref()));
            fields.push(if row.best == Some(nth) { "1".to_owned() } else { String::new() });
            fields.push(if row.primary { "primary" } else { "exploratory" }.to_owned());
            text += &(fields.join(",") + "\n");
        }
    }
    text
}

fn of_difference(difference: Option<&Difference>) -> [String; 7] {
    let Some(it) = difference else { return Default::default() };
    let more = it.more_rounds.map(|more| more.to_string()).unwrap_or_default();
    let [absolute, percent, low, high, delta] =
        [Some(it.absolute), it.percent, it.low, it.high, Some(it.cliffs_delta)].map(number);
    [absolute, percent, low, high, delta, word(&it.verdict), more]
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// An enum as the JSON has it.
fn word(value: &impl serde::Serialize) -> String {
    let named = serde_json::to_value(value).ok();
    named.and_then(|named| named.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Quoted where it has to be.
fn field(text: &str) -> String {
    let text = printable(text);
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
