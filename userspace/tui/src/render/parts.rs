//! Lines, headings and tables.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    palette::{Look, Tone},
    shown::Table,
    tables::{Column, TableState, first_shown},
};

/// Text and how it stands out.
pub type Span<'a> = (&'a str, Tone);

/// Writes a text; the column after it. Nothing is written outside of the area.
pub fn text(buf: &mut Buffer, area: Rect, x: u16, text: &str, style: Style) -> u16 {
    if area.height == 0 || x >= area.right() || text.is_empty() {
        return x;
    }
    buf.set_stringn(x, area.y, text, usize::from(area.right() - x), style).0
}

/// Writes spans one after another on the first line of an area; the column after them.
pub fn line(buf: &mut Buffer, look: Look, area: Rect, spans: &[Span<'_>]) -> u16 {
    spans.iter().fold(area.x, |x, (words, tone)| text(buf, area, x, words, look.style(*tone)))
}

/// The first of some texts that fits whole, the longest being first: half of a number would mislead.
#[must_use]
pub fn fitting(forms: &[String], area: Rect) -> &str {
    forms.iter().find(|form| form.chars().count() <= usize::from(area.width)).map_or("", String::as_str)
}

/// Words on as many lines as they need and there are; how many they took.
pub fn wrap(buf: &mut Buffer, look: Look, area: Rect, words: &str, tone: Tone) -> u16 {
    let mut used = 0;
    let mut rest = String::new();
    let flush = |used: &mut u16, rest: &mut String, buf: &mut Buffer| {
        if *used < area.height && !rest.is_empty() {
            line(buf, look, row(area, *used), &[(rest.as_str(), tone)]);
            *used += 1;
        }
        rest.clear();
    };
    for word in words.split(' ') {
        if !rest.is_empty() && rest.chars().count() + 1 + word.chars().count() > usize::from(area.width) {
            flush(&mut used, &mut rest, buf);
        }
        if !rest.is_empty() {
            rest.push(' ');
        }
        rest.push_str(word);
    }
    flush(&mut used, &mut rest, buf);
    used
}

/// One line of an area.
#[must_use]
pub fn row(area: Rect, at: u16) -> Rect {
    let left = area.height.saturating_sub(at).min(1);
    Rect { y: area.y.saturating_add(at).min(area.bottom()), height: left, ..area }
}

/// An area without its first lines.
#[must_use]
pub fn below(area: Rect, lines: u16) -> Rect {
    let lines = lines.min(area.height);
    Rect { y: area.y + lines, height: area.height - lines, ..area }
}

/// The first lines of an area.
#[must_use]
pub fn top(area: Rect, lines: u16) -> Rect {
    Rect { height: area.height.min(lines), ..area }
}

/// An area in two, side by side, with a gap of two columns.
#[must_use]
pub fn beside(area: Rect, left: u16) -> (Rect, Rect) {
    let left = left.min(area.width);
    let gap = (area.width - left).min(2);
    let right = Rect { x: area.x + left + gap, width: area.width - left - gap, ..area };
    (Rect { width: left, ..area }, right)
}

/// A heading with a rule to the end of the line; the area below it.
pub fn heading(buf: &mut Buffer, look: Look, area: Rect, title: &str, remark: &str) -> Rect {
    let first = row(area, 0);
    let mut x = line(buf, look, first, &[(title, Tone::Title), (" ", Tone::Plain)]);
    if !remark.is_empty() {
        x = text(buf, first, x, remark, look.style(Tone::Faint));
        x = text(buf, first, x, " ", Style::default());
    }
    while first.height > 0 && x < first.right() {
        x = text(buf, first, x, look.rule(), look.style(Tone::Faint));
    }
    below(area, 1)
}

/// Draws a table; the selected row stands out where a state is given.
pub fn table(buf: &mut Buffer, look: Look, area: Rect, table: &Table, state: Option<&TableState>) {
    if area.height < 2 || area.width < 4 {
        return;
    }
    let height = usize::from(area.height - 1);
    let selected = state.map(|state| state.selected);
    let first = first_shown(selected.unwrap_or(0), height).min(table.rows.len());
    let visible = &table.rows[first..table.rows.len().min(first + height)];
    let cells: Vec<Vec<&str>> =
        visible.iter().map(|row| row.cells.iter().map(|cell| cell.text.as_str()).collect()).collect();
    let widths = fitted(&table.columns, &cells, usize::from(area.width));
    let titles: Vec<String> =
        table.columns.iter().enumerate().map(|(at, it)| title(look, at, it, state)).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let sorted = state.map(|state| state.sort);
    table_line(buf, look, row(area, 0), &table.columns, &widths, &titles, |at| {
        if sorted == Some(at) { Tone::Accent } else { Tone::Faint }
    });
    for (at, cells) in cells.iter().enumerate() {
        let line = row(area, at as u16 + 1);
        let is_selected = selected == Some(first + at);
        if is_selected {
            buf.set_style(line, look.style(Tone::Selected));
        }
        let tone = if is_selected { Tone::Selected } else { Tone::Plain };
        table_line(buf, look, line, &table.columns, &widths, cells, |_| tone);
    }
}

fn title(look: Look, at: usize, column: &Column, state: Option<&TableState>) -> String {
    let Some(state) = state.filter(|state| state.sort == at) else { return column.title.clone() };
    let down = column.number != state.reversed;
    let arrow = match (look.ascii, down) {
        (false, true) => "\u{25be}",
        (false, false) => "\u{25b4}",
        (true, true) => "v",
        (true, false) => "^",
    };
    format!("{}{arrow}", column.title)
}

/// Widths of the columns; 0 for those that there is no room for.
fn fitted(columns: &[Column], cells: &[Vec<&str>], room: usize) -> Vec<usize> {
    let natural = |at: usize| {
        let longest = cells.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
        // One more for the arrow of the column that it is sorted by.
        longest.unwrap_or(0).max(columns[at].title.chars().count() + 1)
    };
    let mut widths: Vec<usize> = (0..columns.len()).map(natural).collect();
    if let Some(first) = widths.first_mut() {
        *first = (*first).max(6);
    }
    let needed = |widths: &[usize]| widths.iter().filter(|it| **it > 0).map(|it| it + 1).sum::<usize>();
    let mut spare: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].spare > 0).collect();
    spare.sort_by_key(|at| columns[*at].spare);
    while needed(&widths) > room + 1 {
        let Some(at) = spare.pop() else { break };
        widths[at] = 0;
    }
    // What still does not fit is cut from names, the longest first.
    while needed(&widths) > room + 1 {
        let names = (0..columns.len()).filter(|at| !columns[*at].number && widths[*at] > 6);
        let Some(longest) = names.max_by_key(|at| widths[*at]) else { break };
        widths[longest] -= 1;
    }
    widths
}

fn table_line(
    buf: &mut Buffer,
    look: Look,
    area: Rect,
    columns: &[Column],
    widths: &[usize],
    cells: &[&str],
    tone: impl Fn(usize) -> Tone,
) {
    let mut x = area.x;
    for (at, cell) in cells.iter().enumerate() {
        let (width, style) = (widths[at], look.style(tone(at)));
        if width == 0 || x >= area.right() {
            continue;
        }
        // Half of a number is another number.
        if columns[at].number && usize::from(area.right() - x) < width.min(cell.chars().count().max(1)) {
            continue;
        }
        let shown: String = cell.chars().take(width).collect();
        let pad = if columns[at].number { width - shown.chars().count() } else { 0 };
        text(buf, area, x + pad as u16, &shown, style);
        x = x.saturating_add(width as u16 + 1);
    }
}
