//! The lock that `pthread_cond_wait` takes again: no symbol names it, but the functions that wait call it.

use super::{COND_LOCK, Examined, Found, mutex};
use crate::locate::{
    code::{Body, branch_target},
    elf::Image,
    extents::Extents,
};

const CALLERS: [&str; 2] = ["pthread_cond_wait", "pthread_cond_timedwait"];

/// Adds its sites, or the reason why there are none.
pub fn find(image: &Image<'_>, extents: &Extents, wait: u64, found: &mut Found) {
    let mut candidates = Vec::new();
    for target in CALLERS.iter().flat_map(|caller| image.named(caller)).flat_map(|caller| {
        Body::decode(image, extents, caller.address, caller.size)
            .map(|body| leaves(&body))
            .unwrap_or_default()
    }) {
        if !candidates.contains(&target) {
            candidates.push(target);
        }
    }
    let mut matching = candidates.into_iter().filter_map(|address| {
        let examined = Examined::of(image, extents, address, extents.size_at(address)?).ok()?;
        // It waits where `pthread_mutex_lock` waits: a look-alike would not.
        let (spin, its_wait) = mutex(image, extents, &examined).ok()?;
        (its_wait == wait).then_some((examined, spin))
    });
    match (matching.next(), matching.next()) {
        (Some((examined, spin)), None) => {
            found.add_mutex(image, COND_LOCK, &examined, &spin, wait);
        }
        (None, _) => {
            found.left_out.push(format!("{COND_LOCK}: {} calls nothing that looks like it", CALLERS[0]))
        }
        (Some(_), Some(_)) => {
            found.left_out.push(format!("{COND_LOCK}: {} calls two functions that look like it", CALLERS[0]));
        }
    }
}

/// Targets of calls and jumps that leave a function.
fn leaves(body: &Body<'_>) -> Vec<u64> {
    let targets = body.instructions.iter().filter_map(branch_target);
    targets.filter(|target| !body.holds(*target)).collect()
}
