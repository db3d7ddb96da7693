//! Frame around every view: targets, period, losses, cost, keys.

use model::{glance::Glance, grade::Grade, session::Session, text::printable, units};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::parts::{Span, fitting, line, row, text};
use crate::{
    app::{App, WINDOWS_NS},
    keys::{BINDINGS, View},
    palette::{Look, Tone},
};

/// The lines that it takes.
pub const LINES: u16 = 5;

/// Draws it; what is left for the view.
pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) -> Rect {
    head(app, look, buf, row(area, 0));
    ledger(app, look, buf, row(area, 1));
    tabs(app, look, buf, row(area, 2));
    scope(app, look, buf, row(area, 3));
    foot(app, look, buf, Rect { y: area.bottom() - 1, height: 1, ..area });
    Rect { y: area.y + LINES - 1, height: area.height - LINES, ..area }
}

/// Draws the targets, and whether the screen follows.
fn head(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let (state, tone) = state(app);
    let at = units::clock(app.end_ns());
    let rhythm = match app.interval {
        Some(interval) if app.ended.is_none() => {
            let asked = interval.as_nanos() as u64;
            let (look, frame) = (app.history.newest_tick_ns(), app.history.newest_span_ns());
            // Frames of a busy machine are a little late at times.
            let is_late = |span: u64| span > asked + asked / 2;
            match area.width {
                80.. if is_late(look) => {
                    format!(" every {}, asked for {}", units::time(look), units::time(asked))
                }
                80.. if is_late(frame) => {
                    format!(" every {}, details every {}", units::time(asked), units::time(frame))
                }
                _ => format!(" every {}", units::time(asked)),
            }
        }
        _ => String::new(),
    };
    let rhythm = if area.width >= 60 { rhythm } else { String::new() };
    let right = format!("{state} {at}{rhythm}");
    let start = area.right().saturating_sub(right.chars().count() as u16);
    let left = Rect { width: start.saturating_sub(area.x + 1), ..area };
    let name = if area.width >= 60 { "pulse-trace " } else { "" };
    let room = Rect { width: left.width.saturating_sub(name.len() as u16), ..left };
    line(buf, look, left, &[(name, Tone::Title), (fitting(&whom(app), room), Tone::Plain)]);
    let clock = Rect { x: start, width: area.right() - start, ..area };
    let rest = format!(" {at}{rhythm}");
    line(buf, look, clock, &[(&state, tone), (&rest, Tone::Plain)]);
}

fn state(app: &App) -> (String, Tone) {
    if app.preparing.is_some() {
        return ("ATTACHING".to_owned(), Tone::Accent);
    }
    match (&app.held_ns, &app.ended, app.facts.interval) {
        (Some(_), _, _) => ("HELD".to_owned(), Tone::Accent),
        (None, _, None) => ("REPLAY".to_owned(), Tone::Accent),
        (None, Some(_), _) => ("ENDED".to_owned(), Tone::Accent),
        (None, None, _) => ("LIVE".to_owned(), Tone::User),
    }
}

/// The targets, and the same in fewer words.
fn whom(app: &App) -> Vec<String> {
    let session = app.history.outline();
    let chosen = app.history.chosen();
    let mut some = session.processes.iter().filter(|(key, _)| chosen.is_empty() || chosen.contains(key));
    let (seen, _) = session.processes_seen();
    let many = if chosen.is_empty() { seen } else { chosen.len() as u64 };
    match (some.next(), many) {
        (Some((key, process)), 1) => {
            let threads = process.threads;
            let name = process.shown(*key);
            let noun = if threads == 1 { "thread" } else { "threads" };
            vec![format!("{name}, {threads} {noun}"), name, key.pid.to_string()]
        }
        (None, _) => vec!["no process yet".to_owned()],
        _ if chosen.is_empty() => vec![format!("{many} processes")],
        _ => {
            let of = format!("{many} of {seen}");
            vec![format!("{of} processes"), of]
        }
    }
}

/// Draws counts, losses (of the whole session, always), and the cost of the measurement.
fn ledger(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let session = app.history.outline();
    let overhead = &session.overhead;
    let share = |share: f64| units::percent(share);
    let cost = match overhead.total_cpu_share(session.duration_ns) {
        Some(all) => format!("cost {} of a CPU", share(all)),
        None => format!("tool {} of a CPU", share(overhead.tool_cpu_share(session.duration_ns))),
    };
    let cost = match overhead.ns_per_call() {
        Some(ns) if area.width >= 70 => format!("{cost}, {}/call", units::fraction_of_time(ns.round())),
        _ => cost,
    };
    let start = area.right().saturating_sub(cost.len() as u16);
    let left = Rect { width: start.saturating_sub(area.x + 1), ..area };
    let (forms, tone) = balance(&session, app.shown.period.ahead.as_ref().map_or(0, Glance::count));
    line(buf, look, left, &[(fitting(&forms, left), tone)]);
    text(buf, area, start, &cost, look.style(Tone::Faint));
}

/// Texts of the ledger, from all of it down to the least that must be said.
fn balance(session: &Session, ahead: u64) -> (Vec<String>, Tone) {
    let ledger = &session.ledger;
    let head = ledger.grade().words();
    if ledger.complete() {
        let mut forms = vec![format!("{head}, 0 lost"), head];
        if session.header.counts_calls() {
            let all = units::count(ledger.counted + ahead);
            forms.insert(0, format!("{}, {all} calls counted, 0 lost", forms[1]));
        }
        return (forms, Tone::Faint);
    }
    let lost = matches!(ledger.grade(), Grade::Lost(_));
    let mut slots: Vec<_> = if lost { &ledger.lost } else { &ledger.degraded }.iter().collect();
    slots.retain(|(_, count)| **count > 0);
    slots.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let remedy = slots.first().filter(|_| lost).and_then(|(name, _)| ledger.remedy(name));
    let slots: Vec<String> =
        slots.iter().map(|(name, count)| format!("{} {}", printable(name), units::count(**count))).collect();
    let listed = |some: usize| format!("{head}: {}", slots[..some].join(", "));
    let mut forms = vec![listed(slots.len())];
    forms
        .extend((1..slots.len()).rev().map(|some| format!("{}, +{} more", listed(some), slots.len() - some)));
    if let Some(remedy) = remedy {
        forms.iter_mut().for_each(|form| *form += &format!("; {remedy}"));
        forms.push(format!("{head}; {remedy}"));
    }
    forms.push(head);
    (forms, if lost { Tone::Alarm } else { Tone::Faint })
}

