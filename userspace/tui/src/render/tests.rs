//! Every view on stored screens, and what must hold for any screen.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use model::{
    frame::Frame,
    session::{Header, Session},
    synthetic::{self, Shape},
};
use ratatui::{buffer::Buffer, layout::Rect, style::Color};

use super::*;
use crate::{
    app::{Facts, ProbeFacts},
    history::{History, Limits},
    keys::{BINDINGS, Key, View},
    palette::Depth,
};

const PLAIN: Look = Look { depth: Depth::None, ascii: false };
const ASCII: Look = Look { depth: Depth::None, ascii: true };
const SIXTEEN: Look = Look { depth: Depth::Sixteen, ascii: false };
const SHAPE: Shape =
    Shape { frames: 30, processes: 5, threads: 3, lossy: true, inline: false, events: false };
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 10)];

/// Compares with a stored screen; `UPDATE_GOLDEN=1` stores it anew.
fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == stored, "{name} changed; UPDATE_GOLDEN=1 stores it anew:\n{text}");
}

fn app_of(header: Header, frames: Vec<Frame>) -> App {
    let total = Arc::new(Mutex::new(Session::new(header.clone())));
    let probe = |name: &str| ProbeFacts {
        name: name.to_owned(),
        summary: format!("what {name} shows"),
        cost: "its cost".to_owned(),
        fixed: (name != "sched").then(|| "others build on it".to_owned()),
    };
    let facts = Facts {
        header,
        probes: ["syscalls", "sched", "futex", "mutex", "counters"].map(probe).to_vec(),
        interval: Some(Duration::from_secs(1)),
        preparing: None,
    };
    let mut app = App::new(facts, History::new(total, Limits::LIVE));
    frames.into_iter().for_each(|frame| app.frame(frame));
    app
}

fn app(shape: Shape) -> App {
    app_of(synthetic::header(shape), synthetic::frames(3, shape))
}

/// The same with two marks, as after some use.
fn worked_with(shape: Shape) -> App {
    let mut app = app(shape);
    for key in [
        Key::Char('-'),
        Key::Char('-'),
        Key::Home,
        Key::Right,
        Key::Char('a'),
        Key::End,
        Key::Char('b'),
        Key::F(12),
    ] {
        app.key(key);
    }
    app.findings = ["1000 postgres: 13% of its time in the run queue", "futex: 8,383 calls, 18% EAGAIN"]
        .map(str::to_owned)
        .into();
    app
}

fn drawn(app: &mut App, look: Look, (width, height): (u16, u16)) -> Buffer {
    let mut screen = Buffer::empty(Rect::new(0, 0, width, height));
    app.prepare();
    draw(app, look, &mut screen);
    screen
}

/// A screen with its colours, as a terminal would be sent it.
fn ansi(screen: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..screen.area.height {
        let mut before = None;
        for x in 0..screen.area.width {
            let cell = &screen[(x, y)];
            let style = (cell.fg, cell.bg, cell.modifier);
            if before != Some(style) {
                text += &format!("\x1b[0{}{}{}m", modifiers(cell), colour(30, cell.fg), colour(40, cell.bg));
                before = Some(style);
            }
            text += cell.symbol();
        }
        text += "\x1b[0m\n";
    }
    text
}

fn modifiers(cell: &ratatui::buffer::Cell) -> String {
    use ratatui::style::Modifier;
    let codes = [(Modifier::BOLD, ";1"), (Modifier::UNDERLINED, ";4"), (Modifier::REVERSED, ";7")];
    codes
        .into_iter()
        .filter(|(modifier, _)| cell.modifier.contains(*modifier))
        .map(|(_, code)| code)
        .collect()
}

fn colour(base: u8, colour: Color) -> String {
    let named = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
    ];
    match (colour, named.iter().position(|it| *it == colour)) {
        (Color::Reset, _) => String::new(),
        (Color::DarkGray, _) => format!(";{}", base + 60),
        (_, Some(at)) => format!(";{}", base + at as u8),
        (other, None) => panic!("{other:?} is not one of the sixteen"),
    }
}

