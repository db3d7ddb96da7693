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

#[cfg(test)]
mod tests {
    use pulse_trace_common::hist;

    use super::*;
    use crate::{
        model::frame::{Abi, Call, CallFrame, CallStats, ProcessKey, ThreadName},
        record::reader::LONGEST_LINE,
    };

    /// Every bucket filled with the largest count that a reader takes, every errno, the longest name.
    fn largest_call() -> CallFrame {
        let mut stats =
            CallStats { untimed: 1 << 50, unreturned: 1 << 50, in_flight: 1 << 50, ..CallStats::default() };
        (0..=hist::CLAMPED as u16).for_each(|bucket| stats.latency.add(bucket, 1 << 50));
        stats.errors = (0..160).map(|errno| (u32::MAX - errno, 1 << 50)).collect();
        let thread = ThreadName { tid: u32::MAX, comm: "\u{1}".repeat(16) };
        CallFrame { thread: Some(thread), call: Call { abi: Abi::Compat, nr: u32::MAX }, stats }
    }

    fn process(calls: usize) -> ProcessFrame {
        ProcessFrame {
            key: ProcessKey { pid: 1, joined_ns: u64::MAX },
            comm: String::new(),
            parent: None,
            threads: 1,
            exit: None,
            syscalls: vec![largest_call(); calls],
            ..ProcessFrame::default()
        }
    }

    #[test]
    fn a_line_never_outgrows_its_reader() {
        let one = serde_json::to_vec(&wire::Process::from(&process(1))).unwrap();
        assert!(one.len() * CALLS_PER_LINE < LONGEST_LINE, "{}", one.len());
        assert!(one.len() > 25_000, "{}", one.len());
    }

    #[test]
    fn portions_are_full_and_nothing_is_left_out() {
        let processes = [process(CALLS_PER_LINE - 1), process(2), process(0), process(2 * CALLS_PER_LINE)];
        let calls = |chunk: &Vec<wire::Process>| chunk.iter().map(|it| it.syscalls.len()).collect::<Vec<_>>();
        let portions: Vec<Vec<usize>> = chunks(&processes).iter().map(calls).collect();
        let rest = CALLS_PER_LINE - 2;
        assert_eq!(portions, [vec![CALLS_PER_LINE - 1, 1], vec![1, 0, rest], vec![CALLS_PER_LINE], vec![2]]);
        assert_eq!(chunks(&[]).len(), 1);
    }
}
