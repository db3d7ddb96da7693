//! Who has the other end of a pipe or of a connection on this machine, and who has a file locked.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fs,
};

use kernel::target;

use super::unix;

/// Open ends of pipes and sockets of all processes, and locks on files. Read when first asked for.
#[derive(Default)]
pub struct Files {
    ends: OnceCell<Ends>,
    locks: OnceCell<Vec<Lock>>,
    /// Inodes of unix sockets with those of their other ends.
    unix: OnceCell<BTreeMap<u64, u64>>,
    /// The same of connections over TCP, by the process whose network namespace they are in.
    tcp: RefCell<BTreeMap<u32, BTreeMap<u64, u64>>>,
}

/// Processes that have an end of a pipe, or a socket.
#[derive(Default)]
struct Ends {
    readers: BTreeMap<u64, BTreeSet<u32>>,
    writers: BTreeMap<u64, BTreeSet<u32>>,
    sockets: BTreeMap<u64, BTreeSet<u32>>,
    /// Processes whose descriptors cannot be seen: they may have any.
    unseen: usize,
}

/// A line of `/proc/locks`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lock {
    /// Number of the lock that holds or is waited for.
    number: u64,
    waits: bool,
    pid: u32,
    inode: u64,
    kind: String,
}

/// What a descriptor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// A pipe without a name, by inode.
    Pipe(u64),
    /// A socket, by inode.
    Socket(u64),
    /// Another file, by its name.
    Other(String),
}

/// What a descriptor of a process is; `None` where it cannot be seen. Its file is not touched: one on a file system that
/// does not answer would hold up who looks.
pub fn open(pid: u32, descriptor: u64) -> Option<Open> {
    let name = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?.to_string_lossy().into_owned();
    let inode = |kind: &str| name.strip_prefix(kind)?.strip_suffix(']')?.parse::<u64>().ok();
    Some(match (inode("socket:["), inode("pipe:[")) {
        (Some(inode), _) => Open::Socket(inode),
        (_, Some(inode)) => Open::Pipe(inode),
        _ => Open::Other(model::text::printable(&name)),
    })
}

/// A line of what the kernel tells of a descriptor.
fn about(pid: u32, descriptor: u64, field: &str) -> Option<String> {
    let info = target::text(&format!("/proc/{pid}/fdinfo/{descriptor}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix(field)).map(|text| text.trim().to_owned())
}

impl Files {
    /// Processes that could write to a pipe, or read from it; `None` where not all processes can be seen.
    pub fn of_pipe(&self, pipe: u64, writes: bool) -> Option<Vec<u32>> {
        let ends = self.ends();
        let side = if writes { &ends.writers } else { &ends.readers };
        (ends.unseen == 0).then(|| side.get(&pipe).into_iter().flatten().copied().collect())
    }

    /// Processes that have the other end of a connection on this machine: a unix socket, or TCP.
    pub fn of_peer(&self, pid: u32, inode: u64) -> Option<Vec<u32>> {
        let by_tcp = || {
            let mut tables = self.tcp.borrow_mut();
            tables.entry(pid).or_insert_with(|| connections(pid)).get(&inode).copied()
        };
        let peer = self.unix.get_or_init(unix::peers).get(&inode).copied().or_else(by_tcp)?;
        let ends = self.ends();
        let found: Vec<u32> = ends.sockets.get(&peer).into_iter().flatten().copied().collect();
        (!found.is_empty()).then_some(found)
    }

    /// The process whose lock on this file a process waits for, and the kind of lock; `None` unless it is certain.
    pub fn of_lock(&self, pid: u32, descriptor: u64) -> Option<(u32, String)> {
        let inode: u64 = about(pid, descriptor, "ino:")?.parse().ok()?;
        let locks = self.locks.get_or_init(|| locks(&target::text("/proc/locks").unwrap_or_default()));
        let mut wanted = locks.iter().filter(|lock| lock.waits && lock.pid == pid && lock.inode == inode);
        let (first, others) = (wanted.next()?, wanted.count());
        let holder = locks.iter().find(|lock| !lock.waits && lock.number == first.number)?;
        (others == 0).then(|| (holder.pid, first.kind.clone()))
    }

    fn ends(&self) -> &Ends {
        self.ends.get_or_init(Ends::read)
    }
}

impl Ends {
    fn read() -> Self {
        let mut ends = Self::default();
        for pid in target::processes().unwrap_or_default() {
            match fs::read_dir(format!("/proc/{pid}/fd")) {
                Ok(descriptors) => descriptors.flatten().for_each(|entry| {
                    if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                        ends.add(pid, number);
                    }
                }),
                // One that has ended has none.
                Err(_) if !fs::exists(format!("/proc/{pid}")).unwrap_or(false) => {}
                Err(_) => ends.unseen += 1,
            }
        }
        ends
    }

    fn add(&mut self, pid: u32, descriptor: u64) {
        match open(pid, descriptor) {
            Some(Open::Pipe(pipe)) => {
                let flags = about(pid, descriptor, "flags:");
                // Octal; the lowest bits are 0 for reading, 1 for writing, 2 for both.
                let access =
                    flags.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).map_or(2, |it| it & 3);
                if access != 1 {
                    self.readers.entry(pipe).or_default().insert(pid);
                }
                if access != 0 {
                    self.writers.entry(pipe).or_default().insert(pid);
                }
            }
            Some(Open::Socket(inode)) => drop(self.sockets.entry(inode).or_default().insert(pid)),
            _ => {}
        }
    }
}

