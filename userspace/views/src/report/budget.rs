//! Use of the time of each process and each thread: a line of shares and a bar.

use std::{cmp::Reverse, collections::BTreeMap, iter};

use model::{
    frame::ProcessKey,
    sched::{Budget, Place, SchedStats},
    session::{Header, Process, Session},
    syscalls, units,
};

use super::{
    DEFAULT_TOP, Options, Sort,
    layout::{Layout, Row, Tone, length, shown_name},
    share::apportion,
};

/// Threads of a process that are shown when neither `--threads` nor `--top` asks for more.
const FEW_THREADS: usize = 6;
/// Places in which threads blocked that have a letter of their own.
const NAMED_PLACES: usize = 5;
const NARROWEST_BAR: usize = 14;
const WIDEST_BAR: usize = 60;
/// Longer names stand on a line of their own rather than cost every bar its length.
const WIDEST_NAME: usize = 28;

/// The letters of a session's bars.
struct Letters {
    /// Those of the places in which most time was spent.
    places: Vec<(Place, char, String)>,
    /// A thread was stopped: without any, the letter is left out.
    stopped: bool,
    /// Page faults are measured: without, they are part of user code.
    faults: bool,
}

pub fn render(session: &Session, options: &Options, layout: Layout) -> String {
    let mut processes: Vec<(&ProcessKey, &Process, &SchedStats)> = session
        .processes
        .iter()
        .filter_map(|(key, process)| Some((key, process, process.sched.as_ref()?)))
        .filter(|(_, _, sched)| sched.budget.parts_ns() > 0)
        .collect();
    if processes.is_empty() {
        return String::new();
    }
    processes.sort_by_cached_key(|(key, process, sched)| {
        (Reverse(weight(options.sort, sched)), name_weight(options.sort, &process.comm), **key)
    });
    let letters = Letters::of(processes.iter().map(|process| &process.2.budget), &session.header);
    let shown = options.top.unwrap_or(DEFAULT_TOP).min(processes.len());
    let mut lines = Vec::new();
    for (key, process, sched) in processes.iter().take(shown) {
        let name = process.shown(**key);
        lines.push(Line { name, budget: &sched.budget, left_out: None });
        threads(process, options, &mut lines);
    }
    let title = "where the time went: wall time of a process's threads, in percent of it";
    let mut text = layout.paint(Tone::Title, layout.wrap("", title).trim_end()) + "\n";
    text += &letters.legend(layout);
    text += &table(&lines, &letters, layout);
    if processes.len() > shown {
        let words = format!(
            "{} more processes are left out; --top {} shows them",
            processes.len() - shown,
            processes.len()
        );
        text += &layout.wrap("", &words);
    }
    text
}

/// Sort value of a process or a thread: its wall time where the key is one of calls or locks.
pub fn weight(sort: Sort, sched: &SchedStats) -> u64 {
    match sort {
        Sort::Cpu => sched.budget.on_cpu_ns(),
        Sort::Queue => sched.budget.run_queue_ns(),
        Sort::Blocked => sched.budget.blocked_ns(),
        Sort::Switches => sched.switches(),
        Sort::Name => 0,
        _ => sched.budget.wall_ns,
    }
}

fn name_weight(sort: Sort, name: &str) -> String {
    if sort == Sort::Name { name.to_owned() } else { String::new() }
}

struct Line<'a> {
    name: String,
    budget: &'a Budget,
    left_out: Option<String>,
}

fn threads<'a>(process: &'a Process, options: &Options, lines: &mut Vec<Line<'a>>) {
    if process.sched_threads.len() < 2 {
        return;
    }
    let name = |tid: u32| process.thread_names.get(&tid).map_or("", String::as_str);
    let mut threads: Vec<(u32, &SchedStats)> =
        process.sched_threads.iter().map(|(tid, sched)| (*tid, sched)).collect();
    threads.sort_by_cached_key(|(tid, sched)| {
        (Reverse(weight(options.sort, sched)), name_weight(options.sort, name(*tid)), *tid)
    });
    let limit = if options.threads { DEFAULT_TOP } else { FEW_THREADS };
    let shown = options.top.unwrap_or(limit).min(threads.len());
    for (tid, sched) in threads.iter().take(shown) {
        let name = format!("  {tid} {}", shown_name(name(*tid)));
        lines.push(Line { name, budget: &sched.budget, left_out: None });
    }
    if let Some(last) = lines.last_mut().filter(|_| threads.len() > shown) {
        let words = format!("{} more threads; --top {} shows them", threads.len() - shown, threads.len());
        last.left_out = Some(words);
    }
}

