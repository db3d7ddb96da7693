//! Writes a recording: each record with one write, so that whole lines are left behind if the tool ends for any reason.

use model::{frame::Frame, session};

use super::{
    SCHEMA, portions,
    wire::{End, Geometry, Header, Line, Part},
};
use crate::files::{FileError, OutputFile};

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
    /// If the file system refuses.
    pub fn begin(file: OutputFile, header: &session::Header) -> Result<Self, FileError> {
        let mut recorder = Self { file, frames: 0 };
        let header = Header { schema: SCHEMA.to_owned(), geometry: Geometry::OURS, session: header.clone() };
        recorder.put(&Line { header: Some(header), ..Line::default() })?;
        Ok(recorder)
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn frame(&mut self, frame: &Frame) -> Result<(), FileError> {
        let portions = portions::of(&frame.processes).map_err(|error| self.file.failed(&error.into()))?;
        let (last, before) = portions.split_last().map_or((&[][..], &[][..]), |(last, all)| (last, all));
        for processes in before {
            let part = Part { sequence: frame.sequence, processes: Vec::new() };
            self.put_with(processes, &Line { part: Some(part), ..Line::default() })?;
        }
        let frame = without_processes(frame);
        self.put_with(last, &Line { frame: Some(frame), ..Line::default() })?;
        self.frames += 1;
        Ok(())
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(mut self) -> Result<(), FileError> {
        let end = End { frames: self.frames };
        self.put(&Line { end: Some(end), ..Line::default() })
    }

    fn put(&mut self, line: &Line) -> Result<(), FileError> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| self.file.failed(&error.into()))?;
        bytes.push(b'\n');
        self.file.put(&bytes)
    }

    /// Writes a line that has no processes, with these.
    fn put_with(&mut self, processes: &[u8], line: &Line) -> Result<(), FileError> {
        let line = serde_json::to_vec(line).map_err(|error| self.file.failed(&error.into()))?;
        let at = line.windows(PROCESSES.len()).position(|part| part == PROCESSES);
        let (before, after) = line.split_at(at.map_or(0, |at| at + PROCESSES.len()));
        self.file.put(&[before, processes, after, b"\n"].concat())
    }
}

/// Text in a line in front of its processes. There is nothing but numbers before.
const PROCESSES: &[u8] = b"\"processes\":[";

fn without_processes(frame: &Frame) -> Frame {
    let Frame { sequence, at_ns, span_ns, ref ledger, ref overhead, ref notes, processes: _ } = *frame;
    let (ledger, overhead, notes) = (ledger.clone(), overhead.clone(), notes.clone());
    Frame { sequence, at_ns, span_ns, processes: Vec::new(), ledger, overhead, notes }
}
