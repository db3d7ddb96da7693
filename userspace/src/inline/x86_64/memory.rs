//! The memory of another process.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
};

use super::fault;

/// It, open for reading and writing. It stays the memory of the same program: after an `exec` there is none.
pub struct Memory(File);

impl Memory {
    /// Opens it.
    pub fn open(pid: u32) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")).map(Self)
    }

    /// Fills a buffer.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, address)
    }

    /// So many bytes.
    pub fn bytes(&self, address: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes, into read-only mappings too: those become the process's own copies.
    pub fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        fault::step();
        self.0.write_all_at(bytes, address)
    }
}
