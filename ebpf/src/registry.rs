//! Things of which there is a limited number, handed out by key on first use.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    maps::{HashMap, Queue},
};

use crate::memory;

/// Result of a request.
pub enum Entry {
    /// Its key has had this id before.
    Known(u32),
    /// Its key has this id from now on.
    New(u32),
    /// All ids are taken.
    None,
}

/// The id of a key. Two CPUs that ask for the same key for the first time get the same id. What has a new id is made
/// before another CPU can find it, and unmade where another CPU was faster.
#[inline(always)]
pub fn fetch<K>(
    ids: &HashMap<K, u32>,
    free: &Queue<u32>,
    key: &K,
    make: impl FnOnce(u32),
    unmake: impl FnOnce(u32),
) -> Entry {
    if let Some(id) = ids.get_ptr(key) {
        return Entry::Known(memory::read(id));
    }
    let Ok(Some(id)) = free.pop() else { return Entry::None };
    make(id);
    if ids.insert(key, id, u64::from(BPF_NOEXIST)).is_ok() {
        return Entry::New(id);
    }
    unmake(id);
    // Another CPU was faster, or there is no room, which cannot be: as many keys fit as there are ids.
    let _ = free.push(id, 0);
    ids.get_ptr(key).map_or(Entry::None, |id| Entry::Known(memory::read(id)))
}
