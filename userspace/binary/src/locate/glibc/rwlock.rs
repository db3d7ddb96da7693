//! Read-write locks: they do not spin; what can be seen is their wait in the kernel.

use iced_x86::Mnemonic;

use super::{Examined, Found, kernel_wait, spin};
use crate::locate::{elf::Image, extents::Extents, site::Wait};

const NAMES: [(&str, Wait); 6] = [
    ("pthread_rwlock_rdlock", Wait::Read),
    ("pthread_rwlock_timedrdlock", Wait::Read),
    ("pthread_rwlock_clockrdlock", Wait::Read),
    ("pthread_rwlock_wrlock", Wait::Write),
    ("pthread_rwlock_timedwrlock", Wait::Write),
    ("pthread_rwlock_clockwrlock", Wait::Write),
];

/// Adds the waits of all, or the reason why there are none.
pub fn find(image: &Image<'_>, extents: &Extents, found: &mut Found) {
    for (name, wait) in NAMES {
        for function in image.named(name) {
            match waits(image, extents, function.address, function.size) {
                Ok((examined, calls)) => {
                    calls.into_iter().for_each(|call| found.add_wait(image, name, &examined, call, wait));
                }
                Err(reason) => found.left_out.push(format!("{name}: it {reason}")),
            }
        }
    }
}

fn waits<'a>(
    image: &Image<'a>,
    extents: &Extents,
    address: u64,
    size: u64,
) -> Result<(Examined<'a>, Vec<usize>), &'static str> {
    let examined = Examined::of(image, extents, address, size)?;
    let calls = spin::calls_with_lock(&examined.body, &examined.states);
    let calls: Vec<usize> = calls
        .into_iter()
        .filter(|(_, target, _)| kernel_wait::waits(image, extents, *target))
        .map(|(index, ..)| index)
        .collect();
    if !calls.is_empty() {
        return Ok((examined, calls));
    }
    let inlined = examined.body.instructions.iter().any(|of| of.mnemonic() == Mnemonic::Syscall);
    Err(if inlined {
        "waits by a `syscall` instruction of its own, which uprobes refuse"
    } else {
        "calls nothing that waits in the kernel"
    })
}
