//! The comparison on a terminal.

use model::{text::printable, units};

use super::{
    format,
    json::{Comparison, Row, Section, WarningKind},
    overlay,
};

/// Columns that a name has, ...
const NAME: usize = 26;
/// ... and at most, where there is room for all of it.
const LONGEST: usize = 60;
/// Columns of a value, and of the difference beside it.
const VALUE: usize = 9;
const DIFFERENCE: usize = 7;
/// Counts below this per message are about starting and ending, and shown with everything only.
const NEGLIGIBLE: f64 = 0.1;
/// Quantities whose differences are always told in full.
const MAIN: [&str; 5] = ["throughput", "wall", "operation", "latency.mean", "latency.p99"];

/// Options of the text.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Columns of the terminal.
    pub width: usize,
    /// Every row, and every difference in full.
    pub all: bool,
    /// Distributions of this many quantities.
    pub histograms: usize,
}

/// The whole comparison.
#[must_use]
pub fn render(comparison: &Comparison, options: Options) -> String {
    let mut text = head(comparison, options.width);
    let rows: Vec<&Row> =
        comparison.rows.iter().filter(|row| options.all || is_shown(row, comparison)).collect();
    for block in blocks(comparison, options.width) {
        text += "\n";
        text += &table(comparison, &rows, &block, options.width);
    }
    text += &legend(comparison, options.width);
    text += &differences(comparison, &rows, options);
    text += &anatomy(comparison, options.width);
    for histogram in overlay::chosen(comparison, options.histograms) {
        text += &overlay::render(comparison, &histogram, options.width);
    }
    text + &warnings(comparison, options.width) + &ledger(comparison, options.width)
}

fn head(comparison: &Comparison, width: usize) -> String {
    let (machine, method) = (&comparison.environment, &comparison.method);
    let mut lines = vec![printable(&comparison.title)];
    let processor =
        machine.processor.as_deref().map(|name| format!(", {}", printable(name))).unwrap_or_default();
    lines.push(format!(
        "machine: {} {}, {} CPUs{processor}",
        printable(&machine.kernel),
        printable(&machine.arch),
        machine.cpus
    ));
    let rounds: Vec<String> =
        comparison.columns.iter().map(|column| column.rounds.len().to_string()).collect();
    let same = rounds.windows(2).all(|pair| pair[0] == pair[1]);
    let rounds = if same { rounds.first().cloned().unwrap_or_default() } else { rounds.join("/") };
    let seed = method.seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
    let load = match (machine.load_before, machine.load_after) {
        (Some(before), Some(after)) => format!(", load {before:.2} to {after:.2}"),
        _ => String::new(),
    };
    lines.push(format!("rounds: {rounds} traced of each{seed}{load}"));
    if let Some(ns) = method.duration_ns {
        lines.push(format!("took: {}", units::time(ns)));
    }
    if !comparison.finished {
        lines.push("stopped: before all rounds were done: this is what there was until then".to_owned());
    }
    if method.duration_ns.is_none() && !comparison.columns.is_empty() {
        lines.push(format!("durations: {}", format::durations(comparison)));
    }
    let head: String = lines.iter().map(|line| wrapped(line, width)).collect();
    let summary: String = comparison.summary.iter().map(|line| wrapped(&printable(line), width)).collect();
    if summary.is_empty() { head } else { format!("{summary}\n{head}") }
}

/// The reference and as many others as fit, again and again.
fn blocks(comparison: &Comparison, width: usize) -> Vec<Vec<usize>> {
    let others: Vec<usize> =
        (0..comparison.columns.len()).filter(|nth| *nth != comparison.reference).collect();
    let room = width.saturating_sub(NAME + 1 + VALUE) / (VALUE + DIFFERENCE + 2);
    let with_reference =
        |some: &[usize]| std::iter::once(comparison.reference).chain(some.iter().copied()).collect();
    if others.is_empty() {
        return (0..comparison.columns.len()).map(|nth| vec![nth]).collect();
    }
    others.chunks(room.max(1)).map(with_reference).collect()
}

/// Columns of names beside a block: what it leaves, if they need that.
fn name_width(rows: &[&Row], block: &[usize], width: usize) -> usize {
    let longest = rows.iter().map(|row| printable(&row.name).chars().count() + 2).max().unwrap_or(0);
    let taken = VALUE + 1 + block.len().saturating_sub(1) * (VALUE + DIFFERENCE + 2);
    longest.min(LONGEST).min(width.saturating_sub(taken)).max(NAME)
}

