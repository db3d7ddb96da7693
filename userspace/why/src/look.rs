//! Looks at processes twice and says what did not move in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use kernel::target;

use super::{
    edge::{Besides, Certainty, Edge, FUTEX, UNSEEN},
    files::Files,
    graph::Waits,
    picture::{Convoy, Idle, Picture, Root, Told, Waiting},
    stacks::{self, Functions},
    thread::{Memory, Thread},
};

mod calls;

/// Processes that are looked at because a thread of another one waits for them.
const MOST_OTHERS: usize = 200;
/// Roots that are told.
const MOST_ROOTS: usize = 20;

/// Nothing could be looked at.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot look at process {0}: there is none; `ps -e` lists processes")]
pub struct LookError(String);

/// What is known of all threads that were looked at.
#[derive(Default)]
struct Looked {
    threads: BTreeMap<u32, Thread>,
    memory: BTreeMap<u32, Memory>,
    stacks: BTreeMap<u32, Functions>,
    edges: BTreeMap<u32, Edge>,
    files: Files,
    children: BTreeMap<u32, Vec<u32>>,
    /// Threads of each process by their ids in its PID namespace, as its memory has them.
    inner: BTreeMap<u32, BTreeMap<u32, u32>>,
    unreadable: BTreeSet<u32>,
}