#[test]
fn every_view_at_every_size_is_the_stored_one() {
    let mut app = worked_with(SHAPE);
    for view in View::ALL {
        app.view = view;
        let name = view.title().to_lowercase();
        for size in SIZES {
            let text = plain_text(&drawn(&mut app, PLAIN, size));
            assert_golden(&format!("{name}-{}x{}.txt", size.0, size.1), &text);
        }
        assert_golden(&format!("{name}-ascii.txt"), &plain_text(&drawn(&mut app, ASCII, SIZES[0])));
        assert_golden(&format!("{name}-colour.ansi"), &ansi(&drawn(&mut app, SIXTEEN, SIZES[0])));
    }
}

#[test]
fn without_the_other_probes_their_views_say_so_as_stored() {
    let mut header = synthetic::header(SHAPE);
    header.probes = vec!["syscalls".to_owned()];
    let mut frames = synthetic::frames(3, SHAPE);
    for process in frames.iter_mut().flat_map(|frame| &mut frame.processes) {
        process.sched.clear();
        process.futexes.clear();
        process.mutexes.clear();
    }
    let mut app = app_of(header, frames);
    for view in [View::Overview, View::Scheduler, View::Locks] {
        app.view = view;
        let name = view.title().to_lowercase();
        assert_golden(&format!("{name}-without.txt"), &plain_text(&drawn(&mut app, PLAIN, SIZES[0])));
    }
}

#[test]
fn ascii_means_ascii() {
    let mut app = worked_with(SHAPE);
    for view in View::ALL {
        app.view = view;
        for size in SIZES {
            let text = plain_text(&drawn(&mut app, ASCII, size));
            assert!(text.is_ascii(), "{view:?}: {text}");
        }
    }
}

#[test]
fn no_size_is_too_small_and_no_name_steers_the_terminal() {
    let mut app = worked_with(SHAPE);
    for view in View::ALL {
        app.view = view;
        for width in [1, 2, 3, 10, 39, 40, 41, 60, 79, 81, 110, 200] {
            for height in [1, 2, 3, 9, 10, 11, 15, 18, 25, 60] {
                let text = plain_text(&drawn(&mut app, PLAIN, (width, height)));
                let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
                assert!(!text.contains(obeyed), "{view:?} at {width}x{height}: {text:?}");
            }
        }
    }
    let text = plain_text(&drawn(&mut app, PLAIN, (30, 5)));
    assert!(text.contains("too small: 30x5, needs") && text.contains("40x10"), "{text}");
}

#[test]
fn before_the_first_frame_every_view_can_be_looked_at() {
    let mut app = app_of(Header::default(), Vec::new());
    for view in View::ALL {
        app.view = view;
        for size in SIZES {
            let text = plain_text(&drawn(&mut app, PLAIN, size));
            assert!(text.contains("no process yet"), "{view:?}: {text}");
        }
    }
}

#[test]
fn before_the_session_begins_the_screen_says_how_far_it_is() {
    let mut app = app_of(Header::default(), Vec::new());
    app.preparing = Some("attaching: 64 of 10000 threads; q ends".into());
    for view in View::ALL.into_iter().filter(|view| *view != View::Help) {
        app.view = view;
        let text = plain_text(&drawn(&mut app, PLAIN, (80, 24)));
        assert!(text.contains("ATTACHING") && text.contains("64 of 10000"), "{view:?}: {text}");
    }
    assert_eq!(app.key(Key::Char('q')), crate::app::Action::Quit);
    app.begin(synthetic::header(SHAPE));
    let text = plain_text(&drawn(&mut app, PLAIN, (80, 24)));
    assert!(text.contains("LIVE") && !text.contains("10000"), "{text}");
}

#[test]
fn frames_that_come_less_often_than_asked_for_are_said_to() {
    let mut app = app(SHAPE);
    app.interval = Some(Duration::from_millis(100));
    let text = plain_text(&drawn(&mut app, PLAIN, (80, 24)));
    assert!(text.contains("every 1.00s, asked for 100ms"), "{text}");
}

#[test]
fn the_filter_is_that_of_the_locks_on_the_overview_too() {
    let mut app = app(SHAPE);
    let shown = |app: &mut App| plain_text(&drawn(app, PLAIN, (120, 40)));
    assert!(shown(&mut app).contains("contention"));
    for key in "/waiting".chars().map(Key::Char).chain([Key::Enter]) {
        app.key(key);
    }
    let text = shown(&mut app);
    assert!(
        text.contains("filter: waiting") && !text.contains("contention") && text.contains(" waiting "),
        "{text}"
    );
    app.filter = "no such thing".into();
    assert!(shown(&mut app).contains("the filter leaves none"));
}

