//! Names of lock addresses: memory that processes share has the same name in all of them.

use std::collections::HashMap;

use binary::maps::Maps;
use model::locks::LockPlace;
use pulse_trace_common::target::Row;

use super::maps;

const PAGE: u64 = 4096;

/// Kind of a page in a process.
#[derive(Clone)]
enum Page {
    /// Memory of the process alone.
    Private,
    /// A page of an object: its device, inode, offset and path.
    Shared(u64, u64, u64, String),
}

/// Cache of the pages that locks lie in.
#[derive(Default)]
pub struct Places {
    /// By row, number of programs that the process has run, and page.
    pages: HashMap<(u32, u32, u64), Page>,
    /// Mappings of the processes that were read since the last [`Self::begin`]; `None` where they cannot be read.
    maps: HashMap<u32, Option<Maps>>,
    /// Mappings of processes that were saved ahead: for processes that end before they are read.
    remembered: HashMap<u32, Maps>,
}

impl Places {
    /// Starts a new reading: earlier mappings may have changed.
    pub fn begin(&mut self) {
        self.maps.clear();
    }

    /// Saves the present mappings of a process, for the time when they cannot be read any more.
    pub fn remember(&mut self, pid: u32) {
        self.remembered.extend(maps(pid).map(|text| (pid, Maps::parse(&text))));
    }

    /// Name of a lock's address in a process. The process has this row; `shared`: other processes may use the lock.
    pub fn resolve(&mut self, id: u32, row: &Row, address: u64, shared: bool) -> LockPlace {
        if !shared {
            return LockPlace::Private { address };
        }
        let key = (id, row.execs, address / PAGE);
        let known = self.pages.get(&key).cloned();
        let page = known.or_else(|| {
            let maps = self.maps.entry(row.tgid).or_insert_with(|| maps_of(row));
            let maps = maps.as_ref().or_else(|| self.remembered.get(&row.tgid))?;
            let page = look(maps, address - address % PAGE)?;
            self.pages.insert(key, page.clone());
            Some(page)
        });
        match page {
            None => LockPlace::Unresolved { address },
            Some(Page::Private) => LockPlace::Private { address },
            Some(Page::Shared(device, inode, offset, path)) => {
                LockPlace::Shared { device, inode, offset: offset + address % PAGE, path }
            }
        }
    }

    /// Forgets a row that was freed.
    pub fn forget(&mut self, row: u32) {
        self.pages.retain(|(of, _, _), _| *of != row);
    }
}

/// Mappings of a process, unless it has ended: another process may have its id by now.
fn maps_of(row: &Row) -> Option<Maps> {
    if row.exited_ns != 0 {
        return None;
    }
    maps(row.tgid).map(|text| Maps::parse(&text)).filter(|maps| !maps.all().is_empty())
}

/// Kind of a page; `None` where nothing is mapped (any more).
fn look(maps: &Maps, address: u64) -> Option<Page> {
    maps.at(address)?;
    let Some(object) = maps.object_of(address) else { return Some(Page::Private) };
    let device = rustix::fs::makedev(object.device.major, object.device.minor);
    let path = object.path.to_string_lossy().into_owned();
    Some(Page::Shared(device, object.inode, object.offset, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"1000-2000 rw-p 00000000 00:00 0 \n\
        7f0000001000-7f0000003000 rw-s 00002000 00:1a 42 /dev/shm/q\n";

    #[test]
    fn a_page_is_private_shared_or_unknown() {
        let maps = Maps::parse(MAPS);
        assert!(matches!(look(&maps, 0x1000), Some(Page::Private)));
        let Some(Page::Shared(device, inode, offset, path)) = look(&maps, 0x7f00_0000_2000) else {
            panic!("that page is shared");
        };
        assert_eq!((device, inode, offset, path.as_str()), (0x1a, 42, 0x3000, "/dev/shm/q"));
        assert!(look(&maps, 0x5000).is_none());
    }
}