fn table(lines: &[Line<'_>], letters: &Letters, layout: Layout) -> String {
    let header = letters.header();
    let numbers: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let parts = letters.parts(line.budget);
            let percents = apportion(&parts, 100);
            let shown = percents.iter().zip(&parts).map(|(percent, part)| match percent {
                0 if *part == 0 => "-".to_owned(),
                percent => percent.to_string(),
            });
            [units::time(line.budget.wall_ns)].into_iter().chain(shown).collect()
        })
        .collect();
    let widest = |column: usize| {
        let cells = numbers.iter().map(|cells| length(&cells[column]));
        cells.chain([length(&header[column + 1])]).max().unwrap_or(0)
    };
    let columns: usize = (0..header.len() - 2).map(|column| widest(column) + layout.gap()).sum();
    let names = lines.iter().map(|line| length(&line.name)).max().unwrap_or(0).min(WIDEST_NAME);
    // Two for the edges of the bar.
    let bar =
        layout.width().saturating_sub(names + columns + layout.gap() + 2).clamp(NARROWEST_BAR, WIDEST_BAR);
    let rows: Vec<Row> = lines
        .iter()
        .zip(numbers)
        .map(|(line, numbers)| {
            let drawn = letters.bar(line.budget, bar);
            let cells = [line.name.clone()].into_iter().chain(numbers).chain([drawn]).collect();
            Row { cells, notes: line.left_out.iter().cloned().collect() }
        })
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    layout.table(&header, &rows)
}

impl Letters {
    fn of<'a>(budgets: impl Iterator<Item = &'a Budget> + Clone, header: &Header) -> Self {
        let stopped = budgets.clone().any(|budget| budget.stopped_ns > 0);
        let faults = header.measures_faults();
        let mut times: BTreeMap<Place, u64> = BTreeMap::new();
        for (place, blocked) in budgets.flat_map(|budget| &budget.blocked) {
            if *place != Place::Other {
                *times.entry(*place).or_default() += blocked.ns;
            }
        }
        let mut places: Vec<(Place, u64)> = times.into_iter().filter(|(_, ns)| *ns > 0).collect();
        places.sort_by_key(|(place, ns)| (Reverse(*ns), *place));
        let mut letters = Self { places: Vec::new(), stopped, faults };
        for (place, _) in places.into_iter().take(NAMED_PLACES) {
            let name = place_name(&header.arch, place);
            let letter = letters.free(&name);
            letters.places.push((place, letter, name));
        }
        letters
    }

    /// The first letter of the name that nothing else has.
    fn free(&self, name: &str) -> char {
        let own = if self.faults { "UFKQT" } else { "UKQT" };
        let taken = |c: &char| own.contains(*c) || self.places.iter().any(|place| place.1 == *c);
        let letters = name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase());
        letters.chain('A'..='Z').find(|c| !taken(c)).unwrap_or('#')
    }

    fn legend(&self, layout: Layout) -> String {
        let blocked =
            self.places.iter().map(|(_, letter, name)| format!("{letter} {}", name.replace(' ', "\u{a0}")));
        let blocked = blocked.collect::<Vec<_>>().join(", ");
        let blocked = if blocked.is_empty() { String::new() } else { format!("blocked in {blocked}, ") };
        let stopped = if self.stopped { "T stopped, " } else { "" };
        // A letter and what it stands for stay on one line.
        let user = if self.faults { "U user code, F page faults" } else { "U user code and page faults" };
        let words = format!(
            "{user}, K kernel, Q run\u{a0}queue (runnable, without a CPU), {blocked}. blocked \
             elsewhere, {stopped}? unknown"
        );
        let glued = words.replace(", ", ",\n").replace(' ', "\u{a0}").replace('\n', " ");
        layout.wrap("  ", &glued).replace('\u{a0}', " ")
    }

    fn header(&self) -> Vec<String> {
        let letters = self.glyphs().into_iter().map(String::from);
        let ends = (["process".to_owned(), "wall".to_owned()], [String::new()]);
        ends.0.into_iter().chain(letters).chain(ends.1).collect()
    }

    fn glyphs(&self) -> Vec<char> {
        let places = self.places.iter().map(|place| place.1);
        let faults = self.faults.then_some('F');
        ['U']
            .into_iter()
            .chain(faults)
            .chain(['K', 'Q'])
            .chain(places)
            .chain(['.'])
            .chain(self.stopped.then_some('T'))
            .chain(['?'])
            .collect()
    }

    /// The parts of a budget, in the order of the letters.
    fn parts(&self, budget: &Budget) -> Vec<u64> {
        let blocked = |place: &Place| budget.blocked.get(place).map_or(0, |blocked| blocked.ns);
        let places: Vec<u64> = self.places.iter().map(|place| blocked(&place.0)).collect();
        let rest = budget.blocked_ns() - places.iter().sum::<u64>();
        let faults = self.faults.then_some(budget.faults_ns);
        let kernel = [budget.kernel_ns, budget.run_queue_ns()];
        let running = iter::once(budget.user_ns).chain(faults).chain(kernel);
        let stopped = self.stopped.then_some(budget.stopped_ns);
        running.chain(places).chain([rest]).chain(stopped).chain([budget.unknown_ns]).collect()
    }

    fn bar(&self, budget: &Budget, width: usize) -> String {
        let cells = apportion(&self.parts(budget), width as u64);
        let drawn: String = self
            .glyphs()
            .iter()
            .zip(cells)
            .map(|(glyph, cells)| glyph.to_string().repeat(cells as usize))
            .collect();
        format!("|{drawn:<width$}|")
    }
}

