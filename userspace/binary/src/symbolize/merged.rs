//! Equal stacks counted as one.

use std::{collections::HashMap, io};

use super::{Stack, Symbolizer, folded};

/// Stacks with their counts, as many as are worth showing.
#[derive(Clone, Debug)]
pub struct Merged {
    counts: HashMap<Stack, u64>,
    most: usize,
    left_out: u64,
}

impl Merged {
    /// Room for so many different stacks.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { counts: HashMap::new(), most, left_out: 0 }
    }

    /// Counts a stack.
    pub fn add(&mut self, stack: Stack, count: u64) {
        let is_full = self.counts.len() >= self.most;
        match self.counts.get_mut(&stack) {
            Some(counted) => *counted += count,
            None if is_full => self.left_out += count,
            None => drop(self.counts.insert(stack, count)),
        }
    }

    /// Adds the stacks of another one.
    pub fn absorb(&mut self, others: Self) {
        self.left_out += others.left_out;
        for (stack, count) in others.counts {
            self.add(stack, count);
        }
    }

    /// Count of stacks that came when there was no more room for another.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// All, the most frequent first; equal ones always in the same order.
    #[must_use]
    pub fn ranked(&self) -> Vec<(&Stack, u64)> {
        let mut all: Vec<(&Stack, u64)> = self.counts.iter().map(|(stack, count)| (stack, *count)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all
    }

    /// Writes all as collapsed stacks.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_folded(&self, names: &mut Symbolizer, to: &mut impl io::Write) -> io::Result<()> {
        for (stack, count) in self.ranked() {
            folded::write(to, &names.describe(stack), &stack.end, count)?;
        }
        names.rest();
        if self.left_out > 0 {
            writeln!(to, "[left_out] {}", self.left_out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbolize::End;

    fn stack(end: &str) -> Stack {
        Stack { frames: Vec::new(), end: End::NoUnwindInfo(end.into()) }
    }

    #[test]
    fn equal_stacks_are_one_and_nothing_gets_lost() {
        let mut merged = Merged::new(2);
        for (end, count) in [("a", 1), ("b", 3), ("a", 5), ("c", 7), ("b", 1), ("c", 2)] {
            merged.add(stack(end), count);
        }
        assert_eq!(merged.ranked(), [(&stack("a"), 6), (&stack("b"), 4)]);
        assert_eq!(merged.left_out(), 9);
        let mut text = Vec::new();
        merged.write_folded(&mut Symbolizer::new(), &mut text).unwrap();
        assert_eq!(text, b"[no_unwind_info_in_a] 6\n[no_unwind_info_in_b] 4\n[left_out] 9\n");
    }
}
