//! The state of the dashboard: keys and frames go in, actions come out. It knows neither terminal nor files.

mod time;

use std::{collections::BTreeSet, time::Duration};

use model::{
    frame::Frame,
    glance::Glance,
    session::{Header, Session},
};

use super::{
    history::{History, Period},
    keys::{self, Command, Key, View},
    shown::Shown,
    sums::Chosen,
    tables::{Item, TableState},
};

/// The probe that a budget may take out.
const BUDGETED: &str = "mutex";

/// An action for the event loop to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing has changed.
    None,
    /// The screen has changed.
    Draw,
    /// The screen has changed, and may be spoilt.
    DrawAll,
    /// Close the dashboard.
    Quit,
    /// Hand the terminal back for a while.
    Suspend,
    /// Read everything now.
    Frame,
    /// Read the counters in this rhythm.
    Interval(Duration),
    /// Switch a probe, by its place among the facts, on or off.
    Probe(usize, bool),
    /// Write the screen into a file.
    SaveText,
    /// Write the session into a file.
    SaveJson,
}

/// Facts about a probe.
#[derive(Clone, Debug, Default)]
pub struct ProbeFacts {
    /// Name of the probe.
    pub name: String,
    /// One line about the data that it shows.
    pub summary: String,
    /// Its measured cost.
    pub cost: String,
    /// Reason why it cannot be switched while the session runs; `None` if it can be.
    pub fixed: Option<String>,
}

/// Facts that the dashboard gets at the start.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The session's header.
    pub header: Header,
    /// Facts about each probe.
    pub probes: Vec<ProbeFacts>,
    /// The first interval; `None` for a recording.
    pub interval: Option<Duration>,
    /// Preparation that runs before the session begins; `None` if it has begun.
    pub preparing: Option<String>,
}

/// Lengths of the window, ns; the last is everything that is remembered.
pub const WINDOWS_NS: [u64; 9] = [
    0,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    300_000_000_000,
    900_000_000_000,
    u64::MAX,
];
const FIRST_WINDOW: usize = 3;
/// The column that tells what was fought for.
pub const LOCK_ORDER: usize = 2;

/// Rhythms of reading, ms.
const INTERVALS_MS: [u64; 8] = [10, 50, 100, 200, 500, 1000, 2000, 5000];

/// A window that is remembered to be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The period that was marked.
    pub period: Period,
}

/// The whole state.
#[derive(Debug)]
pub struct App {
    /// Facts from the start.
    pub facts: Facts,
    /// Data of the session so far.
    pub history: History,
    /// The view on screen.
    pub view: View,
    /// The screen before the help.
    behind_help: View,
    /// True if numbers are sums since the start, not rates of the window.
    pub cumulated: bool,
    /// Index into [`WINDOWS_NS`].
    pub window: usize,
    /// The end of the window when it is held; `None` follows.
    pub held_ns: Option<u64>,
    /// A and B.
    pub marks: [Option<Mark>; 2],
    /// True if chosen processes are compared, not marks.
    pub versus_processes: bool,
    /// Only rows with this text.
    pub filter: String,
    /// True while the filter is being typed.
    pub typing: bool,
    /// State of each view's table.
    pub tables: [TableState; View::ALL.len()],
    /// Time between readings; `None` for a recording.
    pub interval: Option<Duration>,
    /// Probes that are switched off now.
    pub off: BTreeSet<String>,
    /// Progress of the preparation, before the session begins.
    pub preparing: Option<String>,
    /// Reason why no more frames will come; `None` while they do.
    pub ended: Option<String>,
    /// Findings of the whole session, in sentences.
    pub findings: Vec<String>,
    /// The answer to the last key.
    pub message: Option<String>,
    /// Rows that a page has, as last drawn.
    pub page: usize,
    /// Data that the last preparation has put together.
    pub shown: Shown,
    /// Commands that wait for a frame, because they are about everything that is known.
    put_off: Vec<Command>,
}

impl App {
    /// A dashboard before its first frame. A recording begins with cumulated numbers: those of its report.
    #[must_use]
    pub fn new(facts: Facts, history: History) -> Self {
        let mut tables: [TableState; View::ALL.len()] = std::array::from_fn(|_| TableState::by(3));
        for (view, column) in [
            (View::Processes, 0),
            (View::Help, 0),
            (View::Compare, 1),
            (View::Scheduler, 1),
            (View::Locks, LOCK_ORDER),
            (View::Probes, 0),
        ] {
            tables[view as usize] = TableState::by(column);
        }
        Self {
            cumulated: facts.interval.is_none(),
            interval: facts.interval,
            preparing: facts.preparing.clone(),
            facts,
            history,
            view: View::Overview,
            behind_help: View::Overview,
            window: FIRST_WINDOW,
            held_ns: None,
            marks: [None, None],
            versus_processes: false,
            filter: String::new(),
            typing: false,
            tables,
            off: BTreeSet::new(),
            ended: None,
            findings: Vec::new(),
            message: None,
            page: 10,
            shown: Shown::default(),
            put_off: Vec::new(),
        }
    }

