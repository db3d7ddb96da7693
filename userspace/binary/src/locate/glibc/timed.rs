//! Mutexes with a time limit: one function behind two names.

use super::{Examined, Found, kernel_wait, spin, tail};
use crate::locate::{elf::Image, extents::Extents, site::Wait};

const NAMES: [&str; 2] = ["pthread_mutex_timedlock", "pthread_mutex_clocklock"];

/// Adds the sites of both, or the reason why there are none.
pub fn find(image: &Image<'_>, extents: &Extents, found: &mut Found) {
    let mut seen = Vec::new();
    for name in NAMES {
        for function in image.named(name) {
            // Both set up their arguments and jump.
            let (address, size) = match tail(image, extents, &function) {
                Some(common) => (common, extents.size_at(common).unwrap_or(0)),
                None => (function.address, function.size),
            };
            if !seen.contains(&address) {
                seen.push(address);
                if let Err(reason) = add(image, extents, found, name, (address, size)) {
                    found.left_out.push(format!("{name}: it {reason}"));
                }
            }
        }
    }
}

fn add(
    image: &Image<'_>,
    extents: &Extents,
    found: &mut Found,
    name: &str,
    (address, size): (u64, u64),
) -> Result<(), &'static str> {
    let examined = Examined::of(image, extents, address, size)?;
    let spin = spin::find(&examined.body, &examined.states)?.ok_or("never touches __spins")?;
    let calls = spin::calls_with_lock(&examined.body, &examined.states);
    let waits: Vec<usize> = calls
        .into_iter()
        .filter(|(_, target, offset)| *offset == 0 && kernel_wait::waits(image, extents, *target))
        .map(|(index, ..)| index)
        .collect();
    if waits.is_empty() {
        return Err("calls nothing that waits in the kernel");
    }
    found.add_spin(image, name, &examined, &spin);
    for index in waits {
        found.add_wait(image, name, &examined, index, Wait::Timed);
    }
    Ok(())
}
