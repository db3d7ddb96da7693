//! Reads a recording, record by record: memory is bounded by the longest line and by what the session itself holds.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use model::{
    frame::{Frame, ProcessFrame},
    session::{Header, Session},
};
use thiserror::Error;

use super::{
    FAMILY, SCHEMA,
    line::{self, Found},
    portions,
    wire::{Geometry, Line},
};

/// The longest first line: a command line is the only part of it that can grow.
const LONGEST_HEADER: usize = 8 << 20;
/// More than a writer puts into one line, for any session.
pub const LONGEST_LINE: usize = 32 << 20;
/// Versions are shown up to this length: they come from a file that may hold anything.
const SHOWN_VERSION: usize = 60;

/// Reason why a recording could not be read. The name is that of the file.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It could not be opened or read.
    #[error("cannot read {name}: {cause}; name a file that --record wrote")]
    Io {
        /// Name of the file.
        name: String,
        /// Error of the system.
        cause: String,
    },
    /// Nothing in it.
    #[error("cannot read {0}: it is empty; name a file that --record wrote")]
    Empty(String),
    /// A file of another kind.
    #[error("cannot read {0}: it is not a recording of pulse-trace; name a file that --record wrote")]
    NotARecording(String),
    /// The other format.
    #[error(
        "cannot read {0}: it is a JSON export, which does not hold the frames; name a file that --record wrote"
    )]
    Export(String),
    /// Made by a later version.
    #[error(
        "cannot read {name}: it is of version {found:?}, and this pulse-trace knows {SCHEMA:?}; use a newer one"
    )]
    Future {
        /// Name of the file.
        name: String,
        /// Version that the file states.
        found: String,
    },
    /// Buckets that mean something else.
    #[error("cannot read {0}: its histograms have another geometry; use the pulse-trace that made it")]
    Geometry(String),
    /// A line that does not belong there.
    #[error("cannot read {name}: line {line} is damaged ({cause}); record again")]
    Damaged {
        /// Name of the file.
        name: String,
        /// Number of the line, from 1.
        line: u64,
        /// Description of the damage.
        cause: String,
    },
}

/// A session out of a recording.
#[derive(Debug)]
pub struct Replay {
    /// Sum of the frames. It is `finished` when the recording has its end.
    pub session: Session,
    /// True if the last line was cut off and left out.
    pub cut: bool,
}

