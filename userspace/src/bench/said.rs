//! Files in memory for the output and the errors of a program.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    process::Stdio,
};

use model::text::printable;
use rustix::fs::{MemfdFlags, memfd_create};

/// The most that is read of what a program prints.
const LONGEST: u64 = 64 << 20;
/// Lines and characters of its complaints that are told.
const LINES: usize = 3;
const CHARACTERS: usize = 300;

/// A file in memory.
#[derive(Debug)]
pub struct Said(File);

impl Said {
    /// An empty one.
    pub fn create() -> io::Result<Self> {
        Ok(Self(File::from(memfd_create("pulse-trace output", MemfdFlags::CLOEXEC)?)))
    }

    /// The end that a program writes to.
    pub fn stdio(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }

    /// All of it.
    pub fn text(&mut self) -> io::Result<String> {
        self.0.rewind()?;
        let mut text = Vec::new();
        (&self.0).take(LONGEST).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Its last lines as part of a sentence; nothing where it said nothing.
    pub fn complaint(&mut self) -> String {
        let text = self.text().unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return String::new();
        }
        let last = printable(&lines[lines.len().saturating_sub(LINES)..].join(" / "));
        format!(", and said: {}", last.chars().take(CHARACTERS).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_last_lines_are_told_and_silence_is_not() {
        let mut said = Said::create().unwrap();
        assert_eq!(said.complaint(), "");
        said.0.write_all(b"one\n\ntwo\n three\x1b[2J\nfour\n").unwrap();
        let told = said.complaint();
        assert!(told.starts_with(", and said: two / three") && told.ends_with("/ four"), "{told}");
        assert!(!told.contains('\x1b'));
        assert!(said.text().unwrap().starts_with("one"));
    }
}
