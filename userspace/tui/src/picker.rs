//! Choice of a process: a list with the CPU share of each.

use std::{
    collections::HashMap,
    io,
    time::{Duration, Instant},
};

use ratatui::buffer::Buffer;

use super::{
    decode::Decoder,
    keys::Key,
    palette::{Depth, Look, Tone},
    render::parts,
    shown::{self, Table},
    signals::{self, Signals, Wish},
    tables::{Cell, Column, Item, Row, TableState},
    terminal::{self, Terminal},
    wait,
};

/// A process that could be traced.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Process id, as `/proc` shows it.
    pub pid: u32,
    /// Name of the process.
    pub comm: String,
    /// Number of threads.
    pub threads: u32,
    /// CPU time that it has used so far, ns.
    pub cpu_ns: u64,
}

/// Time between readings of the list.
const REFRESH: Duration = Duration::from_secs(1);

/// The list and what is done with it.
#[derive(Debug, Default)]
struct Picker {
    table: Table,
    state: TableState,
    typed: String,
    entries: Vec<Entry>,
    /// Shares of a CPU by process, since the last reading.
    shares: HashMap<u32, f64>,
}

/// Result of a key.
#[derive(Debug, PartialEq, Eq)]
enum Picked {
    /// No choice yet.
    Not,
    /// The user left without a choice.
    None,
    /// The process with this id.
    Process(u32),
    /// Stop for a while.
    Suspend,
}

impl Picker {
    fn new() -> Self {
        let columns = vec![
            Column::name("process"),
            Column::number("pid", 0),
            Column::number("threads", 1),
            Column::number("CPU", 0),
            Column::number("CPU time", 2),
        ];
        Self { table: Table { columns, rows: Vec::new() }, state: TableState::by(3), ..Self::default() }
    }

    fn refresh(&mut self, entries: Vec<Entry>, elapsed: Duration) {
        let before: HashMap<u32, u64> = self.entries.iter().map(|entry| (entry.pid, entry.cpu_ns)).collect();
        let share = |entry: &Entry| {
            let used = entry.cpu_ns.checked_sub(*before.get(&entry.pid)?)?;
            Some((entry.pid, used as f64 / elapsed.as_nanos().max(1) as f64))
        };
        self.shares = entries.iter().filter_map(share).collect();
        self.entries = entries;
    }

    fn prepare(&mut self) {
        let row = |entry: &Entry| {
            let share = self.shares.get(&entry.pid).copied();
            Row {
                of: Item::Other,
                cells: vec![
                    Cell::text(format!("{} {}", shown::name(&entry.comm), entry.pid)),
                    Cell::number(entry.pid.to_string(), f64::from(entry.pid)),
                    Cell::number(entry.threads.to_string(), f64::from(entry.threads)),
                    Cell::maybe(share.map(|share| (format!("{:.1}%", share * 100.0), share))),
                    Cell::number(model::units::time(entry.cpu_ns), entry.cpu_ns as f64),
                ],
            }
        };
        self.table.rows = self.entries.iter().map(row).collect();
        self.state.arrange(&mut self.table.rows, &self.table.columns, &self.typed);
    }

    fn key(&mut self, key: Key, page: isize) -> Picked {
        match key {
            Key::Ctrl('c') => return Picked::None,
            Key::Ctrl('z') => return Picked::Suspend,
            Key::Esc if self.typed.is_empty() => return Picked::None,
            Key::Esc => self.typed.clear(),
            Key::Enter => return self.selected().map_or(Picked::Not, Picked::Process),
            Key::Char(c) => self.typed.push(c),
            Key::Backspace => drop(self.typed.pop()),
            Key::Up => self.state.step(-1),
            Key::Down => self.state.step(1),
            Key::PageUp => self.state.step(-page),
            Key::PageDown => self.state.step(page),
            Key::Tab => self.state.next_column(self.table.columns.len()),
            _ => {}
        }
        Picked::Not
    }

    fn selected(&self) -> Option<u32> {
        self.table.rows.get(self.state.selected)?.cells[1].text.parse().ok()
    }

