//! `--log`: what happens to the time of each push. All ways end in lines `producer,sequence,service,push`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use pulse_trace_workloads::clean::{Removal, unique_path};
use pulse_trace_workloads::contract::{Refusal, cannot};

use crate::args::Log;
use crate::board::Board;
use crate::case::Case;

/// One push: its message (the last of a batch), and its times in units of the clock.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub sequence: u64,
    /// The successful try alone.
    pub service: u64,
    /// From the moment it was due.
    pub push: u64,
}

pub const SAMPLE_BYTES: u64 = size_of::<Sample>() as u64;
/// Words of an entry in the common log.
const ENTRY: usize = 4;

/// Destination of one producer's samples.
pub enum SampleLog<'a> {
    None,
    /// Not touched beforehand: its page faults belong to this way of logging.
    Deferred(Vec<Sample>, File),
    Common(&'a Board, File),
    Own(BufWriter<File>),
}

impl SampleLog<'_> {
    #[inline]
    pub fn record(&mut self, producer: u32, sample: Sample) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Deferred(samples, _) => {
                samples.push(sample);
                Ok(())
            }
            Self::Common(board, file) => {
                let entry = [u64::from(producer), sample.sequence, sample.service, sample.push];
                board.log(&entry, |words| write_entries(file, words))
            }
            Self::Own(out) => write_line(out, producer, sample),
        }
    }

    /// Writes the samples that are not yet written. (The consumer, which ends last, flushes the common log.)
    pub fn finish(self, producer: u32) -> io::Result<()> {
        match self {
            Self::None | Self::Common(..) => Ok(()),
            Self::Deferred(samples, file) => {
                let mut out = BufWriter::new(file);
                samples.into_iter().try_for_each(|sample| write_line(&mut out, producer, sample))?;
                out.flush()
            }
            Self::Own(mut out) => out.flush(),
        }
    }
}

fn write_line(out: &mut impl Write, producer: u32, sample: Sample) -> io::Result<()> {
    writeln!(out, "{producer},{},{},{}", sample.sequence, sample.service, sample.push)
}

/// Writes entries of the common log. One buffer, one write: appended as a whole.
pub fn write_entries(file: &mut File, words: &[u64]) -> io::Result<()> {
    let mut text = Vec::with_capacity(words.len() * 8);
    let (entries, _) = words.as_chunks::<ENTRY>();
    for [producer, sequence, service, push] in entries {
        writeln!(text, "{producer},{sequence},{service},{push}")?;
    }
    file.write_all(&text)
}

/// The file of one log: kept if the user named a place, else without a name.
pub fn open(place: Option<&Path>, case: &Case, round: u32, producer: Option<u32>) -> Result<File, Refusal> {
    let refuse = |path: &Path, error: io::Error| {
        cannot(
            format_args!("create {}", path.display()),
            error,
            "name a place that can be written with --samples or TMPDIR",
        )
    };
    let Some(place) = place else {
        let path = unique_path("casq");
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(|error| refuse(&path, error))?;
        Removal::of(path).now();
        return Ok(file);
    };
    let path = name(place, case, round, producer);
    let create = || {
        let mut file = File::create(&path)?;
        file.write_all(b"producer,sequence,service,push\n")?;
        OpenOptions::new().append(true).open(&path)
    };
    create().map_err(|error| refuse(&path, error))
}

fn name(place: &Path, case: &Case, round: u32, producer: Option<u32>) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(format!(".{}.{}p.{}.r{round}", case.queue.name(), case.producers, case.log.name()));
    if let Some(producer) = producer {
        name.push(format!(".{producer}"));
    }
    name.push(".csv");
    name.into()
}

/// The log of one producer; `common` is the file of the common log.
pub fn of_producer<'a>(
    case: &Case,
    board: &'a Board,
    expected: u64,
    common: Option<File>,
    own: impl FnOnce() -> Result<File, Refusal>,
) -> Result<SampleLog<'a>, Refusal> {
    Ok(match (case.log, common) {
        (Log::Mutex, Some(file)) => SampleLog::Common(board, file),
        (Log::None | Log::Mutex, _) => SampleLog::None,
        (Log::Deferred, _) => SampleLog::Deferred(Vec::with_capacity(expected as usize), own()?),
        (Log::PerThread, _) => SampleLog::Own(BufWriter::new(own()?)),
    })
}