/// A place as the report names it.
pub fn place_name(arch: &str, place: Place) -> String {
    match place {
        Place::Call(call) => syscalls::name(arch, call).into_owned(),
        Place::Outside => "no call (page fault)".to_owned(),
        Place::Other => "calls not told apart".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    fn session() -> Session {
        synthetic::session(3, Shape { threads: 9, ..Shape::default() })
    }

    fn rendered(session: &Session, options: &Options) -> String {
        render(session, options, Layout::new(80, false))
    }

    #[test]
    fn percentages_add_up_to_100_and_bars_are_full() {
        let text = rendered(&session(), &Options { threads: true, ..Options::default() });
        let mut seen = 0;
        for line in text.lines().filter(|line| line.ends_with('|')) {
            let (numbers, bar) = line.split_once('|').unwrap();
            let wall = numbers.rfind('s').unwrap();
            let percents = numbers[wall + 1..].split_whitespace().filter_map(|cell| cell.parse::<u64>().ok());
            assert_eq!(percents.sum::<u64>(), 100, "{line}");
            assert!(!bar.contains(' ') && bar.len() > NARROWEST_BAR, "{line}");
            seen += 1;
        }
        assert_eq!(seen, 3 * 10);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let session = session();
        let text = rendered(&session, &Options::default());
        assert!(text.contains("3 more threads; --top 9 shows them"), "{text}");
        let text = rendered(&session, &Options { top: Some(1), ..Options::default() });
        assert!(text.contains("8 more threads; --top 9 shows them"), "{text}");
        assert!(text.contains("2 more processes are left out; --top 3 shows them"), "{text}");
    }

    #[test]
    fn threads_come_in_the_order_that_was_asked_for() {
        let session = session();
        let options = Options { threads: true, sort: Sort::Cpu, ..Options::default() };
        let text = rendered(&session, &options);
        let shares = text.lines().filter(|line| line.starts_with("  1") && line.ends_with('|')).map(|line| {
            let (_, bar) = line.split_once('|').unwrap();
            bar.chars().filter(|c| "UK".contains(*c)).count()
        });
        let shares: Vec<usize> = shares.collect();
        assert!(!shares.is_empty() && shares.len().is_multiple_of(9), "{text}");
        assert!(shares.chunks(9).all(|process| process.is_sorted_by(|a, b| a + 1 >= *b)), "{text}");
    }

    #[test]
    fn without_the_probe_there_is_no_section() {
        let mut session = session();
        session.processes.values_mut().for_each(|process| process.sched = None);
        assert_eq!(rendered(&session, &Options::default()), "");
    }

    #[test]
    fn letters_are_never_used_twice() {
        let session = session();
        let budgets = session.processes.values().filter_map(|it| it.sched.as_ref()).map(|it| &it.budget);
        let mut glyphs = Letters::of(budgets, &session.header).glyphs();
        let count = glyphs.len();
        glyphs.sort_unstable();
        glyphs.dedup();
        assert_eq!((count, glyphs.len()), (10, 10));
    }
}
