//! Mutexes as counters inside of the processes saw them, beside what it took to put those in.

use model::{
    inline::{Inline, InlineCost, InlineKind},
    session::Session,
    text::printable,
    units,
};

use super::{
    Options, histogram,
    layout::{Layout, Row, Tone},
    share::percent_words,
};

const COLUMNS: [&str; 9] =
    ["process", "kind", "acquired", "contended", "gave up", "kernel", "spins", "p50", "p99"];
const NONE: &str = "-";
/// Events that pass the counters, and those that do not.
pub const COUNTED: &str = "calls of pthread_mutex_lock that got it, and waits for conditions that took it again; not trylock, \
                           not with a time limit, no recursive, robust or priority-inheriting one";

pub fn render(session: &Session, options: &Options, layout: Layout) -> String {
    let Some(cost) = &session.overhead.inline else { return String::new() };
    let seen: Vec<(String, InlineKind, &Inline)> = session
        .processes
        .iter()
        .flat_map(|(key, process)| {
            let name = process.shown(*key);
            process.inline.iter().map(move |(kind, inline)| (name.clone(), *kind, inline))
        })
        .collect();
    let title = format!("mutexes, as counters inside of the processes saw them (--inline): {COUNTED}");
    let mut text = layout.paint(Tone::Title, layout.wrap("", &title).trim_end()) + "\n";
    text += &layout.wrap("", &(stops(cost) + &coverage(cost)));
    let rows: Vec<Row> = seen.iter().map(|(name, kind, inline)| row(name, *kind, inline)).collect();
    if rows.is_empty() {
        return text + &layout.wrap("", &nothing(cost));
    }
    text += &layout.table(&COLUMNS, &rows);
    for (name, kind, inline) in seen.iter().filter(|(.., inline)| inline.stats.spins.count() > 0) {
        let title = format!("{name}, spins of {} mutexes", of_kind(*kind));
        let spins = &inline.stats.spins;
        text +=
            &histogram::render(&title, "acquisition", "acquisitions", spins, histogram::Scale::Count, layout);
        if !options.histograms {
            break;
        }
    }
    text
}

fn stops(cost: &InlineCost) -> String {
    let out = match cost.taken_out_ns {
        0 => String::new(),
        ns => format!(", {} while they were taken out", units::time(ns)),
    };
    format!("A process stood still for at most {} while they were put in{out}.", units::time(cost.put_in_ns))
}

/// The programs that are not in the numbers, or not from their beginning.
fn coverage(cost: &InlineCost) -> String {
    let mut text = String::new();
    if cost.late > 0 {
        let (programs, was) = if cost.late == 1 { ("program", "was") } else { ("programs", "were") };
        text += &format!(
            " {} {programs} that targets started {was} running already, for at most {} of CPU time: acquisitions in it are not \
             counted.",
            cost.late,
            units::time(cost.late_cpu_ns)
        );
    }
    if cost.left_alone > 0 {
        let (programs, has) = if cost.left_alone == 1 { ("program", "has") } else { ("programs", "have") };
        text += &format!(" {} {programs} {has} no counters: a note says why.", cost.left_alone);
    }
    text
}

fn nothing(cost: &InlineCost) -> String {
    match (cost.programs, cost.left_alone) {
        (0, _) => "Nothing was counted: no program has counters.".to_owned(),
        (1, 0) => "No mutex of a kind that is counted was acquired.".to_owned(),
        (programs, _) => format!(
            "No mutex of a kind that is counted was acquired in the {programs} program{} with counters.",
            if programs == 1 { "" } else { "s" }
        ),
    }
}

/// Types of mutexes that are counted as this kind.
const fn of_kind(kind: InlineKind) -> &'static str {
    match kind {
        InlineKind::Adaptive => "adaptive",
        InlineKind::Normal => "normal, error-checking",
    }
}

fn row(name: &str, kind: InlineKind, inline: &Inline) -> Row {
    let stats = &inline.stats;
    let spins = kind == InlineKind::Adaptive;
    let quantile = |share| stats.spins.quantile(share).map_or(NONE.to_owned(), units::count);
    let cells = vec![
        name.to_owned(),
        of_kind(kind).to_owned(),
        units::count(stats.acquisitions),
        units::count(stats.contended),
        if spins { units::count(stats.gave_up) } else { NONE.to_owned() },
        units::count(stats.went_to_kernel),
        stats.spins.mean().map_or(NONE.to_owned(), |mean| format!("{mean:.1}")),
        quantile(0.5),
        quantile(0.99),
    ];
    let mut notes = Vec::new();
    if stats.acquisitions > 0 {
        let mut words = format!("contended {}", percent_words(stats.contended, stats.acquisitions));
        let once = stats.spins.bucket(pulse_trace_common::hist::index(1) as u16);
        if stats.spins.count() > 0 {
            words += &format!("; of those, {} spun once", percent_words(once, stats.spins.count()));
        }
        if let Some(generation) = &inline.generation {
            words += &format!("; {}", printable(generation));
        }
        notes.push(words);
    }
    Row { cells, notes }
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    fn session(shape: Shape) -> Session {
        synthetic::session(3, shape)
    }

    #[test]
    fn without_the_option_there_is_no_section() {
        let text = render(&Session::default(), &Options::default(), Layout::new(100, false));
        assert_eq!(text, "");
    }

    #[test]
    fn both_kinds_and_the_time_of_standing_still_are_told() {
        let session = session(Shape { inline: true, ..Shape::default() });
        let text = render(&session, &Options::default(), Layout::new(120, false));
        assert!(text.contains("adaptive") && text.contains("normal"), "{text}");
        assert!(text.contains("stood still for at most 3.20ms"), "{text}");
        assert!(text.contains("spun once"), "{text}");
    }
}
