//! One free function per view, and what stands around all of them.

mod charts;
mod chrome;
mod compare;
mod help;
mod locks;
mod overview;
pub mod parts;
mod probes;
mod processes;
mod scheduler;
mod syscalls;
#[cfg(test)]
mod tests;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    app::App,
    keys::View,
    palette::{Look, Tone},
};

/// Smaller than this nothing can be laid out.
const SMALLEST: (u16, u16) = (40, 10);

/// Rows of the table that a screen of this height has room for, about.
#[must_use]
pub fn page(height: u16) -> usize {
    usize::from(height.saturating_sub(8)).max(1)
}

/// Reports whether a screen of this size shows findings.
#[must_use]
pub fn has_findings(app: &App, screen: Rect) -> bool {
    let body = Rect { height: screen.height.saturating_sub(chrome::LINES), ..screen };
    app.view == View::Overview && overview::is_roomy(body)
}

/// Draws the whole screen. The application has been prepared.
pub fn draw(app: &App, look: Look, buf: &mut Buffer) {
    let area = buf.area;
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let words = format!("too small: {}x{}, needs {}x{}", area.width, area.height, SMALLEST.0, SMALLEST.1);
        parts::wrap(buf, look, area, &words, Tone::Alarm);
        return;
    }
    let body = chrome::draw(app, look, buf, area);
    if let Some(words) = app.preparing.as_ref().filter(|_| app.view != View::Help) {
        parts::wrap(buf, look, body, words, Tone::Accent);
        return;
    }
    match app.view {
        View::Overview => overview::draw(app, look, buf, body),
        View::Syscalls => syscalls::draw(app, look, buf, body),
        View::Scheduler => scheduler::draw(app, look, buf, body),
        View::Locks => locks::draw(app, look, buf, body),
        View::Compare => compare::draw(app, look, buf, body),
        View::Processes => processes::draw(app, look, buf, body),
        View::Probes => probes::draw(app, look, buf, body),
        View::Help => help::draw(app, look, buf, body),
    }
}

/// The text of a screen, for a file.
#[must_use]
pub fn plain_text(buf: &Buffer) -> String {
    let area: Rect = buf.area;
    let mut screen = String::new();
    for y in area.top()..area.bottom() {
        let line: String = (area.left()..area.right()).map(|x| buf[(x, y)].symbol()).collect();
        screen += line.trim_end();
        screen.push('\n');
    }
    screen
}
