//! Lines that fit: colour, wrapping, tables.

pub use model::text::name as shown_name;

/// Narrower than this nothing can be laid out: lines grow longer than the terminal instead.
const NARROWEST: usize = 60;
/// From this width on columns stand two blanks apart.
const ROOMY: usize = 100;

/// Layout of lines: width and colours.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    width: usize,
    colour: bool,
}

/// Emphasis of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// The heading of a section.
    Title,
    /// Less important than what stands around it.
    Faint,
    /// Something is wrong with the numbers.
    Alarm,
}

/// A line of a table and what is to be said about it below.
#[derive(Debug)]
pub struct Row {
    /// The first cell is a name and stands left, the others right.
    pub cells: Vec<String>,
    /// Remarks, printed below the line.
    pub notes: Vec<String>,
}

impl Layout {
    /// A layout for a terminal.
    #[must_use]
    pub fn new(width: usize, colour: bool) -> Self {
        Self { width: width.max(NARROWEST), colour }
    }

    /// The columns that a line may take.
    #[must_use]
    pub fn width(self) -> usize {
        self.width
    }

    /// Blanks between columns.
    #[must_use]
    pub fn gap(self) -> usize {
        if self.width >= ROOMY { 2 } else { 1 }
    }

    /// The text in a tone, where colours are wanted.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Title => "1",
            Tone::Faint => "2",
            Tone::Alarm => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Words on as many lines as they need; the first begins with `head`, the others are indented as far.
    #[must_use]
    pub fn wrap(self, head: &str, words: &str) -> String {
        let indent = " ".repeat(length(head));
        let mut lines = vec![head.to_owned()];
        let mut fresh = true;
        for word in words.split(' ') {
            let line = lines.last().map_or(0, |line| length(line));
            if !fresh && line + 1 + length(word) > self.width {
                lines.push(indent.clone());
                fresh = true;
            }
            if let Some(line) = lines.last_mut() {
                if !fresh {
                    line.push(' ');
                }
                line.push_str(word);
            }
            fresh = false;
        }
        lines.join("\n") + "\n"
    }

    /// A table. A name that is longer than the room that the numbers leave gets a line of its own.
    #[must_use]
    pub fn table(self, header: &[&str], rows: &[Row]) -> String {
        let cell_width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.cells.get(column)).map(|cell| length(cell));
            cells.max().unwrap_or(0).max(length(header[column]))
        };
        let widths: Vec<usize> = (1..header.len()).map(cell_width).collect();
        let numbers: usize = widths.iter().sum();
        let gap = " ".repeat(self.gap());
        let gaps = gap.len() * widths.len();
        let name = cell_width(0).min(self.width.saturating_sub(numbers + gaps)).max(length(header[0]));
        let line = |cells: &[&str]| {
            let mut text = cells.first().map_or(String::new(), |cell| format!("{cell:<name$}"));
            if length(&text) > name {
                text = format!("{text}\n{:name$}", "");
            }
            for (cell, width) in cells.iter().skip(1).zip(&widths) {
                text.push_str(&format!("{gap}{cell:>width$}"));
            }
            text.trim_end().to_owned()
        };
        let mut table = self.paint(Tone::Faint, &line(header)) + "\n";
        for row in rows {
            let cells: Vec<&str> = row.cells.iter().map(String::as_str).collect();
            table.push_str(&line(&cells));
            table.push('\n');
            for note in &row.notes {
                table.push_str(&self.wrap("    ", note));
            }
        }
        table
    }

    /// Number of rows of a table that are left out, and the option that shows them; empty where all are there.
    #[must_use]
    pub fn left_out(self, shown: usize, of: usize) -> String {
        match of - shown {
            0 => String::new(),
            more => self.wrap("", &format!("{more} more are left out; --top {of} shows them")),
        }
    }

    /// Meaning of the mark on a number, if any number has it.
    #[must_use]
    pub fn footnote(self, rows: &[Row], words: &str) -> String {
        let marked = rows.iter().flat_map(|row| &row.cells).any(|cell| cell.ends_with('*'));
        if marked { self.wrap("", &format!("* {words}")) } else { String::new() }
    }
}

/// Characters of a text: those that programs put into names are one column wide, by far most of them.
#[must_use]
pub fn length(text: &str) -> usize {
    text.chars().count()
}

/// The text, with its middle left out where it is longer than the limit: with names of functions and files it is the
/// end that tells them apart.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> String {
    let all = length(text);
    if all <= limit {
        return text.to_owned();
    }
    let head = limit / 4;
    let tail = limit.saturating_sub(head + 2);
    let begin: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(all - tail).collect();
    format!("{begin}..{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Row {
        Row { cells: cells.iter().map(|cell| (*cell).to_owned()).collect(), notes: Vec::new() }
    }

    #[test]
    fn words_are_never_cut_and_lines_never_too_long() {
        let text = Layout::new(60, false).wrap("  lost  ", &"lorem ipsum dolor ".repeat(12));
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("        ")), "{text}");
        assert_eq!(text.split_whitespace().count(), 37);
    }

    #[test]
    fn numbers_stand_right_and_long_names_alone() {
        let long = "i386:clock_nanosleep_time64_and_more_of_it_than_ever_fits";
        let table =
            Layout::new(60, false).table(&["call", "count"], &[row(&["read", "12345"]), row(&[long, "7"])]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1].len(), lines[3].len());
        assert!(lines[1].ends_with(" 12345") && lines[3].ends_with("     7"), "{table}");
        assert_eq!(lines[2], long);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(shortened("abcdefghijkl", 8), "ab..ijkl");
        assert_eq!(shortened("\u{e4}".repeat(99).as_str(), 8), "\u{e4}\u{e4}..\u{e4}\u{e4}\u{e4}\u{e4}");
    }

    #[test]
    fn colours_come_only_when_wanted() {
        assert_eq!(Layout::new(80, false).paint(Tone::Alarm, "x"), "x");
        assert_eq!(Layout::new(80, true).paint(Tone::Alarm, "x"), "\x1b[1;31mx\x1b[0m");
    }
}