fn table(comparison: &Comparison, rows: &[&Row], block: &[usize], width: usize) -> String {
    let names = name_width(rows, block, width);
    let mut text = format!("{:names$}", "");
    for nth in block {
        let wide = if *nth == comparison.reference { VALUE + 1 } else { VALUE + DIFFERENCE + 2 };
        text += &format!("{:>wide$}", fitted(&printable(&comparison.columns[*nth].label), wide - 1));
    }
    text += "\n";
    let mut section = None;
    for row in rows.iter().filter(|row| block.iter().any(|nth| row.cells[*nth].is_some())) {
        if section.replace(row.section) != Some(row.section) {
            text += &format!("{}\n", title(row.section, comparison));
        }
        text += &format!("{:names$}", shortened(&format!("  {}", printable(&row.name)), names));
        for nth in block {
            let best = if row.best == Some(*nth) { "*" } else { "" };
            let value = format!("{}{best}", format::cell(row.cells[*nth].as_ref(), row.unit));
            text += &format!(" {value:>VALUE$}");
            if *nth != comparison.reference {
                let change =
                    row.differences[*nth].map(|it| format::difference(&it, row.unit)).unwrap_or_default();
                text += &format!(" {change:>DIFFERENCE$}");
            }
        }
        text.truncate(text.trim_end().len());
        text += "\n";
    }
    text
}

fn title(section: Section, comparison: &Comparison) -> String {
    let title = bare_title(section, comparison.method.per.as_deref());
    let exploratory = !section.is_primary() && comparison.method.primary > 0;
    if exploratory { format!("{title} (exploratory)") } else { title }
}

fn bare_title(section: Section, per: Option<&str>) -> String {
    let per = per.map(|per| format!(" per {per}")).unwrap_or_default();
    match section {
        Section::Throughput => "throughput".to_owned(),
        Section::Latency => "latency".to_owned(),
        Section::Losses => "losses, per round".to_owned(),
        Section::Cost => format!("cost{per}"),
        Section::Syscalls => format!("system calls{per}"),
        Section::Scheduling => format!("scheduling{per}"),
        Section::Locks => format!("locks{per}"),
        Section::Events => format!("events{per}"),
        Section::Wakers => format!("woken{per}"),
        Section::Anatomy => "mean end-to-end time, made of".to_owned(),
    }
}

/// At most so many characters, the end left out.
fn fitted(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['.']).collect()
}

/// At most so many characters, the middle left out: the end says which number it is.
fn shortened(text: &str, room: usize) -> String {
    let (length, end) = (text.chars().count(), room / 2);
    if length <= room {
        return text.to_owned();
    }
    let begin = text.chars().take(room - end - 2);
    begin.chain("..".chars()).chain(text.chars().skip(length - end)).collect()
}

/// Reports whether a row belongs into the short table.
fn is_shown(row: &Row, comparison: &Comparison) -> bool {
    let (rate, uneven) = (row.key.ends_with(".rate"), comparison.uneven.is_some());
    // Rates take the place of totals that are not compared.
    if (rate && !uneven) || (row.total && uneven) {
        return false;
    }
    let counts = rate || row.key.ends_with(".count") || row.key.ends_with(".calls");
    let means: Vec<f64> = row.cells.iter().flatten().map(|cell| cell.mean).collect();
    let stem = row.key.rsplit_once('.').map_or(row.key.as_str(), |(stem, _)| stem);
    let frequent = |key: &str| {
        let found = comparison.rows.iter().find(|row| row.key == key);
        let most = found.map(|row| row.cells.iter().flatten().map(|cell| cell.mean).fold(0.0, f64::max));
        most.is_none_or(|most| comparison.method.per.is_none() || most >= NEGLIGIBLE)
    };
    match row.section {
        Section::Throughput | Section::Latency | Section::Cost | Section::Anatomy => true,
        Section::Losses => {
            means.iter().any(|mean| *mean != 0.0) || row.key == "lost" || row.key == "reordered"
        }
        Section::Syscalls | Section::Events => {
            (counts || row.key.ends_with(".p50") || row.key.ends_with(".p99"))
                && frequent(&format!("{stem}.count"))
        }
        Section::Scheduling => means.iter().any(|mean| *mean != 0.0) && !row.key.ends_with(".p999"),
        Section::Locks => !row.key.ends_with(".p999") && frequent(&format!("{stem}.calls")),
        Section::Wakers => counts && means.iter().any(|mean| *mean >= NEGLIGIBLE),
    }
}

