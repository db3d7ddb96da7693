//! Parts that every table has: an order, a selected row, a part that is on screen, a filter.

use std::cmp::Ordering;

use model::{
    events::EventName,
    frame::{Call, ProcessKey},
};

use super::sums::LockKey;

/// A cell: what is shown, and what it is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Text as shown.
    pub text: String,
    /// Its weight; `None` comes last in either direction. Cells without any are sorted by their text.
    pub weight: Option<f64>,
}

impl Cell {
    /// A cell with a name.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), weight: None }
    }

    /// A cell with a number.
    #[must_use]
    pub fn number(text: impl Into<String>, weight: f64) -> Self {
        Self { text: text.into(), weight: Some(weight) }
    }

    /// A number that there may not be.
    #[must_use]
    pub fn maybe(number: Option<(String, f64)>) -> Self {
        match number {
            Some((text, weight)) => Self::number(text, weight),
            None => Self::text("-"),
        }
    }
}

/// The thing that a row stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A system call.
    Call(Call),
    /// A kind of event.
    Event(EventName),
    /// A lock of a process, or a shared one.
    Lock(LockKey),
    /// A target process.
    Process(ProcessKey),
    /// A pair of distributions, by its place in the comparison.
    Pair(usize),
    /// A probe, by its place in the list of all.
    Probe(usize),
    /// Nothing that could be looked at more closely.
    Other,
}

/// A row: what it stands for, and its cells. The text of the first one is its identity, or the key of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The thing that it stands for.
    pub of: Item,
    /// One cell for each column.
    pub cells: Vec<Cell>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading of the column.
    pub title: String,
    /// Numbers stand right and are sorted from the largest down.
    pub number: bool,
    /// Those with the highest number are left out first where there is no room.
    pub spare: u8,
}

impl Column {
    /// A column of names.
    #[must_use]
    pub fn name(title: &str) -> Self {
        Self { title: title.to_owned(), number: false, spare: 0 }
    }

    /// A column of numbers.
    #[must_use]
    pub fn number(title: &str, spare: u8) -> Self {
        Self { title: title.to_owned(), number: true, spare }
    }
}

/// State of a table: order and selection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableState {
    /// The column that it is sorted by.
    pub sort: usize,
    /// True if the order is reversed.
    pub reversed: bool,
    /// The selected row.
    pub selected: usize,
    /// True once the user has moved the selection: it then stays with its row, even if the row moves.
    touched: bool,
    row: Option<String>,
}

impl TableState {
    /// Sorted by a column.
    #[must_use]
    pub const fn by(sort: usize) -> Self {
        Self { sort, reversed: false, selected: 0, touched: false, row: None }
    }

    /// Sorts, leaves out what the filter does not hold, and keeps the selection inside.
    pub fn arrange(&mut self, rows: &mut Vec<Row>, columns: &[Column], filter: &str) {
        let wanted = filter.to_lowercase();
        rows.retain(|row| row.cells.iter().any(|cell| cell.text.to_lowercase().contains(&wanted)));
        self.sort = self.sort.min(columns.len().saturating_sub(1));
        let numeric = columns.get(self.sort).is_some_and(|column| column.number);
        rows.sort_by(|left, right| {
            let (left, right) = (&left.cells[self.sort], &right.cells[self.sort]);
            order(left, right, numeric, self.reversed)
        });
        self.settle(rows);
    }

    /// Finds the selected row again.
    pub fn settle(&mut self, rows: &[Row]) {
        let name = |row: &Row| match row.of {
            // Rows of several processes have no id.
            Item::Process(key) => Some(format!("{} {}", key.pid, key.joined_ns)),
            _ => row.cells.first().map(|cell| cell.text.clone()),
        };
        let place = |wanted: &String| rows.iter().position(|row| name(row).as_ref() == Some(wanted));
        self.selected = match self.row.as_ref().and_then(place) {
            Some(at) => at,
            None => self.selected.min(rows.len().saturating_sub(1)),
        };
        self.row = rows.get(self.selected).filter(|_| self.touched).and_then(name);
    }

