//! Unknown callers are not invented.

use binary::symbolize::{End, Symbolizer};

use crate::{
    need,
    waiting::{Running, Shop, functions},
};

#[test]
fn a_copy_that_is_cut_gives_the_inner_frames_and_says_so() {
    let shop = Shop::new();
    let program = need!(shop.c("chain.c", &[]), "needs gcc");
    let running = Running::start(&program);
    let taken = running.waiting();
    let mut symbolizer = Symbolizer::new();
    let whole = symbolizer.unwind(running.pid(), &taken.registers, &taken.bytes);
    assert_eq!(whole.end, End::Complete);
    let mut lens = Vec::new();
    for cut in 0..taken.bytes.len() {
        let part = symbolizer.unwind(running.pid(), &taken.registers, &taken.bytes[..cut]);
        assert!(whole.frames.starts_with(&part.frames), "{cut}: {part:?}");
        let expected = if part.frames.len() == whole.frames.len() { &whole.end } else { &End::CutByCopy };
        assert!(part.end == *expected || part.end == End::CutByCopy, "{cut}: {part:?}");
        assert!(part.end != End::Complete || part == whole);
        lens.push(part.frames.len());
    }
    assert!(lens.is_sorted() && lens[0] == 1, "{lens:?}");
}

#[test]
fn a_process_that_is_gone_before_it_was_observed_gives_nothing() {
    let shop = Shop::new();
    let program = need!(shop.c("chain.c", &[]), "needs gcc");
    let running = Running::start(&program);
    let (pid, taken) = (running.pid(), running.waiting());
    running.end();
    let mut symbolizer = Symbolizer::new();
    let stack = symbolizer.unwind(pid, &taken.registers, &taken.bytes);
    assert_eq!((stack.frames.len(), &stack.end), (0, &End::Unobserved));
    assert!(functions(&symbolizer.describe(&stack)).is_empty());
}