fn legend(comparison: &Comparison, width: usize) -> String {
    if comparison.columns.len() < 2 {
        return String::new();
    }
    let signs = "* better than every other; ~ undecided; = all rounds agree; ? one round, chance unknown";
    let reference = printable(&comparison.columns[comparison.reference].label);
    format!("\n{}Differences are to {reference}.\n", wrapped(signs, width))
}

/// Intervals and effect sizes of what a program achieved; of everything on request.
fn differences(comparison: &Comparison, rows: &[&Row], options: Options) -> String {
    let main = |row: &&&Row| options.all || MAIN.contains(&row.key.as_str());
    let mut text = String::new();
    for row in rows.iter().filter(main) {
        for (nth, difference) in row.differences.iter().enumerate() {
            let Some(difference) = difference else { continue };
            let label = printable(&comparison.columns[nth].label);
            let said = format::sentence(difference, row.unit);
            text += &wrapped(&format!("  {}, {label}: {said}", printable(&row.name)), options.width);
        }
    }
    if text.is_empty() {
        return text;
    }
    let confidence = comparison.method.confidence_percent;
    let head = format!(
        "differences, with their {confidence:.0} % intervals and Cliff's delta; verdicts by permutation of the rounds: of tables without any difference at most one in twenty shows one"
    );
    format!("\n{}{text}", wrapped(&head, options.width))
}

fn anatomy(comparison: &Comparison, width: usize) -> String {
    let mut text = String::new();
    for column in &comparison.columns {
        if let Some(anatomy) = &column.anatomy {
            let parts: Vec<String> = anatomy
                .parts
                .iter()
                .map(|part| format!("{} {:.0}%", part.name, 100.0 * part.ns / anatomy.whole_ns))
                .collect();
            let line = format!(
                "  {}: {} = {} ({:.1} % explained)",
                printable(&column.label),
                format::value(anatomy.whole_ns, super::json::Unit::Ns),
                parts.join(", "),
                anatomy.explained_percent
            );
            text += &wrapped(&line, width);
        }
    }
    if text.is_empty() { text } else { format!("\nanatomy of the mean end-to-end time\n{text}") }
}

fn warnings(comparison: &Comparison, width: usize) -> String {
    let mut text = String::new();
    for warning in &comparison.warnings {
        let kind = match warning.kind {
            WarningKind::Drift => "drift",
            WarningKind::Outlier => "outlier",
            WarningKind::FewRounds => "few rounds",
            WarningKind::Throttling => "throttling",
            WarningKind::Perturbation => "tracing",
            WarningKind::Incomplete => "incomplete",
            WarningKind::Unequal => "unequal",
            WarningKind::Failed => "failed",
        };
        text += &wrapped(&format!("! {kind}: {}", printable(&warning.text)), width);
    }
    for (column, note) in comparison.columns.iter().flat_map(|it| it.notes.iter().map(move |note| (it, note)))
    {
        text += &wrapped(&format!("! {}: {}", printable(&column.label), printable(note)), width);
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn ledger(comparison: &Comparison, width: usize) -> String {
    let mut text = String::new();
    for column in &comparison.columns {
        let Some(ledger) = &column.ledger else { continue };
        let sum = |book: &std::collections::BTreeMap<String, u64>| book.values().sum::<u64>();
        let cpu = column
            .tracer_cpu_percent
            .map(|it| format!("; tracing took {it:.1} % of a CPU"))
            .unwrap_or_default();
        let line = format!(
            "  {}: {} calls counted, {} lost, {} censored, {} degraded{cpu}",
            printable(&column.label),
            ledger.counted,
            sum(&ledger.lost),
            sum(&ledger.censored),
            sum(&ledger.degraded)
        );
        text += &wrapped(&line, width);
    }
    if text.is_empty() { text } else { format!("\nledger, all traced rounds\n{text}") }
}

/// Words on as many lines as they need, the later ones indented.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = vec![text.chars().take_while(|c| *c == ' ').collect()];
    for word in text.split_ascii_whitespace() {
        let long = lines.last().is_some_and(|line| {
            !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > width
        });
        if long {
            lines.push("   ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_of_one_lock_stay_apart_however_little_room_there_is() {
        let names = ["calls", "wait mean", "wait p50", "wait p99"];
        let names = names.map(|what| shortened(&format!("  in cache_get_or_insert+0x10 {what}"), NAME));
        assert!(names.iter().all(|name| name.chars().count() == NAME), "{names:?}");
        assert!(names[1].ends_with("wait mean") && names[3].ends_with("wait p99"), "{names:?}");
        assert_eq!(shortened("  wait p99", NAME), "  wait p99");
    }
}