    fn draw(&self, look: Look, buf: &mut Buffer) {
        let area = buf.area;
        let typed = model::text::printable(&self.typed);
        parts::line(
            buf,
            look,
            area,
            &[("Which process? ", Tone::Title), (&typed, Tone::Accent), ("_", Tone::Accent)],
        );
        let words = "type to filter, arrows select, Enter traces, Tab sorts by the next column, Esc leaves";
        parts::line(buf, look, parts::row(area, 1), &[(words, Tone::Faint)]);
        parts::table(buf, look, parts::below(area, 2), &self.table, Some(&self.state));
    }
}

/// Lets the user choose one of the processes that `list` returns; `None` for none.
///
/// # Errors
/// If the terminal cannot be used.
pub fn pick(look: Look, mut list: impl FnMut() -> Vec<Entry>) -> io::Result<Option<u32>> {
    let mut signals = Signals::listen()?;
    let mut terminal = Terminal::take_over(look.depth != Depth::None)?;
    let (mut picker, mut decoder, mut read) = (Picker::new(), Decoder::default(), Instant::now());
    picker.refresh(list(), Duration::ZERO);
    loop {
        if terminal.is_idle() {
            let mut screen = Buffer::empty(terminal.size());
            picker.prepare();
            picker.draw(look, &mut screen);
            terminal.show(screen)?;
        }
        let ready = wait::wait(&terminal, &signals, None, Some(REFRESH.saturating_sub(read.elapsed())))?;
        if ready.writable {
            terminal.flush()?;
        }
        for wish in signals.wishes() {
            match wish {
                Wish::End => return Ok(None),
                Wish::Resize => terminal.forget(),
                Wish::Resume => terminal.enter()?,
                Wish::Suspend => {
                    terminal.leave();
                    signals::stop_here()?;
                    terminal.enter()?;
                }
            }
        }
        let keys = if ready.keys { decoder.decode(&terminal::typed()?) } else { Vec::new() };
        for key in keys {
            match picker.key(key, isize::from(terminal.size().height as i16 / 2)) {
                Picked::Not => picker.prepare(),
                Picked::None => return Ok(None),
                Picked::Process(pid) => return Ok(Some(pid)),
                Picked::Suspend => signals::suspend_job()?,
            }
        }
        if read.elapsed() >= REFRESH {
            picker.refresh(list(), read.elapsed());
            read = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: u32, comm: &str, cpu_ms: u64) -> Entry {
        Entry { pid, comm: comm.to_owned(), threads: 1, cpu_ns: cpu_ms * 1_000_000 }
    }

    fn picker() -> Picker {
        let mut picker = Picker::new();
        picker.refresh(
            vec![entry(1, "init", 500), entry(20, "postgres", 100), entry(30, "e\x1bvil", 0)],
            REFRESH,
        );
        picker.refresh(
            vec![entry(1, "init", 500), entry(20, "postgres", 350), entry(30, "e\x1bvil", 10)],
            REFRESH,
        );
        picker.prepare();
        picker
    }

    #[test]
    fn the_busiest_stands_first_and_enter_takes_it() {
        let mut picker = picker();
        assert_eq!(picker.table.rows[0].cells[3].text, "25.0%");
        assert_eq!(picker.key(Key::Enter, 5), Picked::Process(20));
        picker.key(Key::Down, 5);
        picker.prepare();
        assert_eq!(picker.key(Key::Enter, 5), Picked::Process(30));
    }

    #[test]
    fn typing_filters_and_esc_undoes_it_before_it_leaves() {
        let mut picker = picker();
        "INI".chars().for_each(|c| assert_eq!(picker.key(Key::Char(c), 5), Picked::Not));
        picker.prepare();
        assert_eq!((picker.table.rows.len(), picker.selected()), (1, Some(1)));
        assert_eq!(picker.key(Key::Esc, 5), Picked::Not);
        assert_eq!(picker.key(Key::Esc, 5), Picked::None);
        assert_eq!(picker.key(Key::Ctrl('c'), 5), Picked::None);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let look = Look { depth: Depth::None, ascii: true };
        let mut screen = Buffer::empty(ratatui::layout::Rect::new(0, 0, 60, 10));
        picker().draw(look, &mut screen);
        let text = super::super::render::plain_text(&screen);
        assert!(text.contains("e\\x1bvil 30") && !text.contains('\x1b'), "{text}");
    }
}
