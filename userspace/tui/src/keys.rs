//! Keys as data: the decoder, the footer, the help and the README's table all read this one list.

/// A key as it was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A printable character.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// The Enter key.
    Enter,
    /// The Escape key.
    Esc,
    /// The tabulator key.
    Tab,
    /// Shift and tabulator.
    BackTab,
    /// Deletes to the left.
    Backspace,
    /// The arrow upwards.
    Up,
    /// The arrow downwards.
    Down,
    /// The arrow to the left.
    Left,
    /// The arrow to the right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// A function key, by its number.
    F(u8),
}

/// A view of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Budget, rates and findings at a glance.
    Overview,
    /// System calls and their latencies.
    Syscalls,
    /// Waiting for a CPU.
    Scheduler,
    /// Locks and their waits.
    Locks,
    /// Two things side by side.
    Compare,
    /// Targets and their threads.
    Processes,
    /// Attached probes and their cost.
    Probes,
    /// List of all keys.
    Help,
}

impl View {
    /// Every view, in the order of their keys.
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Syscalls,
        Self::Scheduler,
        Self::Locks,
        Self::Compare,
        Self::Processes,
        Self::Probes,
        Self::Help,
    ];

    /// Title of the view.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Syscalls => "Syscalls",
            Self::Scheduler => "Scheduler",
            Self::Locks => "Locks",
            Self::Compare => "Compare",
            Self::Processes => "Processes",
            Self::Probes => "Probes",
            Self::Help => "Help",
        }
    }
}

/// A command that a key gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Show a view.
    Show(View),
    /// The view to the right.
    NextView,
    /// The view to the left.
    PreviousView,
    /// Close the dashboard.
    Quit,
    /// Hand the terminal back to the shell for a while.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Hold the screen, or follow again.
    Pause,
    /// One step back in time.
    Back,
    /// One step forward in time.
    Forward,
    /// As far back as is remembered.
    Oldest,
    /// To the newest, and follow.
    Newest,
    /// A longer window.
    Wider,
    /// A shorter window.
    Narrower,
    /// Rates of the window, or sums since the start.
    Cumulate,
    /// The row above.
    Up,
    /// The row below.
    Down,
    /// A page of rows up.
    PageUp,
    /// A page of rows down.
    PageDown,
    /// The next column to sort by.
    Sort,
    /// The other direction.
    Reverse,
    /// Type a filter.
    Filter,
    /// Take the selected row.
    Choose,
    /// Undo filter, choice, help: one at a time.
    Clear,
    /// Remember the window as A.
    MarkA,
    /// Remember the window as B.
    MarkB,
    /// Switch between the comparison of marks and that of processes.
    Versus,
    /// The selected probe off, or on again.
    SwitchProbe,
    /// Read more often.
    Faster,
    /// Read less often.
    Slower,
    /// Cumulated numbers begin anew.
    Reset,
    /// The screen as text into a file.
    SaveText,
    /// The session as JSON into a file.
    SaveJson,
}

/// Some keys, what they do, and how they are shown.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Any of these.
    pub keys: &'static [Key],
    /// Name of the keys in help and README.
    pub shown: &'static str,
    /// One or two words for the footer, where there is room for it.
    pub footer: Option<&'static str>,
    /// A sentence for help and README.
    pub help: &'static str,
    /// The command that the keys give.
    pub command: Command,
}

const fn bind(
    keys: &'static [Key],
    shown: &'static str,
    footer: Option<&'static str>,
    help: &'static str,
    command: Command,
) -> Binding {
    Binding { keys, shown, footer, help, command }
}

