//! Each key and each frame: what it changes, and what it asks for.

use std::sync::{Arc, Mutex};

use model::{
    glance::Quick,
    session::Session,
    synthetic::{self, Shape},
};

use super::*;
use crate::{history::Limits, keys::BINDINGS};

const SHAPE: Shape =
    Shape { frames: 20, processes: 3, threads: 0, lossy: false, inline: false, events: false };
const SECOND: u64 = 1_000_000_000;

fn fresh() -> App {
    let header = synthetic::header(SHAPE);
    let total = Arc::new(Mutex::new(Session::new(header.clone())));
    let facts = Facts { header, interval: Some(Duration::from_secs(1)), ..Facts::default() };
    App::new(facts, History::new(total, Limits::LIVE))
}

fn app() -> App {
    let mut app = fresh();
    synthetic::frames(5, SHAPE).into_iter().take(10).for_each(|frame| app.frame(frame));
    app.prepare();
    app
}

/// Presses keys as the loop does.
fn press(app: &mut App, keys: &[Key]) -> Action {
    let mut action = Action::None;
    for key in keys {
        action = app.key(*key);
        app.prepare();
    }
    action
}

fn chars(text: &str) -> Vec<Key> {
    text.chars().map(Key::Char).collect()
}

#[test]
fn digits_and_tab_show_views_and_help_comes_back() {
    let mut app = app();
    for (at, view) in View::ALL.into_iter().enumerate().take(7) {
        let digit = char::from_digit(at as u32 + 1, 10).unwrap();
        assert_eq!(press(&mut app, &[Key::Char(digit)]), Action::Draw);
        assert_eq!(app.view, view);
    }
    press(&mut app, &[Key::Char('2'), Key::Tab]);
    assert_eq!(app.view, View::Scheduler);
    press(&mut app, &[Key::BackTab, Key::BackTab, Key::BackTab]);
    assert_eq!(app.view, View::Help);
    press(&mut app, &[Key::Char('4'), Key::Char('?')]);
    assert_eq!(app.view, View::Help);
    press(&mut app, &[Key::Char('?')]);
    assert_eq!(app.view, View::Locks);
    press(&mut app, &[Key::Char('h'), Key::Esc]);
    assert_eq!(app.view, View::Locks);
}

#[test]
fn what_is_done_outside_is_asked_for() {
    let asked = [
        (Key::Char('q'), Action::Quit),
        (Key::Ctrl('c'), Action::Quit),
        (Key::Ctrl('z'), Action::Suspend),
        (Key::Ctrl('l'), Action::DrawAll),
        (Key::Char('w'), Action::SaveText),
        (Key::Char('e'), Action::SaveJson),
        (Key::Char('>'), Action::Interval(Duration::from_secs(2))),
        (Key::F(9), Action::None),
    ];
    for (key, action) in asked {
        assert_eq!(app().key(key), action, "{key:?}");
    }
}

#[test]
fn the_interval_has_two_ends_and_none_after_the_end() {
    let mut app = app();
    let faster: Vec<Action> = (0..6).map(|_| app.key(Key::Char('<'))).collect();
    assert_eq!(faster[0], Action::Interval(Duration::from_millis(500)));
    assert_eq!(faster[4], Action::Interval(Duration::from_millis(10)));
    assert_eq!((faster[5], app.message.is_some()), (Action::Draw, true));
    app.end("over");
    assert_eq!(app.key(Key::Char('>')), Action::Draw);
    assert_eq!(app.interval, Some(Duration::from_millis(10)));
}

#[test]
fn held_means_held_while_frames_come() {
    let mut app = app();
    let shown = app.shown.clone();
    press(&mut app, &[Key::Char(' ')]);
    assert_eq!(app.held_ns, Some(10 * SECOND));
    synthetic::frames(6, SHAPE).into_iter().skip(10).take(3).for_each(|frame| app.frame(frame));
    app.prepare();
    assert_eq!(app.shown.period, shown.period);
    assert_eq!(app.history.newest_ns(), 13 * SECOND);
    press(&mut app, &[Key::Char(' ')]);
    assert_eq!((app.held_ns, app.shown.period.to_ns), (None, 13 * SECOND));
}

#[test]
fn time_goes_back_and_forward_by_frames() {
    let mut app = app();
    press(&mut app, &[Key::Left]);
    assert_eq!(app.held_ns, Some(9 * SECOND));
    press(&mut app, &[Key::Left, Key::Left, Key::Right]);
    assert_eq!(app.held_ns, Some(8 * SECOND));
    press(&mut app, &[Key::Home, Key::Left]);
    assert_eq!(app.held_ns, Some(SECOND));
    press(&mut app, &[Key::End]);
    assert_eq!(app.held_ns, None);
}

