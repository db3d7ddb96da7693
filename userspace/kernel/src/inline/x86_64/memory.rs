//! The memory of another process.

use std::{
    fs::{File, OpenOptions},
    io, mem,
    os::unix::fs::FileExt as _,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use super::{fault, ptrace};

/// Memory of a process, open for reading and writing. Its file stays the memory of the same program: after an `exec`
/// all reads fail. Where the file is not open to this user, reads go to the program that the process runs
/// at that moment.
pub struct Memory {
    pid: u32,
    /// File of the memory. It belongs to the process's owner: a user who may trace the process without owning it goes
    /// through a traced thread instead.
    file: Option<File>,
    /// Id of a stopped thread.
    thread: AtomicU32,
}

const WORD: usize = mem::size_of::<u64>();

impl Memory {
    /// Opens the memory of a process.
    pub fn open(pid: u32) -> io::Result<Self> {
        let opened = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"));
        let memory = |file| Self { pid, file, thread: AtomicU32::new(pid) };
        match opened {
            Ok(file) => Ok(memory(Some(file))),
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => Ok(memory(None)),
            Err(cause) => Err(cause),
        }
    }

    /// From here on this thread is stopped, until it is resumed.
    pub fn through(&self, thread: u32) {
        self.thread.store(thread, Relaxed);
    }

    /// Fills a buffer.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.file {
            Some(file) => file.read_exact_at(buffer, address),
            None => ptrace::read_memory(self.pid, address, buffer),
        }
    }

    /// Reads so many bytes.
    pub fn bytes(&self, address: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes bytes, into read-only mappings too: those become the process's own copies.
    pub fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        fault::step();
        match &self.file {
            Some(file) => file.write_all_at(bytes, address),
            None => self.write_words(address, bytes),
        }
    }

    /// Writes word by word, from the first byte on: a jump is shorter than a word, and so is written at once.
    fn write_words(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let thread = self.thread.load(Relaxed);
        for (at, chunk) in (address..).step_by(WORD).zip(bytes.chunks(WORD)) {
            let mut word = [0; WORD];
            if chunk.len() < WORD {
                self.read(at, &mut word)?;
            }
            word[..chunk.len()].copy_from_slice(chunk);
            ptrace::write_word(thread, at, u64::from_le_bytes(word))?;
        }
        Ok(())
    }
}