/// A recording that is being read.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    name: String,
    header: Header,
    line: Vec<u8>,
    number: u64,
    parts: Vec<ProcessFrame>,
    next_sequence: u64,
    finished: bool,
    cut: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read, or is no recording that this version understands.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| io_error(&name, &error))?;
        Self::new(BufReader::new(file), name)
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from anything; the name is for messages.
    ///
    /// # Errors
    /// If it cannot be read, or is no recording that this version understands.
    pub fn new(mut source: R, name: String) -> Result<Self, ReadError> {
        let mut line = Vec::new();
        let header = read_header(&mut source, &mut line, &name)?;
        Ok(Self {
            source,
            name,
            header,
            line,
            number: 1,
            parts: Vec::new(),
            next_sequence: 0,
            finished: false,
            cut: false,
        })
    }

    /// The header, written when the session began.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next frame; `None` after the last.
    ///
    /// # Errors
    /// If a line other than the last is damaged, or a frame is missing.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        loop {
            let found = line::next(&mut self.source, &mut self.line, LONGEST_LINE)
                .map_err(|error| io_error(&self.name, &error))?;
            self.number += 1;
            let cut = match found {
                Found::End => {
                    // Parts without their frame: the writer was stopped between two lines of one frame.
                    self.cut |= !self.parts.is_empty();
                    return Ok(None);
                }
                Found::TooLong => return Err(self.damaged("it is longer than any record")),
                Found::Whole if self.finished => return Err(self.damaged("it stands after the end")),
                Found::Whole => false,
                Found::Cut => true,
            };
            match serde_json::from_slice::<Line>(&self.line) {
                Ok(line) => {
                    if let Some(frame) = self.take(line)? {
                        return Ok(Some(frame));
                    }
                }
                // A line that was cut off breaks off in the middle; impossible values are no sign of that.
                Err(error) if cut && !error.is_data() => {
                    self.cut = true;
                    return Ok(None);
                }
                Err(error) => return Err(self.damaged(&error.to_string())),
            }
        }
    }

    /// Reads the rest and adds it up.
    ///
    /// # Errors
    /// As for [`Self::next_frame`].
    pub fn replay(mut self) -> Result<Replay, ReadError> {
        let mut session = Session::new(self.header.clone());
        while let Some(frame) = self.next_frame()? {
            session.add(&frame);
        }
        session.finished = self.finished;
        Ok(Replay { session, cut: self.cut })
    }

    fn take(&mut self, line: Line) -> Result<Option<Frame>, ReadError> {
        if line.header.is_some() {
            return Err(self.damaged("a second header"));
        }
        if let Some(end) = line.end {
            if end.frames != self.next_sequence || !self.parts.is_empty() {
                return Err(self.damaged("frames are missing before the end"));
            }
            self.finished = true;
        }
        if let Some(part) = line.part {
            self.expect(part.sequence)?;
            self.collect(part.processes);
        }
        let Some(mut frame) = line.frame else {
            return Ok(None);
        };
        self.expect(frame.sequence)?;
        self.next_sequence += 1;
        self.collect(std::mem::take(&mut frame.processes));
        frame.processes = std::mem::take(&mut self.parts);
        Ok(Some(frame))
    }

    fn expect(&self, sequence: u64) -> Result<(), ReadError> {
        if sequence == self.next_sequence {
            return Ok(());
        }
        Err(self.damaged(&format!("frame {} was expected, not {sequence}", self.next_sequence)))
    }

    /// Adds processes to the frame in the making; one that was spread over several lines becomes one again.
    fn collect(&mut self, processes: impl IntoIterator<Item = ProcessFrame>) {
        processes.into_iter().for_each(|process| portions::collect(&mut self.parts, process));
    }

    fn damaged(&self, cause: &str) -> ReadError {
        ReadError::Damaged { name: self.name.clone(), line: self.number, cause: cause.to_owned() }
    }
}

fn read_header(source: &mut impl BufRead, line: &mut Vec<u8>, name: &str) -> Result<Header, ReadError> {
    let first = source.fill_buf().map_err(|error| io_error(name, &error))?.first().copied();
    match first {
        None => return Err(ReadError::Empty(name.to_owned())),
        Some(b'{') => {}
        Some(_) => return Err(ReadError::NotARecording(name.to_owned())),
    }
    let found = line::next(source, line, LONGEST_HEADER).map_err(|error| io_error(name, &error))?;
    let value: Option<serde_json::Value> = match found {
        Found::Whole | Found::Cut => serde_json::from_slice(line).ok(),
        Found::TooLong | Found::End => None,
    };
    // An export is a single line that is often longer than any header.
    if line.starts_with(b"{\"schema\":\"pulse-trace/") {
        return Err(ReadError::Export(name.to_owned()));
    }
    let schema = value.as_ref().and_then(|value| value.pointer("/header/schema")?.as_str());
    match schema {
        Some(schema) if schema == SCHEMA => {}
        Some(schema) if schema.starts_with(FAMILY) => {
            let found = schema.chars().take(SHOWN_VERSION).collect();
            return Err(ReadError::Future { name: name.to_owned(), found });
        }
        _ => return Err(ReadError::NotARecording(name.to_owned())),
    }
    let damaged = |cause: String| ReadError::Damaged { name: name.to_owned(), line: 1, cause };
    let line: Line = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
    let header = line.header.ok_or_else(|| ReadError::NotARecording(name.to_owned()))?;
    if header.geometry != Geometry::OURS {
        return Err(ReadError::Geometry(name.to_owned()));
    }
    Ok(header.session)
}

fn io_error(name: &str, error: &io::Error) -> ReadError {
    ReadError::Io { name: name.to_owned(), cause: crate::files::cause(error) }
}
