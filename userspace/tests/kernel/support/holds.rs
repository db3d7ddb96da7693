//! The program `holds`, whose locks are fought for as often as it says.

use serde::Deserialize;

/// Numbers that the program counts of itself.
#[derive(Debug, Deserialize)]
pub struct Holds {
    pub holds: bool,
    pub locks: Vec<Fought>,
}

/// One of its locks.
#[derive(Debug, Deserialize)]
pub struct Fought {
    pub address: u64,
    pub times: u64,
    pub holder: u32,
    pub held_ns: u64,
    pub waited_ns: u64,
}

impl Holds {
    /// Reads the line that it writes, among any others.
    pub fn read(output: &str) -> Self {
        let line = output.lines().find(|line| line.starts_with('{'));
        serde_json::from_str(line.unwrap_or_else(|| panic!("no truth in {output:?}"))).unwrap()
    }
}
