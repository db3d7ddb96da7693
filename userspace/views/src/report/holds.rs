//! Hold times of mutexes, as probes in the library saw them.

use model::{
    hist::Hist,
    locks::{self, ContendedMutex},
    session::Session,
    units,
};

use super::{
    Options, histogram,
    layout::{Layout, Row, Tone},
    place,
};

const COLUMNS: [&str; 7] = ["mutex", "holds", "total", "mean", "p50", "p99", "max"];
const NONE: &str = "-";
const MUTEXES: usize = 10;

pub fn render(session: &Session, options: &Options, layout: Layout) -> String {
    let traps = session.overhead.traps.as_ref();
    let Some((traps, parts)) = traps.and_then(|traps| Some((traps, traps.hold_one_in?))) else {
        return String::new();
    };
    let title = "mutexes, how long they were held (--mutex-hold)";
    let mut text = layout.paint(Tone::Title, layout.wrap("", title).trim_end()) + "\n";
    text += &layout.paint(Tone::Alarm, layout.wrap("", &distorted(parts)).trim_end());
    text.push('\n');
    let mut mutexes = locks::ranked_mutexes(&session.processes);
    mutexes.retain(|mutex| mutex.seen.stats.hold.count() > 0);
    mutexes.sort_by_key(|mutex| std::cmp::Reverse(mutex.seen.stats.hold.sum));
    if mutexes.is_empty() {
        return text + &layout.wrap("", "No mutex was seen to be taken and let go of again.");
    }
    let shown = options.top.unwrap_or(MUTEXES).min(mutexes.len());
    // The rest of one hit and the beginning of another are in each: below two, most of it is not the program's.
    let doubtful_ns = 2.0 * traps.trap_ns;
    let rows: Vec<Row> = mutexes.iter().take(shown).map(|mutex| row(mutex, doubtful_ns)).collect();
    text += &layout.table(&COLUMNS, &rows);
    text += &layout.left_out(shown, mutexes.len());
    let trap = units::fraction_of_time(traps.trap_ns);
    let words = format!("shorter than two hits of a probe ({trap} each): one is in there, and is most of it");
    text += &layout.footnote(&rows, &words);
    for mutex in mutexes.iter().take(if options.histograms { shown } else { 0 }) {
        let title = format!("{}, held", place::name(&mutex.place));
        let held = &mutex.seen.stats.hold;
        text += &histogram::render(&title, "hold", "holds", held, histogram::Scale::Time, layout);
    }
    text
}

/// Text about the distortion by probes that every call passes.
fn distorted(parts: u32) -> String {
    let (when, which) = match parts {
        1 => ("each call", "The program was slowed all the time"),
        _ => ("each call then", "The program was slowed in those parts"),
    };
    let looked = match parts {
        1 => "All of the time was looked at".to_owned(),
        _ => format!("One of {parts} parts of the time was looked at, holds that began then to their ends"),
    };
    format!(
        "{looked}, with probes that held up {when}, also of those who found the mutex free. {which}: contention and spins are \
         not those of the program alone; for these, leave --mutex-hold out."
    )
}

fn row(mutex: &ContendedMutex, doubtful_ns: f64) -> Row {
    let held = &mutex.seen.stats.hold;
    let cells = vec![
        place::name(&mutex.place),
        units::count(held.count()),
        units::time(held.sum),
        held.mean().map_or(NONE.to_owned(), |mean| mark(mean as u64, doubtful_ns)),
        marked(held, 0.5, doubtful_ns),
        marked(held, 0.99, doubtful_ns),
        held.max.map_or(NONE.to_owned(), |max| mark(max, doubtful_ns)),
    ];
    Row { cells, notes: Vec::new() }
}

/// A quantile of times; one that is shorter than what makes it doubtful is marked.
pub fn marked(times: &Hist, share: f64, doubtful_ns: f64) -> String {
    times.quantile(share).map_or(NONE.to_owned(), |ns| mark(ns, doubtful_ns))
}

fn mark(ns: u64, doubtful_ns: f64) -> String {
    let star = if (ns as f64) < doubtful_ns { "*" } else { "" };
    format!("{}{star}", units::time(ns))
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    fn rendered(session: &Session) -> String {
        render(session, &Options::default(), Layout::new(120, false))
    }

    #[test]
    fn what_was_looked_at_is_said_and_what_is_shorter_than_a_hit_is_marked() {
        let mut session = synthetic::session(3, Shape { lossy: false, ..Shape::default() });
        session.overhead.traps.as_mut().unwrap().trap_ns = 5000.0;
        let text = rendered(&session);
        assert!(text.contains("One of 10 parts of the time was looked at"), "{text}");
        assert!(text.contains("* shorter than two hits of a probe (5.00us each)"), "{text}");
        session.overhead.traps.as_mut().unwrap().trap_ns = 10.0;
        assert!(!rendered(&session).contains('*'), "{}", rendered(&session));
        session.overhead.traps.as_mut().unwrap().hold_one_in = None;
        assert_eq!(rendered(&session), "");
    }

    #[test]
    fn only_quantiles_below_the_cost_of_a_hit_are_marked() {
        let mut times = Hist::default();
        [100, 100, 9000].iter().for_each(|ns| times.record(*ns));
        assert_eq!(marked(&times, 0.5, 1300.0), "100ns*");
        assert_eq!(marked(&times, 0.99, 1300.0), "9.00us");
        assert_eq!(marked(&Hist::default(), 0.5, 1300.0), "-");
    }
}