#[test]
fn the_window_has_lengths_and_numbers_follow_it() {
    let mut app = app();
    press(&mut app, &chars("--"));
    assert_eq!(app.shown.period.sums.span_ns, 2 * SECOND);
    press(&mut app, &chars("----"));
    assert_eq!((app.window, app.shown.period.sums.span_ns), (0, SECOND));
    press(&mut app, &chars("++++++++++++"));
    assert_eq!((WINDOWS_NS[app.window], app.shown.period.sums.span_ns), (u64::MAX, 10 * SECOND));
    press(&mut app, &chars("--="));
    assert_eq!(app.window, WINDOWS_NS.len() - 2);
}

#[test]
fn sums_are_those_of_the_session_and_a_reset_is_for_the_screen_only() {
    let mut app = app();
    press(&mut app, &chars("c"));
    let counted = app.history.session().ledger.counted;
    assert_eq!(app.shown.period.sums.call_totals().0, counted);
    press(&mut app, &chars("R"));
    assert_eq!(app.shown.period.sums.call_totals().0, 0);
    assert_eq!(app.history.session().ledger.counted, counted);
    press(&mut app, &chars("c"));
    assert_ne!(app.shown.period.sums.call_totals().0, 0);
}

#[test]
fn rows_are_selected_sorted_and_turned() {
    let mut app = app();
    press(&mut app, &chars("2"));
    press(&mut app, &[Key::Down, Key::Char('j'), Key::Up]);
    assert_eq!(app.table().selected, 1);
    press(&mut app, &[Key::PageDown, Key::PageDown]);
    assert_eq!(app.table().selected, app.shown.table.rows.len() - 1);
    press(&mut app, &[Key::PageUp, Key::PageUp, Key::Char('k')]);
    assert_eq!(app.table().selected, 0);
    press(&mut app, &chars("s"));
    assert_eq!(app.table().sort, 4);
    let first = app.shown.table.rows[0].cells[4].weight;
    press(&mut app, &chars("r"));
    assert!(app.shown.table.rows[0].cells[4].weight < first);
    // Each view has an order of its own.
    press(&mut app, &chars("6"));
    assert_eq!(app.table().sort, 0);
}

#[test]
fn a_filter_is_typed_kept_and_dropped() {
    let mut app = app();
    let all = press_rows(&mut app, "2");
    press(&mut app, &chars("/q"));
    assert!(app.typing && app.shown.table.rows.is_empty());
    press(&mut app, &[Key::Backspace]);
    let reads = press_rows(&mut app, "read");
    assert!(reads > 0 && reads < all, "{reads} of {all}");
    press(&mut app, &[Key::Enter, Key::Char('1')]);
    assert_eq!((app.typing, app.filter.as_str(), app.view), (false, "read", View::Overview));
    press(&mut app, &[Key::Esc]);
    assert!(app.filter.is_empty());
    press(&mut app, &[Key::Char('/'), Key::Char('x'), Key::Esc]);
    assert_eq!((app.typing, app.filter.as_str()), (false, ""));
    press(&mut app, &[Key::Char('/')]);
    assert_eq!(app.key(Key::Ctrl('c')), Action::Quit);
}

fn press_rows(app: &mut App, keys: &str) -> usize {
    press(app, &chars(keys));
    app.shown.table.rows.len()
}

#[test]
fn chosen_processes_narrow_every_view_until_esc() {
    let mut app = app();
    press(&mut app, &chars("c"));
    let all = app.shown.period.sums.call_totals().0;
    press(&mut app, &[Key::Char('2'), Key::Enter]);
    assert!(app.message.is_some() && app.history.chosen().is_empty());
    press(&mut app, &[Key::Char('6'), Key::Enter, Key::Char('2')]);
    let one = app.shown.period.sums.call_totals().0;
    assert!(one > 0 && one < all);
    press(&mut app, &[Key::Char('6'), Key::Enter]);
    assert!(app.history.chosen().is_empty());
    press(&mut app, &[Key::Enter, Key::Down, Key::Enter]);
    assert_eq!(app.history.chosen().len(), 2);
    press(&mut app, &[Key::Esc]);
    assert_eq!(app.shown.period.sums.call_totals().0, all);
}

