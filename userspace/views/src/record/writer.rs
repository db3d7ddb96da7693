//! Writes a recording: each record with one write, so that whole lines are left behind if the tool ends for any reason.

use model::{frame::Frame, session::Header};

use super::{
    portions,
    wire::{self, Line, Part},
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
    pub fn begin(file: OutputFile, header: &Header) -> Result<Self, FileError> {
        let mut recorder = Self { file, frames: 0 };
        recorder.put(&Line { header: Some(header.into()), ..Line::default() })?;
        Ok(recorder)
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn frame(&mut self, frame: &Frame) -> Result<(), FileError> {
        let mut portions = portions::of(&frame.processes);
        let last = portions.pop().unwrap_or_default();
        for processes in portions {
            let part = Part { sequence: frame.sequence, processes };
            self.put(&Line { part: Some(part), ..Line::default() })?;
        }
        let record = wire::Frame { processes: last, ..frame.into() };
        self.put(&Line { frame: Some(record), ..Line::default() })?;
        self.frames += 1;
        Ok(())
    }

    /// Ends the recording.
    ///
    /// # Errors
    /// If the file system refuses.
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
