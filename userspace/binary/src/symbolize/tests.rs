//! Cases that no real program shows: noise, and the other machine.

use std::fs;

use super::{
    cfi::{Cfa, Row, Rule},
    elf::Machine,
    unwind::{self, Code, Ended, Reached, Registers},
    *,
};

/// The same numbers in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A word that a stack might hold: noise, code, a place in the stack, something small.
fn word(noise: &mut Noise, code: &[(u64, u64)], sp: u64) -> u64 {
    match noise.below(4) {
        0 => noise.next(),
        1 => {
            let (start, end) = code[noise.below(code.len() as u64) as usize];
            start + noise.below(end - start)
        }
        2 => sp.wrapping_add(noise.below(8192)) & !7,
        _ => noise.below(64),
    }
}

#[test]
fn noise_gives_no_frame_outside_of_code() {
    let me = std::process::id();
    let maps = Maps::parse(&fs::read("/proc/self/maps").unwrap());
    let code: Vec<(u64, u64)> = maps
        .all()
        .iter()
        .filter(|mapping| mapping.executable)
        .map(|mapping| (mapping.start, mapping.end))
        .collect();
    let stack = maps.all().iter().find(|mapping| mapping.name() == "[stack]").unwrap();
    let mut symbolizer = Symbolizer::new();
    symbolizer.observe(me).unwrap();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut beyond_first = 0;
    for _ in 0..10_000 {
        let sp = stack.end - 8192 + noise.below(4096);
        let bytes: Vec<u8> = (0..256).flat_map(|_| word(&mut noise, &code, sp).to_le_bytes()).collect();
        let mut any = || word(&mut noise, &code, sp);
        let taken = Registers { ip: any(), sp, bp: any(), lr: any() };
        let len = noise.below(bytes.len() as u64 + 1) as usize;
        let mut mapped = Mapped {
            process: &symbolizer.processes[&me],
            modules: &mut symbolizer.modules,
            scratch: &mut symbolizer.scratch,
            machine: Machine::here().unwrap(),
        };
        let (frames, ended) = unwind::walk(&mut mapped, Machine::here().unwrap(), &taken, &bytes[..len]);
        for (address, _) in &frames {
            assert!(maps.at(*address).is_some_and(|mapping| mapping.executable), "{address:#x}");
        }
        assert!(!frames.is_empty() || ended == Ended::Implausible);
        beyond_first += usize::from(frames.len() > 1);
        let found = symbolizer.unwind(me, &taken, &bytes[..len]);
        assert_eq!(found.frames.len(), frames.len());
        assert_eq!(symbolizer.describe(&found).is_empty(), frames.is_empty());
    }
    // Some noise must pass for a caller, or nothing was tested.
    assert!(beyond_first > 0);
}

/// Code that is made up: every function spans 0x100 bytes from 0x1000 on.
struct Made(Vec<Option<Arc<Row>>>);

impl Code for Made {
    fn is_executable(&self, address: u64) -> bool {
        (0x1000..0x1000 + 0x100 * self.0.len() as u64).contains(&address)
    }

    fn row(&mut self, address: u64) -> Option<Arc<Row>> {
        self.0.get((address.checked_sub(0x1000)? / 0x100) as usize)?.clone()
    }

    fn follows_call(&mut self, _: u64) -> Option<bool> {
        None
    }

    fn stack_end(&self, _: u64) -> Option<u64> {
        Some(0x9000)
    }
}

fn row(cfa: (u16, i64), return_address: Option<Rule>, saved: &[(u16, Rule)]) -> Option<Arc<Row>> {
    let cfa = Cfa::Offset(cfa.0, cfa.1);
    Some(Arc::new(Row { cfa, return_address, saved: saved.to_vec(), is_signal: false }))
}

fn memory(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Leaf without a frame; a function that saved pair 29 and 30; the entry of the thread.
fn arm() -> Made {
    let saved = [(29, Rule::At(-16))];
    let leaf = row((31, 0), None, &[]);
    let framed = row((29, 16), Some(Rule::At(-8)), &saved);
    Made(vec![leaf, framed, row((31, 0), Some(Rule::Undefined), &[])])
}

#[test]
fn a_leaf_of_arm_returns_by_its_link_register() {
    let signed = 0x1210 | 0x5a << 56;
    let bytes = memory(&[0xaaaa, 0x8040, signed, 0xbbbb]);
    let taken = Registers { ip: 0x1010, sp: 0x8000, bp: 0x8008, lr: 0x1110 };
    let (frames, ended) = unwind::walk(&mut arm(), Machine::Aarch64, &taken, &bytes);
    let expected = [(0x1010, Reached::Here), (0x1110, Reached::Call), (0x1210, Reached::Call)];
    assert_eq!((frames.as_slice(), ended), (expected.as_slice(), Ended::Complete));
}

#[test]
fn a_leaf_of_arm_is_no_reason_to_go_round_in_circles() {
    // The second function is a leaf by its row, but it made a call: its link register is gone.
    let mut code = Made(vec![row((31, 0), None, &[]), row((31, 0), None, &[])]);
    let taken = Registers { ip: 0x1010, sp: 0x8000, bp: 0, lr: 0x1110 };
    let (frames, ended) = unwind::walk(&mut code, Machine::Aarch64, &taken, &memory(&[0; 8]));
    assert_eq!((frames.len(), ended), (2, Ended::UnknownRegister));
}

#[test]
fn a_frame_pointer_is_followed_only_where_nothing_is_written_and_is_marked() {
    let known = row((7, 16), Some(Rule::At(-8)), &[]);
    let mut code = Made(vec![known, None, row((7, 8), Some(Rule::Undefined), &[])]);
    let bytes = memory(&[0, 0x1110, 0x8030, 0, 0x8040, 0x1210, 0, 0]);
    let taken = Registers { ip: 0x1010, sp: 0x8000, bp: 0x8020, lr: 0 };
    let (frames, ended) = unwind::walk(&mut code, Machine::X86_64, &taken, &bytes);
    let expected = [(0x1010, Reached::Here), (0x1110, Reached::Call), (0x1210, Reached::FramePointer)];
    assert_eq!((frames.as_slice(), ended), (expected.as_slice(), Ended::Complete));
    // One that leads nowhere is not followed.
    let taken = Registers { bp: 0x8001, ..taken };
    let (frames, ended) = unwind::walk(&mut code, Machine::X86_64, &taken, &bytes);
    assert_eq!((frames.len(), ended), (2, Ended::NoUnwindInfo));
}

#[test]
fn a_stack_must_shrink() {
    let mut code = Made(vec![row((7, 0), Some(Rule::At(0)), &[])]);
    let taken = Registers { ip: 0x1010, sp: 0x8000, bp: 0, lr: 0 };
    let (frames, ended) = unwind::walk(&mut code, Machine::X86_64, &taken, &memory(&[0x1010; 64]));
    assert_eq!((frames.len(), ended), (1, Ended::Implausible));
}

#[test]
fn beyond_the_copy_is_cut_and_beyond_the_stack_is_implausible() {
    let end_at = |offset| {
        let mut code = Made(vec![row((7, offset), Some(Rule::At(-8)), &[])]);
        let taken = Registers { ip: 0x1010, sp: 0x8000, bp: 0, lr: 0 };
        unwind::walk(&mut code, Machine::X86_64, &taken, &memory(&[0x1010; 4])).1
    };
    assert_eq!(end_at(0x100), Ended::CutByCopy);
    assert_eq!(end_at(0x2000), Ended::Implausible);
}