fn tabs(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let key = |view: View| if view == View::Help { "?".to_owned() } else { (view as usize + 1).to_string() };
    let full: usize = View::ALL.iter().map(|view| view.title().len() + 3).sum();
    let mut x = area.x;
    for view in View::ALL {
        let here = view == app.view;
        let title = if here || full <= usize::from(area.width) {
            format!(" {} {}", key(view), view.title())
        } else {
            format!(" {}", key(view))
        };
        let style = look.style(if here { Tone::Selected } else { Tone::Plain });
        x = text(buf, area, x, &title, style);
    }
}

/// Draws the scope of the numbers.
fn scope(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let period = &app.shown.period;
    let to = units::clock(period.to_ns);
    let (label, words) = if app.cumulated {
        ("SUMS", format!(" since {} up to {to}", units::clock(period.from_ns)))
    } else {
        let window = match WINDOWS_NS[app.window] {
            0 => "last frame".to_owned(),
            u64::MAX => "all that is remembered".to_owned(),
            ns => format!("window {}", units::time(ns)),
        };
        let span = units::time(period.calls_span_ns());
        ("RATES", format!(" over {span} up to {to} ({window})"))
    };
    // Calls are counted, and their time added up, more often than everything else is read.
    let behind = period.ahead.as_ref().map_or(String::new(), |glance| {
        format!("  details up to {}", units::clock(glance.at_ns.saturating_sub(glance.span_ns)))
    });
    let mut spans: Vec<Span<'_>> = vec![(label, Tone::Accent), (&words, Tone::Plain)];
    let filter = format!("  filter: {}", printable(&app.filter));
    if !app.filter.is_empty() && !app.typing {
        spans.push((&filter, Tone::Accent));
    }
    let used: usize = spans.iter().map(|(words, _)| words.chars().count()).sum();
    if used + behind.chars().count() <= usize::from(area.width) {
        spans.push((&behind, Tone::Faint));
    }
    line(buf, look, area, &spans);
}

/// The prompt, the answer to the last key, why it ended, or keys.
fn foot(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    if app.typing {
        let cursor = if look.ascii { "_" } else { "\u{2588}" };
        let typed = printable(&app.filter);
        line(
            buf,
            look,
            area,
            &[
                ("filter: ", Tone::Accent),
                (&typed, Tone::Plain),
                (cursor, Tone::Accent),
                ("  Enter keeps, Esc drops", Tone::Faint),
            ],
        );
        return;
    }
    if let Some(message) = app.message.as_ref().or(app.ended.as_ref()) {
        line(buf, look, area, &[(&printable(message), Tone::Accent)]);
        return;
    }
    let mut x = area.x;
    for binding in BINDINGS {
        let Some(words) = binding.footer else { continue };
        let words = format!(" {words}  ");
        if usize::from(area.right() - x) + 2 < binding.shown.len() + words.len() {
            break;
        }
        x = text(buf, area, x, binding.shown, look.style(Tone::Accent));
        x = text(buf, area, x, &words, Style::default());
    }
}

#[cfg(test)]
mod tests {
    use model::session::Header;

    use super::*;

    #[test]
    fn slots_that_do_not_fit_are_left_out_whole() {
        let mut session = Session::new(Header::default());
        session.ledger.degraded = [("wakers_full".to_owned(), 3042), ("switch_unseen".to_owned(), 7)].into();
        session.ledger.events = [("wakeups".to_owned(), 6000), ("context_switches".to_owned(), 7000)].into();
        session.ledger.counted = 3;
        let shown = |session: &Session, width| {
            let (forms, _) = balance(session, 0);
            fitting(&forms, Rect::new(0, 0, width, 1)).to_owned()
        };
        assert_eq!(shown(&session, 80), "partial (51%): wakers_full 3042, switch_unseen 7");
        assert_eq!(shown(&session, 40), "partial (51%): wakers_full 3042, +1 more");
        assert_eq!(shown(&session, 20), "partial (51%)");
        assert_eq!(shown(&session, 5), "");
        session.ledger.lost.insert("ring_full".to_owned(), 12);
        assert_eq!(balance(&session, 0).0, ["LOST: ring_full 12", "LOST"]);
        session.ledger.lost.insert("cells_full".to_owned(), 21);
        session.ledger.room.insert("lean-cells".to_owned(), 256);
        assert_eq!(shown(&session, 80), "LOST (88%): cells_full 21, ring_full 12; --limit lean-cells=512");
        assert_eq!(shown(&session, 40), "LOST (88%); --limit lean-cells=512");
        assert_eq!(shown(&session, 20), "LOST (88%)");
    }

    #[test]
    fn what_is_complete_says_so_in_any_width() {
        let mut session = Session::new(Header { probes: vec!["syscalls".to_owned()], ..Header::default() });
        session.ledger.counted = 40;
        let (forms, _) = balance(&session, 2);
        assert_eq!(forms, ["complete, 42 calls counted, 0 lost", "complete, 0 lost", "complete"]);
    }
}
