//! Files that were damaged: no panic, no endless loop, and no site where none should be.

use std::{
    thread,
    time::{Duration, Instant},
};

use binary::{
    files::Wanted,
    locate::{
        debug_file::DebugFiles,
        plan::plan,
        site::{FilePlan, Role},
    },
};
use object::{Object as _, ObjectSymbol as _};
use pulse_trace_testing::need;

use crate::specimens::{by_code, read};

const FILES: u64 = 1_000;
/// A whole, sound C library takes a tenth of a second; a machine under load may need longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sensitive parts of a file, and its bytes.
type Source = (Vec<(usize, usize)>, Vec<u8>);

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

/// Parts that hold the structure of the file: damage there is what a reader has to stand.
fn sensitive(bytes: &[u8]) -> Vec<(usize, usize)> {
    use object::ObjectSection as _;
    let file = object::File::parse(bytes).unwrap();
    let names = [
        ".dynsym",
        ".dynstr",
        ".symtab",
        ".strtab",
        ".eh_frame",
        ".eh_frame_hdr",
        ".rela.plt",
        ".debug_info",
    ];
    let sections = names.iter().filter_map(|name| file.section_by_name(name)?.file_range());
    let of = |(from, len): (u64, u64)| (usize::try_from(from).unwrap(), usize::try_from(len).unwrap());
    let mut places: Vec<_> = sections.map(of).collect();
    places.push((0, 64 + 12 * 56));
    let headers = u64::from_le_bytes(bytes[0x28..0x30].try_into().unwrap());
    let headers = usize::try_from(headers).unwrap();
    places.push((headers, bytes.len() - headers));
    let lock = file.dynamic_symbols().find(|symbol| symbol.name() == Ok("pthread_mutex_lock"));
    // In these libraries the offset of code is its address.
    places.extend(lock.map(|symbol| of((symbol.address(), symbol.size()))));
    places
}

fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers, places: &[(usize, usize)]) {
    match numbers.below(8) {
        // Cut off.
        0 => bytes.truncate(numbers.below(bytes.len())),
        // Two section headers change places, or one points elsewhere.
        1 => {
            let (from, len) = places[places.len() - 2];
            let count = len / 64;
            let (one, other) = (from + 64 * numbers.below(count), from + 64 * numbers.below(count));
            for at in 8..48 {
                bytes.swap(one + at, other + at);
            }
        }
        // A block of zeros, or of another part of the file.
        2 => {
            let len = 1 + numbers.below(4096).min(bytes.len() / 4);
            let (from, to) = (numbers.below(bytes.len() - len), numbers.below(bytes.len() - len));
            if numbers.below(2) == 0 {
                bytes[to..to + len].fill(0)
            } else {
                bytes.copy_within(from..from + len, to)
            }
        }
        // Bits, most of them where they hurt.
        kind => {
            for _ in 0..1 + numbers.below(8) {
                let (from, len) = places[numbers.below(places.len())];
                let at = if kind == 3 { numbers.below(bytes.len()) } else { from + numbers.below(len) };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
        }
    }
}

/// Checks that the bytes at a site can be what its role says, and that the site is in the function that the file names.
fn check(bytes: &[u8], plan: &FilePlan, what: &str) {
    let file = object::File::parse(bytes).unwrap();
    let symbols = file.dynamic_symbols().chain(file.symbols());
    let symbols = symbols.filter(|symbol| symbol.name().is_ok_and(|name| name.starts_with("pthread_")));
    let functions: Vec<_> = symbols
        .map(|symbol| {
            let end = symbol.address().saturating_add(symbol.size());
            (symbol.name().unwrap(), symbol.address()..end)
        })
        .collect();
    for site in &plan.sites {
        let at = usize::try_from(site.file_offset).unwrap();
        let code = &bytes[at..];
        assert!(site.class.typical_ns().is_some(), "{what}: {site:?}");
        assert_ne!(code[0], 0xf0, "{what}: {site:?}");
        let fits = match site.role {
            Role::KernelWait(_) => code[0] == 0xe8,
            // The load of `__spins` itself, or a branch that ends its line.
            Role::Contended => code.starts_with(&[0x0f, 0xbf]) || code[0] & 0xf0 == 0x70 || code[0] == 0x0f,
            // The jump right behind the 16-bit store to 0x14, or the load that begins the update.
            Role::SpinEnd => {
                let store = &bytes[at - 5..at];
                let stored = store.ends_with(&[0x14]) && store.contains(&0x66) && store.contains(&0x89);
                stored || code.iter().take(5).any(|byte| *byte == 0xbf)
            }
            Role::LastAttempt => code[0] & 0xf0 == 0x70 || code[0] == 0x0f,
            _ => true,
        };
        assert!(fits, "{what}: {site:?} {:02x?}", &code[..8]);
        // A timed lock is one function behind two names that only jump to it.
        let elsewhere = site.function.contains("timedlock") || site.function.contains("clocklock");
        let mut named = functions.iter().filter(|(name, _)| *name == site.function).peekable();
        if named.peek().is_some() && !elsewhere {
            assert!(named.any(|(_, range)| range.contains(&site.address)), "{what}: {site:?} is outside");
        }
    }
    if plan.generation.is_none() {
        let spinning = plan.sites.iter().filter(|site| matches!(site.role, Role::SpinEnd | Role::GaveUp));
        assert_eq!(spinning.count(), 0, "{what}");
    }
}

#[test]
fn a_thousand_broken_files() {
    let small = need!(read("bullseye", "libpthread-2.31.so"));
    let large = need!(read("bookworm", "libc.so.6"));
    let sources = [(sensitive(&small), small), (sensitive(&large), large)];
    let understood: u64 = thread::scope(|scope| {
        let parts: Vec<_> = (0..2)
            .map(|part| {
                let sources = &sources;
                scope.spawn(move || {
                    (0..FILES).filter(|seed| seed % 2 == part && survives(*seed, sources)).count() as u64
                })
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    });
    // Damage that goes unnoticed and damage that is noticed must both have been tried.
    assert!(understood > 100 && FILES - understood > 100, "{understood} understood");
}

/// Reads one broken file; whether its spin is still understood.
fn survives(seed: u64, sources: &[Source; 2]) -> bool {
    let mut numbers = Numbers(seed);
    let (places, source) = &sources[usize::from(seed.is_multiple_of(5))];
    let mut bytes = source.clone();
    mutate(&mut bytes, &mut numbers, places);
    let since = Instant::now();
    let plan = by_code(&bytes);
    assert!(since.elapsed() < PATIENCE, "seed {seed}: {:?}", since.elapsed());
    if !plan.sites.is_empty() {
        check(&bytes, &plan, &format!("seed {seed}"));
    }
    plan.sites.iter().any(|site| site.role == Role::SpinEnd)
}

/// A debug file that is broken.
struct Broken(Vec<u8>);

impl DebugFiles for Broken {
    fn candidates(&self, _wanted: &Wanted) -> Vec<Vec<u8>> {
        vec![self.0.clone()]
    }
}

#[test]
fn two_hundred_broken_debug_files() {
    let library = need!(read("bullseye", "libpthread-2.31.so"));
    let id = by_code(&library).build_id.unwrap();
    let name = format!("debug/.build-id/{}/{}.debug", &id[..2], &id[2..]);
    let debug = need!(read("bullseye", &name));
    let sound = by_code(&library);
    let lasting = |role: Role| matches!(role, Role::Contended | Role::SpinEnd | Role::GaveUp);
    let places = |plan: &FilePlan| -> Vec<(String, Role, u64)> {
        let own = plan.sites.iter().filter(|site| lasting(site.role));
        own.map(|site| (site.function.clone(), site.role, site.address)).collect()
    };
    let expected = places(&sound);
    for seed in 0..200 {
        let mut numbers = Numbers(7_000 + seed);
        let mut bytes = debug.clone();
        let everywhere = [(0, bytes.len()), (bytes.len() - 4096, 4096), (0, 4096)];
        mutate(&mut bytes, &mut numbers, &everywhere);
        let since = Instant::now();
        let plan = plan(&library, &Broken(bytes));
        assert!(since.elapsed() < PATIENCE, "seed {seed}: {:?}", since.elapsed());
        // It may speak against a site, never for another one.
        assert!(places(&plan).iter().all(|place| expected.contains(place)), "seed {seed}");
    }
}
