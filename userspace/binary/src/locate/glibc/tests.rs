//! On the C library of this very machine, if it is a glibc for x86-64.

use std::fs;

use pulse_trace_testing::need;

use super::*;
use crate::locate::{
    instruction::Class,
    register::Reg,
    site::{LockPointer, Role, Wait},
};

const HERE: [&str; 3] = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"];
/// Debian 12, 2.36-9+deb12u14.
const KNOWN: &str = "93ac61ec5a8eb1396f9fbd350e3169a558528a40";

fn here() -> Result<Vec<u8>, String> {
    let bytes = HERE.iter().find_map(|path| fs::read(path).ok()).filter(|bytes| Image::parse(bytes).is_ok());
    bytes.ok_or_else(|| format!("none of {} is a C library for x86-64", HERE.join(", ")))
}

fn found(bytes: &[u8]) -> (Option<String>, Found) {
    let image = Image::parse(bytes).unwrap();
    (image.build_id(), find(&image, &Extents::of(&image)).unwrap())
}

#[test]
fn this_machine_is_understood() {
    let bytes = need!(here());
    let (_, found) = found(&bytes);
    assert!(found.generation.is_some());
    for function in [MUTEX_LOCK, COND_LOCK] {
        let of = |role: Role| {
            found.sites.iter().filter(|site| site.function == function && site.role == role).count()
        };
        let roles = [Role::Contended, Role::SpinEnd, Role::GaveUp, Role::LastAttempt];
        assert_eq!(roles.map(of), [1, 1, 1, 1], "{function}");
        let waits = [Wait::Adaptive, Wait::Normal, Wait::Recursive];
        assert_eq!(waits.map(|wait| of(Role::KernelWait(wait))), [1, 1, 1], "{function}");
    }
    assert!(found.calls.iter().any(|site| site.function == MUTEX_LOCK), "{:?}", found.calls);
    for site in found.sites.iter().chain(&found.calls) {
        assert!(site.class.typical_ns().is_some(), "{site:?}");
        assert_eq!(site.count_register.is_some(), site.role == Role::SpinEnd, "{site:?}");
        assert!(site.lock_register().is_some(), "{site:?}");
    }
}

#[test]
fn every_address_of_the_known_build_is_found() {
    let bytes = need!(here());
    let (build_id, found) = found(&bytes);
    need!(build_id.as_deref() == Some(KNOWN), "the C library here is not 2.36-9+deb12u14");
    assert_eq!(found.generation, Some(Generation::Exponential));
    let mut lock: Vec<_> = found.sites.iter().filter(|site| site.function == MUTEX_LOCK).collect();
    lock.sort_by_key(|site| site.address);
    let rows: Vec<_> =
        lock.iter().map(|site| (site.address, site.role, site.class, site.count_register)).collect();
    let calls: Vec<_> =
        found.calls.iter().map(|site| (site.function.as_str(), site.address, site.class)).collect();
    assert_eq!(
        calls[..5],
        [
            (MUTEX_LOCK, 0x8c37e, Class::Emulated),
            ("pthread_mutex_timedlock", 0x8d215, Class::Emulated),
            ("pthread_mutex_clocklock", 0x8d1f3, Class::Emulated),
            ("pthread_mutex_trylock", 0x8d220, Class::Emulated),
            ("pthread_mutex_unlock", 0x8dd55, Class::Emulated),
        ]
    );
    assert!(calls[5..].iter().all(|call| call.2 == Class::Emulated), "{calls:?}");
    assert_eq!(calls.last().map(|call| call.0), Some(COND_LOCK));
    let (emulated, stepped) = (Class::Emulated, Class::SingleStepped);
    assert_eq!(
        rows,
        [
            (0x8c47d, Role::KernelWait(Wait::Normal), emulated, None),
            (0x8c4d5, Role::KernelWait(Wait::Recursive), emulated, None),
            (0x8c54d, Role::Contended, stepped, None),
            (0x8c5b6, Role::SpinEnd, emulated, Some(Reg::Rbx)),
            (0x8c5e1, Role::GaveUp, stepped, None),
            (0x8c5ec, Role::LastAttempt, emulated, None),
            (0x8c5fc, Role::KernelWait(Wait::Adaptive), emulated, None),
        ]
    );
    let lock_is_first_argument = Some(LockPointer { register: Reg::Rdi, offset: 0 });
    assert!(lock.iter().all(|site| site.lock == lock_is_first_argument && site.file_offset == site.address));
    // The same source in another function, with the count in another register.
    let relock =
        |role: Role| found.sites.iter().find(|site| site.function == COND_LOCK && site.role == role).unwrap();
    assert_eq!(relock(Role::SpinEnd).address, 0x8b866);
    assert_eq!(relock(Role::SpinEnd).count_register, Some(Reg::Rbp));
    assert_eq!(relock(Role::Contended).address, 0x8b7fd);
    // Timed locks count attempts in the same library.
    let timed = found.spins.iter().find(|spin| spin.function == "pthread_mutex_timedlock");
    assert_eq!(timed.map(|spin| spin.generation), Some(Generation::Linear));
}

#[test]
fn one_changed_byte_is_refused() {
    let bytes = need!(here());
    let (build_id, _) = found(&bytes);
    need!(build_id.as_deref() == Some(KNOWN), "the C library here is not 2.36-9+deb12u14");
    let refused = |at: usize, from: u8, to: u8| {
        let mut bytes = bytes.clone();
        assert_eq!(std::mem::replace(&mut bytes[at], to), from, "{at:#x}");
        let image = Image::parse(&bytes).unwrap();
        find(&image, &Extents::of(&image)).unwrap_err()
    };
    // `mov $8,%esi` becomes `mov $9,%esi`: no mean over eight any more.
    assert_eq!(
        refused(0x8c5a5, 8, 9),
        "pthread_mutex_lock stores something into __spins that is not its running mean"
    );
    // `movswl 0x14(%rdi),%eax` loads from 0x15.
    assert_eq!(
        refused(0x8c550, 0x14, 0x15),
        "pthread_mutex_lock does not load __spins once before the spin and once at each end of it"
    );
    // `rdtsc` becomes `cpuid`.
    assert_eq!(refused(0x8c564, 0x31, 0xa2), "pthread_mutex_lock spins in a way that is not known");
    // `jne` to the spin becomes `je`.
    assert_eq!(
        refused(0x8c4f9, 0x75, 0x74),
        "pthread_mutex_lock reaches its spin in another way than by a failed attempt to lock"
    );
    // The kind of futex operation: a wake instead of a wait.
    assert_eq!(
        refused(0x86128, 0x80, 0x81),
        "pthread_mutex_lock calls something after its spin that is no wait in the kernel"
    );
}
