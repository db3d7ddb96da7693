//! An array of atomic words in whole cache lines: eight to a line, or one.

use std::array;

use crate::atomic::AtomicU64;

const PER_LINE: usize = 8;

#[derive(Debug)]
#[repr(align(64))]
struct Line([AtomicU64; PER_LINE]);

#[derive(Debug)]
pub(super) struct Lines {
    lines: Vec<Line>,
    /// Indices are split here into line and place; 0 gives every word a line of its own.
    shift: u32,
}

impl Lines {
    pub fn new(words: usize, padded: bool) -> Self {
        let shift = if padded { 0 } else { PER_LINE.trailing_zeros() };
        let lines = if padded { words } else { words.div_ceil(PER_LINE) };
        let line = |_| Line(array::from_fn(|_| AtomicU64::new(0)));
        Self { lines: (0..lines).map(line).collect(), shift }
    }

    #[inline]
    pub fn word(&self, index: usize) -> &AtomicU64 {
        &self.lines[index >> self.shift].0[index & ((1 << self.shift) - 1)]
    }

    /// Bytes of one word as laid out.
    pub fn stride(&self) -> usize {
        size_of::<Line>() >> self.shift
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn words_are_apart_or_together_but_never_the_same() {
        for (padded, step) in [(true, 64), (false, 8)] {
            let lines = Lines::new(20, padded);
            let at = |index| std::ptr::from_ref(lines.word(index)).addr();
            assert!((1..20).all(|index| at(index) - at(index - 1) == step));
            assert_eq!((at(0) % 64, lines.stride()), (0, step));
        }
    }
}
