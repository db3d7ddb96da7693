//! Processes that have ended and did little, as one row per program: where processes come and go, their rows must not
//! grow in number with time.

use std::collections::BTreeMap;

use super::{
    frame::ProcessKey,
    locks::LockPlace,
    session::{Process, Session},
};

/// Ended processes that keep rows of their own, those with the most time in calls.
const KEPT: usize = 1000;
/// Ended processes beyond those before any is folded, so that it is not done at each end.
const SLACK: usize = 250;
/// Programs that have rows of their own.
const PROGRAMS: usize = 500;
/// Pairs of futex and operation of a process that have rows of their own.
const FUTEXES: usize = 4096;
/// Name of the row of all further ones.
const FURTHER: &str = "[further programs]";

/// The data that is kept of a process.
pub trait Account: Default {
    /// The name of its program.
    fn comm(&mut self) -> &mut String;
    /// True if it has ended and nothing more of it is to come.
    fn can_be_folded(&self) -> bool;
    /// Its time in calls.
    fn in_calls_ns(&self) -> u64;
    /// Adds an ended process of the same program.
    fn absorb(&mut self, process: Self);
}

/// Joins ended processes by program where there are too many of them.
pub fn fold_ended<A: Account>(accounts: &mut BTreeMap<ProcessKey, A>) {
    if accounts.len() <= KEPT + SLACK {
        return;
    }
    let ended = accounts.iter().filter(|(_, account)| account.can_be_folded());
    let mut ended: Vec<(u64, ProcessKey)> =
        ended.map(|(key, account)| (account.in_calls_ns(), *key)).collect();
    if ended.len() <= KEPT + SLACK {
        return;
    }
    ended.sort_unstable();
    let programs = accounts.range_mut(ProcessKey::program(1)..ProcessKey::program(u64::MAX));
    let mut rows: BTreeMap<String, ProcessKey> =
        programs.map(|(key, account)| (account.comm().clone(), *key)).collect();
    for (_, key) in &ended[..ended.len() - KEPT] {
        let Some(mut account) = accounts.remove(key) else { continue };
        let has_row = rows.len() < PROGRAMS || rows.contains_key(account.comm());
        let comm = if has_row { account.comm().clone() } else { FURTHER.to_owned() };
        let new = ProcessKey::program(rows.len() as u64 + 1);
        let row = accounts.entry(*rows.entry(comm.clone()).or_insert(new)).or_default();
        *row.comm() = comm;
        row.absorb(account);
    }
}

impl Session {
    /// Numbers of processes that were seen and of those that have ended, as far as that is known.
    #[must_use]
    pub fn processes_seen(&self) -> (u64, u64) {
        let own =
            self.processes.iter().filter(|(key, _)| **key != ProcessKey::OTHERS).map(|(_, process)| process);
        let shared = self.ledger.degraded.get("processes_shared").copied().unwrap_or(0);
        let seen = own.clone().map(|process| process.folded.max(1)).sum::<u64>() + shared;
        (seen, own.map(|process| process.folded.max(u64::from(process.exit.is_some()))).sum())
    }
}

impl ProcessKey {
    /// All processes for which the kernel side had no row.
    pub const OTHERS: Self = Self { pid: 0, joined_ns: 0 };

    /// The ended processes of one program, by its number.
    const fn program(number: u64) -> Self {
        Self { pid: 0, joined_ns: number }
    }
}

impl Process {
    /// Joins the least used futexes where there are too many.
    pub(super) fn fold_futexes(&mut self) {
        if self.futexes.len() <= FUTEXES + FUTEXES / 4 {
            return;
        }
        let own = self.futexes.iter().filter(|((place, ..), _)| *place != LockPlace::OTHERS);
        let mut own: Vec<_> = own.map(|(key, stats)| (stats.count, key.clone())).collect();
        own.sort_unstable();
        for (_, key) in own.into_iter().rev().skip(FUTEXES) {
            if let Some(stats) = self.futexes.remove(&key) {
                self.futexes.entry((LockPlace::OTHERS, 0, key.2)).or_default().merge(&stats);
            }
        }
    }
}

impl Account for Process {
    fn comm(&mut self) -> &mut String {
        &mut self.comm
    }

    /// Readings that are taken from outside may come after the end.
    fn can_be_folded(&self) -> bool {
        self.exit.is_some() && self.counters.is_none() && self.inline.is_empty()
    }