    /// The session has begun.
    pub fn begin(&mut self, header: Header) {
        self.preparing = None;
        self.facts.header = header;
    }

    /// Takes a frame.
    pub fn frame(&mut self, frame: Frame) {
        self.history.push(frame);
    }

    /// Takes what has happened since the last frame.
    pub fn glance(&mut self, glance: Glance) {
        self.history.glance(glance);
    }

    /// Does what has been waiting for a frame, once it is there; what is to be done outside.
    pub fn make_up(&mut self) -> Vec<Action> {
        if self.history.ahead().is_some() {
            return Vec::new();
        }
        let commands = std::mem::take(&mut self.put_off);
        commands.into_iter().map(|command| self.obey(command)).collect()
    }

    /// Nothing more will come.
    pub fn end(&mut self, why: impl Into<String>) {
        self.ended = Some(why.into());
    }

    /// Says something in answer to a key.
    pub fn say(&mut self, message: impl Into<String>) {
        self.message = Some(message.into());
    }

    /// Puts together what is to be drawn.
    pub fn prepare(&mut self) {
        self.shown = Shown::of(self);
        let state = &mut self.tables[self.view as usize];
        let Shown { table, period, .. } = &mut self.shown;
        state.arrange(&mut table.rows, &table.columns, &self.filter);
        if self.view == View::Processes {
            super::shown::as_tree(table, &period.sums, state, &self.filter);
        }
    }

    /// State of the current view's table.
    #[must_use]
    pub fn table(&self) -> &TableState {
        &self.tables[self.view as usize]
    }