/// Connections over TCP in the network namespace of a process: the inode of each end with that of the other one.
fn connections(pid: u32) -> BTreeMap<u64, u64> {
    let table = |family: &str| target::text(&format!("/proc/{pid}/net/{family}")).unwrap_or_default();
    peers(&(table("tcp") + &table("tcp6")))
}

/// The other ends of connections, by the lines of tables of `/proc/net`.
fn peers(tables: &str) -> BTreeMap<u64, u64> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let inode = words.get(9)?.parse::<u64>().ok().filter(|inode| *inode != 0)?;
        Some(((plain(words.get(1)?), plain(words.get(2)?)), inode))
    };
    let ends: BTreeMap<(String, String), u64> = tables.lines().filter_map(row).collect();
    let peer = |((local, remote), inode): (&(String, String), &u64)| {
        Some((*inode, *ends.get(&(remote.clone(), local.clone()))?))
    };
    ends.iter().filter_map(peer).collect()
}

/// An address in the older form where it stands for one: a server for both has those of its clients in the newer one.
fn plain(address: &str) -> String {
    const MAPPED: &str = "0000000000000000FFFF0000";
    address.strip_prefix(MAPPED).unwrap_or(address).to_owned()
}

/// The lines of `/proc/locks`. One that waits stands below the one that it waits for, with the same number.
fn locks(text: &str) -> Vec<Lock> {
    let line = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        let mut words = rest.split_ascii_whitespace().peekable();
        let waits = words.next_if_eq(&"->").is_some();
        let kind = words.next()?.to_lowercase();
        let pid = words.nth(2)?.parse().ok()?;
        let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
        Some(Lock { number: number.trim().parse().ok()?, waits, pid, inode, kind })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_waits_stands_below_the_one_it_waits_for() {
        let text = "1: FLOCK  ADVISORY  WRITE 700 08:01:131 0 EOF\n\
                    1: -> FLOCK  ADVISORY  WRITE 701 08:01:131 0 EOF\n\
                    2: POSIX  ADVISORY  READ 800 08:01:132 0 EOF\n";
        let all = locks(text);
        assert_eq!(all.len(), 3);
        assert_eq!((all[1].waits, all[1].pid, all[1].number, all[1].kind.as_str()), (true, 701, 1, "flock"));
        assert!(!all[2].waits);
        assert_eq!(all[2].inode, 132);
    }

    #[test]
    fn the_other_end_has_the_addresses_the_other_way_round() {
        let table = "sl local_address rem_address st tx rx tr tm retrnsmt uid timeout inode\n\
                     0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 11 1\n\
                     1: 0100007F:1F90 0100007F:C001 01 0:0 00:0 0 0 0 12 1\n\
                     2: 0100007F:C001 0100007F:1F90 01 0:0 00:0 0 0 0 13 1\n";
        assert_eq!(peers(table), BTreeMap::from([(12, 13), (13, 12)]));
        let mapped = table.replace(
            "1: 0100007F:1F90 0100007F:C001",
            "1: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:C001",
        );
        assert_eq!(peers(&mapped), BTreeMap::from([(12, 13), (13, 12)]));
    }

    #[test]
    fn both_ends_of_a_pipe_of_ours_are_ours() {
        let (reader, writer) = std::io::pipe().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let pid = std::process::id();
        let Some(Open::Pipe(pipe)) = open(pid, number as u64) else { panic!("no pipe") };
        let files = Files::default();
        // Where others cannot be seen, it is not known.
        if let Some(writers) = files.of_pipe(pipe, true) {
            assert!(writers.contains(&pid));
        }
        drop(writer);
    }
}