#[test]
fn marks_are_compared_and_so_are_processes() {
    let mut app = app();
    press(&mut app, &chars("5"));
    assert!(app.shown.pairs.is_empty());
    press(&mut app, &[Key::Char('a'), Key::Home, Key::Char('b')]);
    let [Some((_, a)), Some((_, b))] = &app.shown.sides else { panic!("two marks") };
    assert_eq!((a.from_ns, a.to_ns, b.from_ns, b.to_ns), (0, 10 * SECOND, 0, SECOND));
    let pair = &app.shown.pairs[0];
    assert!(pair.counts[0] > pair.counts[1]);
    press(&mut app, &chars("v"));
    assert!(app.shown.pairs.is_empty());
    press(&mut app, &[Key::Char('6'), Key::Enter, Key::Down, Key::Enter, Key::Char('5')]);
    let names: Vec<&str> = app.shown.sides.iter().flatten().map(|side| side.0.as_str()).collect();
    assert_eq!(names, ["1000 postgres", "1010 nginx: worker"]);
    let counted: u64 =
        app.shown.pairs.iter().filter(|pair| !pair.name.contains(": ")).map(|pair| pair.counts[0]).sum();
    let session = app.history.session();
    let first = session.processes.values().next().unwrap();
    assert_eq!(counted, first.calls().values().map(|stats| stats.count()).sum::<u64>());
}

#[test]
fn nothing_can_be_marked_before_the_first_frame() {
    let mut app = fresh();
    press(&mut app, &chars("a"));
    assert_eq!((app.marks[0].as_ref(), app.message.is_some()), (None, true));
}

#[test]
fn an_answer_goes_with_the_next_key_and_an_end_stays() {
    let mut app = app();
    press(&mut app, &chars("a"));
    assert!(app.message.is_some());
    assert_eq!(app.key(Key::F(9)), Action::Draw);
    assert!(app.message.is_none());
    app.end("every target has ended");
    press(&mut app, &chars("2c "));
    assert_eq!(app.ended.as_deref(), Some("every target has ended"));
}

#[test]
fn every_key_in_every_view_at_any_time_is_harmless() {
    for mut app in [fresh(), app()] {
        for view in View::ALL {
            for binding in BINDINGS {
                app.view = view;
                app.typing = false;
                press(&mut app, binding.keys);
            }
        }
    }
}

#[test]
fn a_recording_begins_with_the_sums_of_its_report() {
    let header = synthetic::header(SHAPE);
    let total = Arc::new(Mutex::new(Session::new(header.clone())));
    let mut app = App::new(Facts { header, ..Facts::default() }, History::new(total, Limits::REPLAY));
    synthetic::frames(5, SHAPE).into_iter().for_each(|frame| app.frame(frame));
    app.prepare();
    assert!(app.cumulated);
    assert_eq!(app.shown.period.sums.call_totals().0, synthetic::session(5, SHAPE).ledger.counted);
}

#[test]
fn a_probe_is_switched_by_asking_and_shown_as_what_the_answer_says() {
    let mut app = app();
    let probe = |name: &str, fixed: Option<&str>| crate::ProbeFacts {
        name: name.to_owned(),
        fixed: fixed.map(str::to_owned),
        ..Default::default()
    };
    app.facts.probes =
        vec![probe("syscalls", Some("others build on it")), probe("sched", None), probe("odd", None)];
    assert_eq!(press(&mut app, &[Key::Char('t')]), Action::Draw);
    assert!(app.message.as_ref().unwrap().contains("view Probes"));
    press(&mut app, &[Key::Char('7'), Key::Char('t')]);
    assert_eq!(app.message.as_deref(), Some("cannot switch syscalls: others build on it"));
    assert_eq!(press(&mut app, &[Key::Down, Key::Char('t')]), Action::Probe(1, false));
    // The probe stays on until the session confirms the switch.
    assert!(app.off.is_empty());
    app.switched("sched".to_owned(), Ok(false));
    app.prepare();
    assert_eq!(app.shown.table.rows[1].cells[1].text, "OFF");
    assert_eq!(press(&mut app, &[Key::Char('t')]), Action::Probe(1, true));
    app.switched("sched".to_owned(), Err("cannot: because".to_owned()));
    assert_eq!((app.message.as_deref(), app.off.len()), (Some("cannot: because"), 1));
    app.switched("sched".to_owned(), Ok(true));
    assert!(app.off.is_empty());
    press(&mut app, &[Key::Down, Key::Char('t')]);
    assert!(app.message.as_ref().unwrap().contains("started without it"));
    app.end("over");
    press(&mut app, &[Key::Up, Key::Char('t')]);
    assert!(app.message.as_ref().unwrap().contains("nothing is being traced"));
}

#[test]
fn a_probe_that_its_budget_took_out_is_asked_for_again_at_the_first_key() {
    let mut app = fresh();
    let named = |name: &str| crate::ProbeFacts { name: name.to_owned(), ..Default::default() };
    app.facts.probes = vec![named("sched"), named("mutex")];
    let mut frames = synthetic::frames(5, Shape { lossy: true, ..SHAPE });
    frames.iter().for_each(|frame| app.frame(frame.clone()));
    press(&mut app, &[Key::Char('7')]);
    app.prepare();
    let states =
        |app: &App| app.shown.table.rows.iter().map(|row| row.cells[1].text.clone()).collect::<Vec<_>>();
    assert_eq!(states(&app), ["attached", "over budget"]);
    assert_eq!(press(&mut app, &[Key::Down, Key::Char('t')]), Action::Probe(1, true));
    app.switched("mutex".to_owned(), Ok(true));
    let mut again = frames.pop().unwrap();
    again.at_ns += again.span_ns;
    again.overhead.traps.as_mut().unwrap().detached_at_ns = None;
    app.frame(again);
    app.prepare();
    assert_eq!(states(&app), ["attached", "attached"]);
    assert_eq!(press(&mut app, &[Key::Char('t')]), Action::Probe(1, false));
}