    /// The row that is selected.
    #[must_use]
    pub fn selected(&self) -> Option<&Item> {
        self.shown.table.rows.get(self.table().selected).map(|row| &row.of)
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Action {
        let had_message = self.message.take().is_some();
        if self.typing {
            return self.type_filter(key);
        }
        match keys::command(key) {
            Some(command) => self.obey(command),
            None if had_message => Action::Draw,
            None => Action::None,
        }
    }

    fn type_filter(&mut self, key: Key) -> Action {
        match key {
            Key::Char(c) => self.filter.push(c),
            Key::Backspace => drop(self.filter.pop()),
            Key::Enter => self.typing = false,
            Key::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            Key::Ctrl('c') => return Action::Quit,
            Key::Ctrl('z') => return Action::Suspend,
            _ => return Action::None,
        }
        Action::Draw
    }

    fn obey(&mut self, command: Command) -> Action {
        if let Some(action) = self.put_off(command) {
            return action;
        }
        match command {
            Command::Quit => return Action::Quit,
            Command::Suspend => return Action::Suspend,
            Command::Redraw => return Action::DrawAll,
            Command::SaveText => return Action::SaveText,
            Command::SaveJson => return Action::SaveJson,
            Command::SwitchProbe => return self.switch_probe(),
            Command::Faster => return self.change_interval(false),
            Command::Slower => return self.change_interval(true),
            Command::Show(view) => self.show(view),
            Command::NextView => self.show_neighbour(1),
            Command::PreviousView => self.show_neighbour(View::ALL.len() - 1),
            Command::Clear => self.clear(),
            Command::Filter => self.typing = true,
            Command::Choose => self.choose(),
            Command::Versus => self.versus_processes = !self.versus_processes,
            Command::MarkA => self.mark(0),
            Command::MarkB => self.mark(1),
            Command::Cumulate => self.cumulated = !self.cumulated,
            Command::Wider => self.window = (self.window + 1).min(WINDOWS_NS.len() - 1),
            Command::Narrower => self.window = self.window.saturating_sub(1),
            Command::Reset => {
                self.history.reset();
                self.say("cumulated numbers begin anew; the report and the JSON keep everything");
            }
            Command::Sort => {
                let columns = self.shown.table.columns.len();
                self.tables[self.view as usize].next_column(columns);
            }
            Command::Reverse => {
                let table = &mut self.tables[self.view as usize];
                table.reversed = !table.reversed;
            }
            Command::Up | Command::Down | Command::PageUp | Command::PageDown => self.step(command),
            Command::Pause | Command::Back | Command::Forward | Command::Oldest | Command::Newest => {
                self.travel(command);
            }
        }
        Action::Draw
    }

    /// Keeps a command that is about everything there is until that is known, and those that come after it: they are
    /// done in the order of their keys. Who asks for the end a second time gets it at once.
    fn put_off(&mut self, command: Command) -> Option<Action> {
        let of_session = [Command::Reset, Command::SaveJson].contains(&command);
        let of_screen = [Command::MarkA, Command::MarkB, Command::Pause].contains(&command);
        let is_about_all = of_session || of_screen && self.held_ns.is_none();
        let waits = is_about_all && self.history.ahead().is_some();
        let is_behind = !self.put_off.is_empty() && !self.put_off.contains(&Command::Quit);
        if !waits && !is_behind {
            return None;
        }
        self.put_off.push(command);
        Some(if waits { Action::Frame } else { Action::Draw })
    }

    fn show(&mut self, view: View) {
        if view == View::Help && self.view == View::Help {
            self.view = self.behind_help;
            return;
        }
        if view == View::Help {
            self.behind_help = self.view;
        }
        self.view = view;
    }

    fn show_neighbour(&mut self, by: usize) {
        let at = (self.view as usize + by) % View::ALL.len();
        self.show(View::ALL[at]);
    }

    /// Undoes one thing: the help, the filter, the choice.
    fn clear(&mut self) {
        if self.view == View::Help {
            self.view = self.behind_help;
        } else if !self.filter.is_empty() {
            self.filter.clear();
        } else if !self.history.chosen().is_empty() {
            self.history.choose(Chosen::new());
            self.say("all processes");
        }
    }

    fn choose(&mut self) {
        let Some(Item::Process(key)) = self.selected().cloned() else {
            self.say("Enter chooses processes in the view Processes (key 6)");
            return;
        };
        let mut chosen = self.history.chosen().clone();
        if !chosen.remove(&key) {
            chosen.insert(key);
        }
        self.history.choose(chosen);
    }

    fn mark(&mut self, which: usize) {
        let period = self.window_period();
        if period.sums.span_ns == 0 {
            self.say("nothing to mark yet");
            return;
        }
        let name = ["A", "B"][which];
        let (from, to) = (period.from_ns, period.to_ns);
        self.marks[which] = Some(Mark { period });
        let span = model::units::clock(from);
        self.say(format!("{name} is {span} to {}; 5 compares", model::units::clock(to)));
    }

    fn step(&mut self, command: Command) {
        let page = self.page.max(1) as isize;
        let by = match command {
            Command::Up => -1,
            Command::Down => 1,
            Command::PageUp => -page,
            _ => page,
        };
        self.tables[self.view as usize].step(by);
    }

    fn travel(&mut self, command: Command) {
        let now = self.end_ns();
        self.held_ns = match command {
            Command::Pause if self.held_ns.is_some() => None,
            Command::Newest => None,
            Command::Back => Some(self.history.step(now, false)),
            Command::Forward => Some(self.history.step(now, true)),
            Command::Oldest => Some(self.history.step(0, false)),
            _ => Some(now),
        };
    }

    /// Asks for the selected probe to be switched.
    fn switch_probe(&mut self) -> Action {
        let Some(Item::Probe(at)) = self.selected().cloned() else {
            self.say("t switches the selected probe in the view Probes (key 7)");
            return Action::Draw;
        };
        let probe = &self.facts.probes[at];
        let runs = self.history.outline().header.probes.contains(&probe.name);
        let refusal = match &probe.fixed {
            _ if self.interval.is_none() || self.ended.is_some() || self.preparing.is_some() => {
                Some("nothing is being traced")
            }
            Some(why) => Some(why.as_str()),
            None if !runs => Some("this session was started without it; choose it with --probes"),
            None => None,
        };
        if let Some(why) = refusal {
            self.message = Some(format!("cannot switch {}: {why}", probe.name));
            return Action::Draw;
        }
        let is_out = is_over_budget(&self.history.outline(), &probe.name);
        Action::Probe(at, self.off.contains(&probe.name) || is_out)
    }

    /// Hears what has become of a probe that was to be switched.
    pub fn switched(&mut self, name: String, done: Result<bool, String>) {
        match done {
            Ok(true) => {
                self.say(format!(
                    "{name} is on again; nothing that it would have seen meanwhile is in the numbers"
                ));
                self.off.remove(&name);
            }
            Ok(false) => {
                self.say(format!(
                    "{name} is off: nothing that it would see is counted; t switches it on again"
                ));
                self.off.insert(name);
            }
            Err(why) => self.say(why),
        }
    }

    fn change_interval(&mut self, slower: bool) -> Action {
        let (Some(interval), None) = (self.interval, &self.ended) else {
            self.say("nothing is being read: the interval cannot be changed");
            return Action::Draw;
        };
        let now = interval.as_millis() as u64;
        let next = if slower {
            INTERVALS_MS.iter().find(|ms| **ms > now)
        } else {
            INTERVALS_MS.iter().rfind(|ms| **ms < now)
        };
        let Some(ms) = next else {
            self.say("no further in this direction");
            return Action::Draw;
        };
        let interval = Duration::from_millis(*ms);
        self.interval = Some(interval);
        Action::Interval(interval)
    }
}

/// Reports whether a probe is detached because it cost more than its budget.
#[must_use]
pub fn is_over_budget(session: &Session, probe: &str) -> bool {
    let traps = session.overhead.traps.as_ref();
    probe == BUDGETED && traps.is_some_and(|traps| traps.detached_at_ns.is_some())
}

#[cfg(test)]
mod tests;
