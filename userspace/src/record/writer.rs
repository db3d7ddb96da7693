//! Writes a recording: each record with one write, so that whatever ends the tool leaves whole lines behind.

use crate::{
    files::{FileError, OutputFile},
    model::{
        frame::{Frame, ProcessFrame},
        session::Header,
    },
};

use super::wire::{self, Line, Part};

/// Calls in one line: with the largest histograms that there can be, a line stays far below what a reader takes.
const CALLS_PER_LINE: usize = 1024;

/// A recording that is being written.
#[derive(Debug)]
pub struct Recorder {
    file: OutputFile,
    frames: u64,
}

impl Recorder {
    /// Begins a recording in a file that was just created.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn begin(file: OutputFile, header: &Header) -> Result<Self, FileError> {
        let mut recorder = Self { file, frames: 0 };
        recorder.put(&Line { header: Some(header.into()), ..Line::default() })?;
        Ok(recorder)
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn frame(&mut self, frame: &Frame) -> Result<(), FileError> {
        let mut chunks = chunks(&frame.processes);
        let last = chunks.pop().unwrap_or_default();
        for processes in chunks {
            let part = Part { sequence: frame.sequence, processes };
            self.put(&Line { part: Some(part), ..Line::default() })?;
        }
        let record = wire::Frame {
            sequence: frame.sequence,
            at_ns: frame.at_ns,
            span_ns: frame.span_ns,
            processes: last,
            ledger: (&frame.ledger).into(),
            overhead: (&frame.overhead).into(),
        };
        self.put(&Line { frame: Some(record), ..Line::default() })?;
        self.frames += 1;
        Ok(())
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn finish(mut self) -> Result<(), FileError> {
        let end = wire::End { frames: self.frames };
        self.put(&Line { end: Some(end), ..Line::default() })
    }

    fn put(&mut self, line: &Line) -> Result<(), FileError> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| self.file.failed(&error.into()))?;
        bytes.push(b'\n');
        self.file.put(&bytes)
    }
}

/// Processes in portions of at most [`CALLS_PER_LINE`] calls; one with more calls is spread over several portions.
fn chunks(processes: &[ProcessFrame]) -> Vec<Vec<wire::Process>> {
    let mut chunks = vec![Vec::new()];
    let mut room = CALLS_PER_LINE;
    for process in processes {
        let whole = wire::Process::from(process);
        let mut rest = whole.syscalls.as_slice();
        loop {
            if room == 0 {
                chunks.push(Vec::new());
                room = CALLS_PER_LINE;
            }
            let (now, later) = rest.split_at(rest.len().min(room));
            // A process without calls takes a place as well.
            room -= now.len().max(1).min(room);
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(wire::Process { syscalls: now.to_vec(), ..whole.clone() });
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
    }
    chunks
}