#[test]
fn processes_show_cpu_time_of_the_wall_clock() {
    let mut app = app(SHAPE);
    app.view = View::Processes;
    app.cumulated = true;
    let text = plain_text(&drawn(&mut app, PLAIN, (120, 40)));
    let session = synthetic::session(3, SHAPE);
    for (key, process) in &session.processes {
        let on_cpu = process.sched.as_ref().unwrap().budget.on_cpu_ns();
        let share = format!(" {:.1}%", on_cpu as f64 / session.duration_ns as f64 * 100.0);
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{} ", key.pid)));
        assert!(line.is_some_and(|line| line.contains(&share)), "{share} of {}:\n{text}", key.pid);
    }
}

#[test]
fn loss_is_red_and_cost_stands_beside_it() {
    let mut app = app(SHAPE);
    let screen = drawn(&mut app, SIXTEEN, (120, 40));
    let line: String = (0..120).map(|x| screen[(x, 1)].symbol()).collect();
    assert!(line.starts_with("LOST ") && line.contains("cost ") && line.contains("of a CPU"), "{line}");
    assert_eq!(screen[(0, 1)].fg, Color::Red);
    let mut whole = self::app(Shape { lossy: false, ..SHAPE });
    let screen = drawn(&mut whole, SIXTEEN, (120, 40));
    assert_ne!(screen[(0, 1)].fg, Color::Red);
}

#[test]
fn rates_and_sums_are_told_apart() {
    let mut app = app(SHAPE);
    app.view = View::Syscalls;
    let rates = plain_text(&drawn(&mut app, PLAIN, (120, 40)));
    assert!(
        rates.contains("RATES over 10.0s") && rates.contains("calls/s") && rates.contains("time/s"),
        "{rates}"
    );
    app.key(Key::Char('c'));
    let sums = plain_text(&drawn(&mut app, PLAIN, (120, 40)));
    assert!(sums.contains("SUMS since 00:00.0 up to 00:30.0") && !sums.contains("calls/s"), "{sums}");
}

#[test]
fn the_help_explains_every_key() {
    let mut app = app(SHAPE);
    app.key(Key::Char('?'));
    let text = plain_text(&drawn(&mut app, PLAIN, (100, 60)));
    for binding in BINDINGS {
        assert!(text.contains(binding.help), "{} is not explained:\n{text}", binding.shown);
    }
}

#[test]
fn numbers_are_those_of_the_session() {
    let mut app = app(SHAPE);
    app.view = View::Syscalls;
    app.key(Key::Char('c'));
    let text = plain_text(&drawn(&mut app, PLAIN, (160, 60)));
    let session = synthetic::session(3, SHAPE);
    for (call, count) in session.processes.values().flat_map(|process| process.calls()).fold(
        std::collections::BTreeMap::<_, u64>::new(),
        |mut sums, (call, stats)| {
            *sums.entry(call).or_default() += stats.count();
            sums
        },
    ) {
        let name = model::syscalls::name("x86_64", call);
        let line = text.lines().find(|line| line.split(' ').next() == Some(&name));
        let shown = line.and_then(|line| line.split_ascii_whitespace().nth(1));
        assert_eq!(shown, Some(count.to_string().as_str()), "{name}:\n{text}");
    }
}

/// CPU time of the quickest of some drawings of a process with so many threads, ns.
fn drawing_ns(threads: u32) -> u64 {
    let shape = Shape { frames: 1, processes: 1, threads, lossy: false, inline: false, events: false };
    let mut app = app(shape);
    app.view = View::Processes;
    let mut draw = || {
        let begin = thread_cpu_ns();
        let text = plain_text(&drawn(&mut app, PLAIN, (120, 40)));
        assert!(text.contains(&format!("{threads} threads")), "{text}");
        thread_cpu_ns() - begin
    };
    (0..4).map(|_| draw()).min().unwrap()
}

fn thread_cpu_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[test]
fn drawing_ten_times_the_threads_takes_no_more_than_some_ten_times_the_work() {
    let (few, many) = (drawing_ns(1_000), drawing_ns(10_000));
    // Were each looked up among all the others, it would be a hundred times.
    assert!(many < 40 * few, "{few} ns and {many} ns");
}
