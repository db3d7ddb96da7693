//! Processes that were forked from one with counters inside: they have the jumps too, and count in the same memory.

use std::fs;

use super::{
    layout::{FIRST, Layout, THREAD_BITS},
    library,
    memory::Memory,
    ptrace, removal,
};
use crate::target;

/// Number of searches for further children: those that were found may have forked meanwhile.
const ROUNDS: u32 = 10;

/// The memory for the counters, as it is mapped in every process that has it.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance {
    /// Addresses of its parts.
    pub layout: Layout,
    /// The inode of the shared part.
    pub inode: u64,
}

impl Inheritance {
    /// The process of a thread, if it has this memory and counts under this number.
    pub fn process(self, number: u16, thread: u32) -> Option<u32> {
        let status = target::text(&format!("/proc/{thread}/status")).ok()?;
        let pid = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()?;
        (self.is_in(pid) && self.number_of(pid) == Some(number.into())).then_some(pid)
    }

    /// The number that a process counts under; 0 where it has not counted yet.
    fn number_of(self, pid: u32) -> Option<u64> {
        let word = Memory::open(pid).ok()?.bytes(self.layout.number(), 8).ok()?;
        Some(u64::from_le_bytes(word.try_into().ok()?) >> THREAD_BITS)
    }

    fn is_in(self, pid: u32) -> bool {
        library::maps(pid).is_ok_and(|maps| {
            let shared = maps.at(self.layout.area());
            shared.is_some_and(|it| it.inode == self.inode && it.name().starts_with("memfd:pulse-trace"))
        })
    }

    /// All forked processes that have the memory. A process with the first number is the one that the counters were put
    /// into, or shares its memory; one that shares its parent's memory is done with that parent, once every thread
    /// there is stopped.
    fn heirs(self) -> Vec<u32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_forked = |pid: u32| {
            let lends = |parent| self.is_in(parent) && ptrace::shares_memory(pid, parent);
            self.number_of(pid) != Some(FIRST) && !target::stat(pid).is_some_and(|stat| lends(stat.parent))
        };
        pids.filter(|pid| self.is_in(*pid) && is_forked(*pid)).collect()
    }

    /// Removes the counters from all forked processes. Returns how many are as they were, and how many keep them.
    pub fn remove(self) -> (usize, usize) {
        let (mut done, mut kept) = (0, Vec::new());
        for _ in 0..ROUNDS {
            let new: Vec<u32> = self.heirs().into_iter().filter(|pid| !kept.contains(pid)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                match self.remove_from(pid) {
                    Some(true) => done += 1,
                    Some(false) => kept.push(pid),
                    None => {}
                }
            }
        }
        (done, kept.len())
    }

    /// Removes the counters from one process; `None` where it has ended meanwhile.
    fn remove_from(self, pid: u32) -> Option<bool> {
        let memory = Memory::open(pid).ok()?;
        match removal::remove(pid, &memory, self.layout) {
            Ok(_) if !self.is_in(pid) => Some(true),
            _ => self.is_in(pid).then_some(false),
        }
    }
}