/// A glance half a second after the newest frame.
fn look_ahead(app: &mut App, count: u64) {
    let (key, call) = {
        let session = app.history.session();
        let (key, process) = session.processes.iter().next().unwrap();
        (*key, process.syscalls.keys().next().unwrap().1)
    };
    let quick = Quick { count, total_ns: 1000 * count };
    let at_ns = app.history.newest_ns() + SECOND / 2;
    app.glance(Glance {
        at_ns,
        span_ns: SECOND / 2,
        calls: vec![(call, quick)],
        processes: vec![(key, quick)],
    });
}

#[test]
fn a_glance_moves_counts_and_nothing_else() {
    let mut app = app();
    press(&mut app, &chars("c"));
    let before = app.shown.clone();
    look_ahead(&mut app, 1000);
    app.prepare();
    let (old, new) = (&before.period, &app.shown.period);
    assert_eq!((new.to_ns, new.calls_count()), (old.to_ns + SECOND / 2, old.calls_count() + 1000));
    assert_eq!(new.sums, old.sums);
    let changed = |column: usize| {
        let pairs = app.shown.table.rows.iter().map(|row| {
            let same = before.table.rows.iter().find(|old| old.of == row.of).unwrap();
            row.cells[column] != same.cells[column]
        });
        pairs.filter(|changed| *changed).count()
    };
    assert_eq!([0, 1, 2, 3, 4, 5, 9].map(changed), [0, 1, 0, 1, 0, 0, 0]);
    // The last frame is a frame, and a choice is of frames.
    press(&mut app, &chars("c---"));
    assert_eq!((WINDOWS_NS[app.window], app.shown.period.ahead.is_some()), (0, false));
    assert_eq!(app.shown.period.to_ns, app.history.newest_ns());
    press(&mut app, &chars("+6"));
    assert!(app.shown.period.ahead.is_some());
    press(&mut app, &[Key::Enter]);
    assert!(app.shown.period.ahead.is_none());
    assert_eq!(app.shown.period.to_ns, app.history.newest_ns());
}

#[test]
fn what_is_about_everything_waits_for_a_frame() {
    let mut app = app();
    for (key, after) in [(' ', Action::Draw), ('a', Action::Draw), ('e', Action::SaveJson)] {
        look_ahead(&mut app, 7);
        assert_eq!(app.key(Key::Char(key)), Action::Frame, "{key}");
        assert_eq!((app.make_up(), app.held_ns.is_some()), (vec![], false));
        let next = app.history.newest_ns() / SECOND;
        app.frame(synthetic::frames(5, SHAPE).swap_remove(next as usize));
        assert_eq!((app.make_up(), app.make_up()), (vec![after], vec![]));
        assert_eq!(app.held_ns.is_some(), key == ' ');
        app.held_ns = None;
    }
    assert_eq!(app.marks[0].as_ref().map(|mark| mark.period.to_ns), Some(12 * SECOND));
    // With everything known there is nothing to wait for.
    assert_eq!(app.key(Key::Char(' ')), Action::Draw);
}

#[test]
fn what_comes_after_a_key_that_waits_is_done_after_it() {
    let frame =
        |app: &App| synthetic::frames(5, SHAPE).swap_remove((app.history.newest_ns() / SECOND) as usize);
    let mut app = app();
    look_ahead(&mut app, 7);
    let asked = [Key::Char('e'), Key::Char('q')].map(|key| app.key(key));
    assert_eq!(asked, [Action::Frame, Action::Draw]);
    assert_eq!(app.key(Key::Char('q')), Action::Quit, "who insists is obeyed");
    app.frame(frame(&app));
    assert_eq!(app.make_up(), [Action::SaveJson, Action::Quit]);
    look_ahead(&mut app, 7);
    let asked = [Key::Char(' '), Key::Left].map(|key| app.key(key));
    assert_eq!(asked, [Action::Frame, Action::Draw]);
    app.frame(frame(&app));
    assert_eq!(app.make_up(), [Action::Draw, Action::Draw]);
    assert_eq!(app.held_ns, Some(app.history.newest_ns() - SECOND));
    // A file of the running session holds the present, also if the screen shows another time.
    look_ahead(&mut app, 7);
    assert_eq!(app.key(Key::Char('e')), Action::Frame);
}
