//! Gathers what the kernel side has counted, by process, until a frame is due.

use std::collections::{BTreeMap, HashMap};

use pulse_trace_common::target::{COMM_LEN, Row, row_flag};

use crate::{
    kernel::Kernel,
    model::{
        counters::Counters,
        frame::{CallFrame, Exit, ProcessFrame, ProcessKey, ThreadName},
    },
    probes::{Change, Syscalls},
};

/// What has been read but not yet handed on.
#[derive(Default)]
pub struct Gatherer {
    syscalls: Syscalls,
    pending: BTreeMap<ProcessKey, ProcessFrame>,
    /// What was last said of each process, to say only what is new.
    said: HashMap<ProcessKey, (String, u32, Option<Exit>)>,
    start_ns: u64,
    /// Processes with performance counters, as they were last seen: those outlive their rows.
    counted: HashMap<ProcessKey, ProcessFrame>,
}

impl Gatherer {
    /// Notes when the session began, on the monotonic clock.
    pub fn start_at(&mut self, start_ns: u64) {
        self.start_ns = start_ns;
    }

    /// Reads all counters, and gives finished rows back to the kernel side.
    pub fn collect(&mut self, kernel: &mut Kernel) {
        // Noted before the counters are read: these rows have nothing more to come.
        let finished: Vec<u32> =
            kernel.rows().filter(|(_, row)| is_finished(row)).map(|(id, _)| id).collect();
        let changes = self.syscalls.drain(kernel);
        // Looked at afterwards: every row that has counters is in the picture.
        let rows = Rows::of(kernel);
        for row in rows.owners.values() {
            self.news(row);
        }
        for change in changes {
            self.add(change, &rows);
        }
        for row in finished {
            self.syscalls.forget(&kernel.free_cells(row));
            kernel.free_row(row);
        }
    }

    /// Adds calls that are still running, at the end of a session.
    pub fn collect_in_flight(&mut self, kernel: &Kernel) {
        let rows = Rows::of(kernel);
        for change in Syscalls::in_flight(kernel) {
            self.add(change, &rows);
        }
    }

    /// Expects performance counters of a process.
    pub fn expect_counters(&mut self, key: ProcessKey, comm: &[u8; COMM_LEN]) {
        let seen = ProcessFrame { key, comm: text(comm), ..ProcessFrame::default() };
        self.counted.insert(key, seen);
    }

    /// Whether a process with performance counters has been seen to end.
    #[must_use]
    pub fn has_ended(&self, key: &ProcessKey) -> bool {
        self.counted.get(key).is_some_and(|seen| seen.exit.is_some())
    }

    /// Adds what performance counters of a process have counted.
    pub fn add_counters(&mut self, key: ProcessKey, counters: &Counters) {
        let Some(seen) = self.counted.get(&key) else { return };
        let frame = self.pending.entry(key).or_insert_with(|| seen.clone());
        frame.counters.get_or_insert_default().merge(counters);
    }

    /// Hands over what was gathered.
    pub fn take(&mut self) -> Vec<ProcessFrame> {
        std::mem::take(&mut self.pending).into_values().collect()
    }

    /// Notes a process if there is anything new about it.
    fn news(&mut self, row: &Row) {
        let key = key_of(row);
        let now = (text(&row.comm), row.threads, self.exit_of(row));
        if let Some(seen) = self.counted.get_mut(&key) {
            (seen.comm, seen.threads, seen.exit) = now.clone();
            seen.parent = (row.parent != 0).then_some(row.parent);
        }
        if self.said.get(&key) != Some(&now) {
            let frame = self.frame_of(row);
            (frame.comm, frame.threads, frame.exit) = now.clone();
            if now.2.is_some() {
                self.said.remove(&key);
            } else {
                self.said.insert(key, now);
            }
        }
    }

    fn add(&mut self, change: Change, rows: &Rows) {
        let Some(row) = rows.all.get(&change.row) else { return };
        let Some(owner) = rows.owners.get(&row.tgid) else { return };
        let thread = (row.tid != 0).then(|| ThreadName { tid: row.tid, comm: text(&row.comm) });
        let frame = self.frame_of(owner);
        let same = |call: &&mut CallFrame| call.call == change.call && call.thread == thread;
        match frame.syscalls.iter_mut().find(same) {
            Some(call) => call.stats.merge(&change.stats),
            None => frame.syscalls.push(CallFrame { thread, call: change.call, stats: change.stats }),
        }
    }

    fn exit_of(&self, row: &Row) -> Option<Exit> {
        is_finished(row).then(|| Exit {
            status: (row.flags & row_flag::STATUS_UNKNOWN == 0).then_some(row.exit_status),
            at_ns: row.exited_ns.saturating_sub(self.start_ns),
        })
    }

    fn frame_of(&mut self, row: &Row) -> &mut ProcessFrame {
        let exit = self.exit_of(row);
        self.pending.entry(key_of(row)).or_insert_with(|| ProcessFrame {
            key: key_of(row),
            comm: text(&row.comm),
            parent: (row.parent != 0).then_some(row.parent),
            threads: row.threads,
            exit,
            ..ProcessFrame::default()
        })
    }
}

/// The rows at one moment.
struct Rows {
    all: HashMap<u32, Row>,
    /// Those of processes, by process id. Of two with one id, the living one has just replaced the other.
    owners: HashMap<u32, Row>,
}

impl Rows {
    fn of(kernel: &Kernel) -> Self {
        let all: HashMap<u32, Row> = kernel.rows().collect();
        let mut owners: HashMap<u32, Row> = HashMap::new();
        for row in all.values().filter(|row| row.tid == 0) {
            let newest = owners.entry(row.tgid).or_insert(*row);
            if row.joined_ns > newest.joined_ns {
                *newest = *row;
            }
        }
        Self { all, owners }
    }
}

/// A row that nothing will be added to any more.
fn is_finished(row: &Row) -> bool {
    row.exited_ns != 0 && row.live == 0
}

fn key_of(row: &Row) -> ProcessKey {
    ProcessKey { pid: row.tgid, joined_ns: row.joined_ns }
}

fn text(comm: &[u8; COMM_LEN]) -> String {
    let len = comm.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
    String::from_utf8_lossy(&comm[..len]).into_owned()
}