/// Every key. Footers take as many as fit, in this order.
#[rustfmt::skip]
pub const BINDINGS: &[Binding] = &[
    bind(&[Key::Char('q'), Key::Ctrl('c')], "q", Some("quit"), "End the session, free the terminal and print the report (Ctrl-C too)", Command::Quit),
    bind(&[Key::Char('?'), Key::Char('h'), Key::F(1)], "?", Some("help"), "Show this help; again or Esc goes back (h and F1 too)", Command::Show(View::Help)),
    bind(&[Key::Char('1')], "1", None, "Overview: where the time goes, rates, top calls and locks", Command::Show(View::Overview)),
    bind(&[Key::Char('2')], "2", None, "Syscalls: counts, errors, latencies; distribution of the selected call", Command::Show(View::Syscalls)),
    bind(&[Key::Char('3')], "3", None, "Scheduler: waiting for a CPU over time, wakers, switches, CPUs", Command::Show(View::Scheduler)),
    bind(&[Key::Char('4')], "4", None, "Locks: by time waited; spinning and sleeping, holders, stacks", Command::Show(View::Locks)),
    bind(&[Key::Char('5')], "5", None, "Compare: marks A and B, or two chosen processes, side by side", Command::Show(View::Compare)),
    bind(&[Key::Char('6')], "6", None, "Processes: the targets' tree, threads; CPU 100% is one CPU, as in top", Command::Show(View::Processes)),
    bind(&[Key::Char('7')], "7", None, "Probes: what is attached, what it costs, what was lost", Command::Show(View::Probes)),
    bind(&[Key::Tab], "Tab", None, "The next view", Command::NextView),
    bind(&[Key::BackTab], "Shift-Tab", None, "The previous view", Command::PreviousView),
    bind(&[Key::Char(' ')], "Space", Some("pause"), "Hold the screen while tracing goes on; again follows", Command::Pause),
    bind(&[Key::Left], "Left", Some("back"), "One frame back in time (pauses)", Command::Back),
    bind(&[Key::Right], "Right", None, "One frame forward in time", Command::Forward),
    bind(&[Key::Home], "Home", None, "As far back as is remembered", Command::Oldest),
    bind(&[Key::End], "End", None, "To the newest frame, and follow", Command::Newest),
    bind(&[Key::Char('+'), Key::Char('=')], "+", Some("window"), "A longer window (= too)", Command::Wider),
    bind(&[Key::Char('-')], "-", None, "A shorter window", Command::Narrower),
    bind(&[Key::Char('c')], "c", Some("rates/sums"), "Rates within the window, or numbers cumulated since the start", Command::Cumulate),
    bind(&[Key::Up, Key::Char('k')], "Up", None, "The row above (k too)", Command::Up),
    bind(&[Key::Down, Key::Char('j')], "Down", None, "The row below (j too)", Command::Down),
    bind(&[Key::PageUp], "PgUp", None, "A page of rows up", Command::PageUp),
    bind(&[Key::PageDown], "PgDn", None, "A page of rows down", Command::PageDown),
    bind(&[Key::Char('s')], "s", Some("sort"), "Sort by the next column", Command::Sort),
    bind(&[Key::Char('r')], "r", None, "Reverse the order", Command::Reverse),
    bind(&[Key::Char('/')], "/", Some("filter"), "Show only rows that hold a text; Enter keeps it, Esc drops it", Command::Filter),
    bind(&[Key::Enter], "Enter", Some("choose"), "Processes: narrow every view to the chosen ones (again: not any more)", Command::Choose),
    bind(&[Key::Esc], "Esc", None, "Drop the filter, then the choice of processes", Command::Clear),
    bind(&[Key::Char('a')], "a", Some("mark A"), "Remember the window as A, to compare", Command::MarkA),
    bind(&[Key::Char('b')], "b", None, "Remember the window as B", Command::MarkB),
    bind(&[Key::Char('v')], "v", None, "Compare: marks, or the first two chosen processes", Command::Versus),
    bind(&[Key::Char('t')], "t", None, "Probes: detach the selected one, or attach it again; the ledger tells", Command::SwitchProbe),
    bind(&[Key::Char('<')], "<", None, "Read the counters more often", Command::Faster),
    bind(&[Key::Char('>')], ">", None, "Read the counters less often", Command::Slower),
    bind(&[Key::Char('R')], "R", None, "Reset: cumulated numbers begin anew here; report and JSON keep all", Command::Reset),
    bind(&[Key::Char('w')], "w", Some("save"), "Write what is on screen into a text file here", Command::SaveText),
    bind(&[Key::Char('e')], "e", Some("JSON"), "Write the session so far into a JSON file here", Command::SaveJson),
    bind(&[Key::Ctrl('l')], "Ctrl-L", None, "Draw everything anew", Command::Redraw),
    bind(&[Key::Ctrl('z')], "Ctrl-Z", None, "Suspend; `fg` resumes", Command::Suspend),
];

/// The command of a key.
#[must_use]
pub fn command(key: Key) -> Option<Command> {
    BINDINGS.iter().find(|binding| binding.keys.contains(&key)).map(|binding| binding.command)
}

/// The table for the README.
#[must_use]
pub fn markdown() -> String {
    let mut table = "| key | does |\n| --- | --- |\n".to_owned();
    for binding in BINDINGS {
        table += &format!("| `{}` | {} |\n", binding.shown, binding.help);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::*;

    #[test]
    fn no_key_does_two_things_and_no_command_has_two_entries() {
        let keys: Vec<Key> = BINDINGS.iter().flat_map(|binding| binding.keys).copied().collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        let commands: HashSet<Command> = BINDINGS.iter().map(|binding| binding.command).collect();
        assert_eq!(commands.len(), BINDINGS.len());
        for view in View::ALL {
            assert!(commands.contains(&Command::Show(view)), "{view:?} has no key");
        }
    }

    #[test]
    fn every_key_is_explained() {
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && binding.help.len() > 8 && !binding.shown.is_empty());
            assert!(binding.help.chars().count() <= 70, "{} does not fit a line", binding.shown);
        }
        assert_eq!(command(Key::Ctrl('c')), Some(Command::Quit));
        assert_eq!(command(Key::Char('z')), None);
    }

    const BEGIN: &str = "<!-- keys: generated from userspace/tui/src/keys.rs -->\n";
    const END: &str = "<!-- end of keys -->";

    #[test]
    fn the_stored_table_in_the_readme_is_this_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
        let text = fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once(BEGIN).expect("README.md has lost the mark of the key table");
        let (table, tail) = rest.split_once(END).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, format!("{head}{BEGIN}{}{END}{tail}", markdown())).unwrap();
        } else {
            assert!(table == markdown(), "README.md: UPDATE_GOLDEN=1 writes the table of keys anew");
        }
    }
}