    fn in_calls_ns(&self) -> u64 {
        self.syscalls.values().map(super::frame::CallStats::total_ns).sum()
    }

    /// Its threads become one, and so do locks in private memory.
    fn absorb(&mut self, process: Self) {
        self.folded += process.folded.max(1);
        self.threads = self.threads.saturating_add(process.threads);
        for ((_, call), stats) in &process.syscalls {
            self.syscalls.entry((None, *call)).or_default().merge(stats);
        }
        if let Some(sched) = &process.sched {
            self.sched.get_or_insert_default().merge(sched);
        }
        for ((place, address, op), stats) in &process.futexes {
            let (place, address) = LockPlace::of_program(place, *address);
            self.futexes.entry((place, address, op.clone())).or_default().merge(stats);
        }
        self.fold_futexes();
        for ((name, _), stats) in process.events {
            self.events.entry((name, None)).or_default().merge(&stats);
        }
        for ((place, address), mutex) in process.mutexes {
            let known = self.mutexes.entry(LockPlace::of_program(&place, address)).or_default();
            known.stats.merge(&mutex.stats);
            (known.runtime, known.generation, known.kind) = (mutex.runtime, mutex.generation, mutex.kind);
        }
    }
}

impl LockPlace {
    /// The place of all locks without a row of their own.
    pub const OTHERS: Self = Self::Private { address: 0 };

    fn of_program(place: &Self, address: u64) -> (Self, u64) {
        match place {
            Self::Shared { .. } => (place.clone(), address),
            _ => (Self::OTHERS, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::{Exit, Frame, ProcessFrame},
        session::Header,
        synthetic::{self, Shape},
    };

    /// Short processes of some programs, each of which makes what a synthetic one does.
    fn churn(session: &mut Session, from: u32, to: u32, programs: u32) -> u64 {
        let like = synthetic::frames(3, Shape { processes: 1, frames: 1, ..Shape::default() }).remove(0);
        let mut calls = 0;
        for pid in from..to {
            let process = ProcessFrame {
                key: ProcessKey { pid, joined_ns: u64::from(pid) },
                comm: format!("program {}", pid % programs),
                exit: Some(Exit { status: Some(0), at_ns: 1 }),
                threads: 1,
                counters: None,
                inline: Vec::new(),
                ..like.processes[0].clone()
            };
            calls += process.syscalls.iter().map(|call| call.stats.count()).sum::<u64>();
            session.add(&Frame { processes: vec![process], ..Frame::default() });
        }
        calls
    }

    fn calls(session: &Session) -> u64 {
        let all = session.processes.values().flat_map(|process| process.syscalls.values());
        all.map(super::super::frame::CallStats::count).sum()
    }

    #[test]
    fn a_session_stays_small_and_loses_nothing_however_many_processes_end() {
        let mut session = Session::new(Header::default());
        let mut made = churn(&mut session, 1, 3000, 3);
        let rows = session.processes.len();
        assert!(rows <= KEPT + SLACK + 3, "{rows}");
        made += churn(&mut session, 3000, 9000, 3);
        assert!(session.processes.len() <= KEPT + SLACK + 3);
        assert_eq!(calls(&session), made);
        assert_eq!(session.processes_seen(), (8999, 8999));
    }

    #[test]
    fn processes_that_live_keep_their_rows() {
        let mut session = Session::new(Header::default());
        for pid in 1..3000 {
            let key = ProcessKey { pid, joined_ns: 1 };
            let alive = ProcessFrame { key, comm: "alive".to_owned(), ..ProcessFrame::default() };
            session.add(&Frame { processes: vec![alive], ..Frame::default() });
        }
        assert_eq!(session.processes.len(), 2999);
        let others = ProcessFrame { key: ProcessKey::OTHERS, ..ProcessFrame::default() };
        session.add(&Frame { processes: vec![others], ..Frame::default() });
        session.ledger.degraded.insert("processes_shared".to_owned(), 48);
        assert_eq!(session.processes_seen(), (3047, 0));
    }

    #[test]
    fn more_programs_than_rows_have_one_together() {
        let mut session = Session::new(Header::default());
        let made = churn(&mut session, 1, 4000, 3999);
        assert!(session.processes.len() <= KEPT + SLACK + PROGRAMS + 1);
        assert!(session.processes.values().any(|process| process.comm == FURTHER));
        assert_eq!(calls(&session), made);
    }
}