/// The waits of these processes, and of those that they wait for.
///
/// # Errors
/// When none of them can be looked at.
pub fn look(pids: &[u32]) -> Result<Picture, LookError> {
    let since = Instant::now();
    let mut looked = Looked::default();
    for (pid, parent) in target::parents() {
        looked.children.entry(parent).or_default().push(pid);
    }
    let mut next: BTreeSet<u32> = pids.iter().copied().collect();
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    while !next.is_empty() && seen.len() < pids.len() + MOST_OTHERS {
        looked.add(&next);
        seen.append(&mut next);
        let enders = looked.edges.values().flat_map(|edge| &edge.enders);
        let others =
            enders.filter(|tid| !looked.threads.contains_key(tid)).filter_map(|tid| target::tgid(*tid));
        next = others.filter(|pid| !seen.contains(pid)).collect();
    }
    if looked.threads.is_empty() {
        return Err(LookError(pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")));
    }
    let moving = looked.forget_what_moved();
    let mut picture = looked.picture(seen.len(), moving);
    picture.took_us = since.elapsed().as_micros() as u64;
    Ok(picture)
}

/// Places, those of most threads first.
fn by_count(places: BTreeMap<&str, usize>) -> Vec<Idle> {
    let mut all: Vec<Idle> =
        places.into_iter().map(|(place, threads)| Idle { place: place.to_owned(), threads }).collect();
    all.sort_by_key(|idle| std::cmp::Reverse(idle.threads));
    all
}

impl Looked {
    /// Looks at processes for the first time.
    fn add(&mut self, pids: &BTreeSet<u32>) {
        let mut new = Vec::new();
        for pid in pids {
            let tids = target::threads(*pid).into_iter();
            let threads: Vec<Thread> = tids.filter_map(|tid| Thread::read(*pid, tid)).collect();
            match threads.first().map(|thread| Memory::of(*pid, thread.tid)) {
                Some(Some(memory)) => drop(self.memory.insert(*pid, memory)),
                Some(None) => drop(self.unreadable.insert(*pid)),
                None => {}
            }
            let ids = threads.iter().map(|thread| (thread.inner, thread.tid)).collect();
            self.inner.insert(*pid, ids);
            new.extend(threads);
        }
        self.stacks.extend(stacks::of(&new, &self.memory));
        self.threads.extend(new.iter().map(|thread| (thread.tid, thread.clone())));
        for thread in &new {
            if let Some(edge) = self.edge_of(thread) {
                self.edges.insert(thread.tid, edge);
            }
        }
    }

    /// Looks again, and forgets the waits of threads that ran meanwhile, and those that are others now: a lock may have
    /// another holder. How many threads moved.
    fn forget_what_moved(&mut self) -> usize {
        self.files = Files::default();
        let stands = |thread: &Thread| {
            let now = Thread::read(thread.pid, thread.tid);
            let is_still = thread.sleeps() || matches!(thread.state, 'T' | 't');
            is_still
                && now.is_some_and(|now| (now.switches, now.call) == (thread.switches, thread.call))
                && self.edge_of(thread).as_ref() == self.edges.get(&thread.tid)
        };
        let moved: Vec<u32> =
            self.threads.values().filter(|thread| !stands(thread)).map(|thread| thread.tid).collect();
        for tid in &moved {
            self.edges.remove(tid);
            self.stacks.remove(tid);
        }
        moved.len()
    }

    fn picture(&self, processes: usize, moving: usize) -> Picture {
        let (mut all, mut hard, mut soft) = (Waits::default(), Waits::default(), Waits::default());
        for (tid, edge) in &self.edges {
            let enders = || edge.enders.iter().copied();
            if !edge.is_idle {
                all.add(*tid, enders());
            }
            // Memory can lie: what only looks like a lock is none that nothing can undo.
            if edge.besides == Besides::Nothing && edge.certainty != Certainty::Claimed {
                hard.add(*tid, enders());
            }
            if edge.besides < Besides::Anything {
                soft.add(*tid, enders());
            }
        }
        let stuck = hard.deadlocked();
        let deadlocks = hard.rings(&stuck);
        let in_deadlocks: BTreeSet<u32> = deadlocks.iter().flatten().copied().collect();
        let softly = soft.deadlocked();
        let mut rings = soft.rings(&softly);
        rings.retain(|ring| !ring.iter().any(|tid| stuck.contains(tid)));
        let in_rings: BTreeSet<u32> = rings.iter().flatten().copied().collect();
        let mut picture = Picture { processes, threads: self.threads.len(), moving, ..Picture::default() };
        let told =
            |ring: &Vec<u32>| ring.iter().filter_map(|tid| self.waiting(*tid)).collect::<Vec<Waiting>>();
        picture.deadlocks = deadlocks.iter().map(told).collect();
        picture.rings = rings.iter().map(told).collect();
        let behind = stuck.iter().filter(|tid| !in_deadlocks.contains(tid));
        picture.stuck = behind.filter_map(|tid| self.waiting(*tid)).collect();
        let stuck = stuck.union(&in_rings).copied().collect();
        self.add_others(&mut picture, &stuck);
        picture.roots = self.roots(&all.behind(), &stuck);
        picture.notes = self.notes();
        picture
    }

    /// Waits outside of deadlocks: convoys, single ones, and threads without work.
    fn add_others(&self, picture: &mut Picture, stuck: &BTreeSet<u32>) {
        let (mut idle, mut unknown): (BTreeMap<&str, usize>, BTreeMap<&str, usize>) = Default::default();
        let mut groups: BTreeMap<(&str, &[u32]), Vec<u32>> = BTreeMap::new();
        for (tid, edge) in self.edges.iter().filter(|(tid, _)| !stuck.contains(tid)) {
            if edge.is_idle {
                let places = if edge.place() == UNSEEN { &mut unknown } else { &mut idle };
                *places.entry(edge.place()).or_default() += 1;
            } else {
                groups.entry((&edge.object, &edge.enders)).or_default().push(*tid);
            }
        }
        for ((object, enders), tids) in groups {
            let mut waiting: Vec<Waiting> = tids.iter().filter_map(|tid| self.waiting(*tid)).collect();
            if waiting.len() > 1 {
                let enders = enders.iter().map(|tid| self.told(*tid)).collect();
                picture.convoys.push(Convoy { object: object.to_owned(), enders, waiting });
            } else if enders.is_empty() && object.starts_with(FUTEX) {
                *unknown.entry("a futex of unknown making").or_default() += waiting.len();
            } else {
                picture.waiting.append(&mut waiting);
            }
        }
        picture.convoys.sort_by_key(|convoy| std::cmp::Reverse(convoy.waiting.len()));
        (picture.idle, picture.unknown) = (by_count(idle), by_count(unknown));
    }

    /// Threads that others wait for and that wait for no thread themselves.
    fn roots(&self, behind: &BTreeMap<u32, usize>, stuck: &BTreeSet<u32>) -> Vec<Root> {
        let waits =
            |tid: &u32| self.edges.get(tid).is_some_and(|edge| !edge.is_idle && !edge.enders.is_empty());
        let free = behind.iter().filter(|(tid, _)| !stuck.contains(tid) && !waits(tid));
        let mut roots: Vec<Root> = free
            .map(|(tid, behind)| Root {
                thread: self.told(*tid),
                behind: *behind,
                does: self.does(*tid),
                stack: self.stack(*tid),
            })
            .collect();
        roots.sort_by_key(|root| (std::cmp::Reverse(root.behind), root.thread.tid));
        roots.truncate(MOST_ROOTS);
        roots
    }

    /// What a thread does that waits for no other one.
    fn does(&self, tid: u32) -> String {
        let Some(thread) = self.threads.get(&tid) else { return "was not looked at".to_owned() };
        match (self.edges.get(&tid), thread.state) {
            (_, 'R') => "runs, or waits for a CPU".to_owned(),
            (_, 'T') => "is stopped by a signal".to_owned(),
            (_, 't') => format!("is stopped by the tracer {}", thread.tracer),
            (Some(edge), _) if edge.is_idle => format!("sleeps in {}", edge.place()),
            (Some(edge), _) => format!("waits for {}", edge.object),
            (None, _) => "moves".to_owned(),
        }
    }

    fn waiting(&self, tid: u32) -> Option<Waiting> {
        let edge = self.edges.get(&tid)?;
        Some(Waiting {
            thread: self.told(tid),
            object: edge.object.clone(),
            until: edge.until,
            enders: edge.enders.iter().map(|ender| self.told(*ender)).collect(),
            certainty: edge.certainty,
            stack: self.stack(tid),
        })
    }

    fn stack(&self, tid: u32) -> Vec<String> {
        self.stacks.get(&tid).map(Functions::own).unwrap_or_default()
    }

    fn told(&self, tid: u32) -> Told {
        match self.threads.get(&tid) {
            Some(thread) => Told { pid: thread.pid, tid, comm: thread.comm.clone() },
            None => Told { pid: target::tgid(tid).unwrap_or(0), tid, comm: String::new() },
        }
    }

    fn notes(&self) -> Vec<String> {
        let unreadable: Vec<String> = self.unreadable.iter().map(u32::to_string).collect();
        let note = || {
            format!(
                "memory of process {} cannot be read: locks there have no holders, and stacks no functions; \
                 processes of others need root, or CAP_SYS_PTRACE",
                unreadable.join(", ")
            )
        };
        (!unreadable.is_empty()).then(note).into_iter().collect()
    }
}
