//! Files that are damaged while they are mapped: the traced user may write into his own libraries.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt as _,
    time::{Duration, Instant},
};

use binary::symbolize::Symbolizer;

use crate::{
    library::with_library,
    need,
    waiting::{Running, Shop, functions},
};

/// The same numbers in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Damages a file in one of several ways: its headers, its tables at the end, anywhere, or its length.
fn damage(file: &File, len: u64, noise: &mut Noise) {
    let (from, span) = match noise.below(4) {
        0 => (0, 0x400),
        1 => (len - 0x900, 0x900),
        _ => (0, len),
    };
    for _ in 0..=noise.below(24) {
        let at = (from + noise.below(span)).min(len - 8);
        let byte = [0, 0xff, 0x7f, noise.below(256) as u8][noise.below(4) as usize];
        let bytes = [byte; 8];
        file.write_all_at(&bytes[..1 + noise.below(8) as usize], at).unwrap();
    }
    if noise.below(8) == 0 {
        file.set_len(noise.below(len)).unwrap();
    }
}

#[test]
fn a_thousand_damaged_files_do_no_harm() {
    let shop = Shop::new();
    let program = need!(with_library(&shop, &["-g"]), "needs gcc");
    let path = shop.path("libchain.so");
    let sound = std::fs::read(&path).unwrap();
    let len = sound.len() as u64;
    let running = Running::start(&program);
    let taken = running.waiting();
    // The thread never runs again, so it does not notice.
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    let (mut intact, mut slowest) = (0, Duration::ZERO);
    for round in 0..1000 {
        damage(&file, len, &mut noise);
        let since = Instant::now();
        let mut symbolizer = Symbolizer::new();
        let stack = symbolizer.unwind(running.pid(), &taken.registers, &taken.bytes);
        let frames = symbolizer.describe(&stack);
        slowest = slowest.max(since.elapsed());
        // What is not damaged is named as ever: the C library comes first, and the program's own follow `c`.
        assert_eq!(&*frames[0].module, "libc.so.6", "round {round}: {frames:?}");
        let own = functions(&frames);
        intact += usize::from(own.ends_with(&["b".to_owned(), "a".to_owned(), "thread_entry".to_owned()]));
        file.write_all_at(&sound, 0).unwrap();
        file.set_len(len).unwrap();
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    // Most damage misses what matters; if none did, nothing was restored in between.
    assert!((100..1000).contains(&intact), "{intact}");
}