    /// Moves the selection; the end of the table stops it when it is drawn.
    pub fn step(&mut self, by: isize) {
        self.selected = self.selected.saturating_add_signed(by);
        self.touched = true;
        self.row = None;
    }

    /// The next column.
    pub fn next_column(&mut self, columns: usize) {
        self.sort = if self.sort + 1 >= columns { 0 } else { self.sort + 1 };
        self.reversed = false;
    }
}

fn order(left: &Cell, right: &Cell, numeric: bool, reversed: bool) -> Ordering {
    let natural = match (left.weight, right.weight) {
        (Some(left), Some(right)) => {
            let ascending = left.total_cmp(&right);
            if numeric { ascending.reverse() } else { ascending }
        }
        (Some(_), None) => return Ordering::Less,
        (None, Some(_)) => return Ordering::Greater,
        (None, None) => left.text.cmp(&right.text),
    };
    if reversed { natural.reverse() } else { natural }
}

/// The first row that is on screen, so that the selected one is.
#[must_use]
pub fn first_shown(selected: usize, height: usize) -> usize {
    if selected < height { 0 } else { selected + 1 - height }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> (Vec<Row>, Vec<Column>) {
        let row = |name: &str, count: Option<f64>| Row {
            of: Item::Other,
            cells: vec![Cell::text(name), Cell::maybe(count.map(|count| (count.to_string(), count)))],
        };
        let rows = vec![row("read", Some(5.0)), row("exit", None), row("Write", Some(10.0))];
        (rows, vec![Column::name("call"), Column::number("calls", 0)])
    }

    fn arranged(mut state: TableState, filter: &str) -> String {
        let (mut rows, columns) = table();
        state.arrange(&mut rows, &columns, filter);
        rows.iter().map(|row| row.cells[0].text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn numbers_descend_names_ascend_and_the_unknown_is_last() {
        assert_eq!(arranged(TableState::by(1), ""), "Write read exit");
        assert_eq!(arranged(TableState { reversed: true, ..TableState::by(1) }, ""), "read Write exit");
        assert_eq!(arranged(TableState::by(0), ""), "Write exit read");
        assert_eq!(arranged(TableState::by(9), ""), "Write read exit");
    }

    #[test]
    fn a_filter_holds_in_any_case_and_in_any_column() {
        assert_eq!(arranged(TableState::by(1), "wri"), "Write");
        assert_eq!(arranged(TableState::by(1), "5"), "read");
        assert_eq!(arranged(TableState::by(1), "nothing"), "");
    }

    #[test]
    fn a_selection_that_was_moved_stays_with_its_row() {
        let (mut rows, columns) = table();
        let mut state = TableState::by(1);
        state.arrange(&mut rows, &columns, "");
        state.step(1);
        state.arrange(&mut rows, &columns, "");
        rows[0].cells[1].weight = Some(1.0);
        state.arrange(&mut rows, &columns, "");
        assert_eq!((state.selected, rows[0].cells[0].text.as_str()), (0, "read"));
    }

    #[test]
    fn processes_without_an_id_are_selected_apart() {
        let row = |number, count: f64| Row {
            of: Item::Process(ProcessKey { pid: 0, joined_ns: number }),
            cells: vec![Cell::text("-"), Cell::number(count.to_string(), count)],
        };
        let (mut rows, columns) = (vec![row(1, 9.0), row(2, 5.0)], table().1);
        let mut state = TableState::by(1);
        state.arrange(&mut rows, &columns, "");
        state.step(1);
        for _ in 0..2 {
            state.arrange(&mut rows, &columns, "");
            assert_eq!(rows[state.selected], row(2, 5.0));
        }
    }

    #[test]
    fn the_selection_stays_inside() {
        let (mut rows, columns) = table();
        let mut state = TableState { selected: 100, ..TableState::by(0) };
        state.arrange(&mut rows, &columns, "");
        assert_eq!(state.selected, 2);
        state.step(-5);
        assert_eq!(state.selected, 0);
        state.next_column(2);
        state.next_column(2);
        assert_eq!(state.sort, 0);
        assert_eq!((first_shown(4, 5), first_shown(5, 5)), (0, 1));
    }
}
