//! Comparisons of files: recordings, and JSON exports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use model::frame::Ledger;
use thiserror::Error;

use super::{
    Frame, HistError, Sample, Selection, Variant, build,
    json::{Comparison, Environment, Method},
    measures, terms,
};
use crate::{
    export::json::{Export, SCHEMA},
    files::cause,
    record::{ReadError, Reader},
};

/// A file, and the variant that it is a round of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The variant; files with the same one are its rounds. `None`: the file is a variant of its own.
    pub label: Option<String>,
    /// Path of the file.
    pub path: PathBuf,
}

/// Reason why files cannot be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// A recording that cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file that is neither.
    #[error("cannot read {name}: {cause}; name recordings (--record) or exports (--json) of pulse-trace")]
    File {
        /// Name of the file.
        name: String,
        /// Reason for the failure.
        cause: String,
    },
    /// Buckets that mean something else, or do not add up.
    #[error("cannot compare {name}: {cause}; use the pulse-trace that made it, or record again")]
    Hist {
        /// Name of the file.
        name: String,
        /// Reason for the failure.
        cause: HistError,
    },
    /// The probes of two files differ.
    #[error(
        "cannot compare {first} with {second}: their probes differ ({these} and {those}); record both with the same --probes"
    )]
    Probes {
        /// Name of the first file.
        first: String,
        /// Name of the other file.
        second: String,
        /// The probes of the first.
        these: String,
        /// Those of the second.
        those: String,
    },
    /// The machines of two files differ in their system calls.
    #[error(
        "cannot compare {first} with {second}: {these} and {those} have other system calls; compare like with like"
    )]
    Architecture {
        /// Name of the first file.
        first: String,
        /// Name of the other file.
        second: String,
        /// The architecture of the first.
        these: String,
        /// That of the second.
        those: String,
    },
    /// No process in common.
    #[error(
        "cannot compare: no process of the same name is in all files ({0}); pair them with --match NAME=OTHER, or take everything with --match-all"
    )]
    NoMatch(String),
    /// Nothing of the name that was asked for.
    #[error("cannot compare: {file} has no process named {name:?}; it has {known}")]
    NoName {
        /// Name of the file.
        file: String,
        /// Name of the process that was asked for.
        name: String,
        /// Names of the processes in the file.
        known: String,
    },
    /// Nothing to compare.
    #[error("cannot compare {0}: it holds no process; record for longer, or another target")]
    Empty(String),
}

/// The processes to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// Names, each with those that count as the same. Without any: all names that all files have.
    pub names: Vec<(String, Vec<String>)>,
    /// All processes of a file as one.
    pub all: bool,
}

struct Read {
    given: Given,
    name: String,
    export: Export,
}

/// Compares files of sessions.
///
/// # Errors
/// If one cannot be read, or what they hold cannot be compared.
pub fn of_files(
    given: &[Given],
    matching: &Matching,
    reference: Option<&str>,
    command: Vec<String>,
) -> Result<Comparison, CompareError> {
    of_read(&read_all(given)?, matching, reference, command)
}

/// Compares a file that is in memory with itself.
///
/// # Errors
/// As for [`of_files`].
pub fn of_bytes(bytes: &[u8]) -> Result<Comparison, CompareError> {
    let read = |label: &str| {
        let given = Given { label: Some(label.to_owned()), path: label.into() };
        Ok::<_, CompareError>(Read { given, name: label.to_owned(), export: read_from(bytes, label)? })
    };
    of_read(&[read("a")?, read("b")?], &Matching::default(), None, Vec::new())
}

fn of_read(
    read: &[Read],
    matching: &Matching,
    reference: Option<&str>,
    command: Vec<String>,
) -> Result<Comparison, CompareError> {
    comparable(read)?;
    let names = names(read, matching)?;
    let mut variants: Vec<Variant> = Vec::new();
    for (nth, file) in read.iter().enumerate() {
        let sample = Sample { position: nth as u32, ..sample(file, &names)? };
        let label = file.given.label.clone().unwrap_or_else(|| own_label(read, nth));
        match variants.iter_mut().find(|variant| variant.label == label) {
            Some(variant) => {
                variant.source.push(file.name.clone());
                variant.rounds.push(sample);
            }
            None => {
                variants.push(Variant {
                    label,
                    source: vec![file.name.clone()],
                    rounds: vec![sample],
                    untraced: None,
                });
            }
        }
    }
    let reference = reference.and_then(|label| variants.iter().position(|variant| variant.label == label));
    let labels: Vec<&str> = variants.iter().map(|variant| variant.label.as_str()).collect();
    Ok(build(frame(read, &labels, reference.unwrap_or(0), command), &variants))
}

fn frame(read: &[Read], labels: &[&str], reference: usize, command: Vec<String>) -> Frame {
    let first = &read[0].export;
    let files: Vec<(&str, &Export)> = read.iter().map(|file| (file.name.as_str(), &file.export)).collect();
    Frame {
        title: format!("compare {}", labels.join(", ")),
        environment: Environment {
            kernel: first.host.kernel.clone(),
            arch: first.host.arch.clone(),
            cpus: first.host.cpus,
            clock: first.host.clock.clone(),
            ..Environment::default()
        },
        method: Method {
            command,
            start_unix_ns: first.session.start_unix_ns,
            probes: first.session.probes.clone(),
            ..Method::default()
        },
        reference,
        uneven: terms::uneven(&files),
        finished: read.iter().all(|file| file.export.session.finished),
        warnings: terms::unequal(&files),
    }
}

/// Reads two at a time: they are independent of each other, and long.
fn read_all(given: &[Given]) -> Result<Vec<Read>, CompareError> {
    let mut all = Vec::with_capacity(given.len());
    for pair in given.chunks(2) {
        let outcomes = std::thread::scope(|scope| {
            let second = pair.get(1).map(|file| scope.spawn(|| read(file)));
            let first = read(&pair[0]);
            let second =
                second.map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            [Some(first), second]
        });
        for outcome in outcomes.into_iter().flatten() {
            all.push(outcome?);
        }
    }
    Ok(all)
}

fn read(given: &Given) -> Result<Read, CompareError> {
    let name = given.path.display().to_string();
    let failed = |error| CompareError::File { name: name.clone(), cause: cause(&error) };
    let file = File::open(&given.path).map_err(failed)?;
    let export = read_from(BufReader::with_capacity(1 << 16, file), &name)?;
    Ok(Read { given: given.clone(), name, export })
}

/// A recording or an export.
fn read_from(mut source: impl BufRead, name: &str) -> Result<Export, CompareError> {
    let failed = |error| CompareError::File { name: name.to_owned(), cause: cause(&error) };
    let start = source.fill_buf().map_err(failed)?;
    let is_export = start.starts_with(b"{") && !start.starts_with(b"{\"header\"");
    let export = if is_export {
        read_export(source, name)?
    } else {
        let replay = Reader::new(source, name.to_owned())?.replay()?;
        Export::from(&replay.session)
    };
    if export.processes.is_empty() {
        return Err(CompareError::Empty(name.to_owned()));
    }
    Ok(export)
}

fn read_export(mut source: impl BufRead, name: &str) -> Result<Export, CompareError> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let failed = |cause: String| CompareError::File { name: name.to_owned(), cause };
    let broken = |error: serde_json::Error| {
        let cause =
            if error.is_eof() { "it is cut off".to_owned() } else { format!("it is damaged ({error})") };
        failed(cause)
    };
    let mut text = Vec::new();
    source.read_to_end(&mut text).map_err(|error| failed(cause(&error)))?;
    let head: Head = serde_json::from_slice(&text).map_err(broken)?;
    if head.schema != SCHEMA {
        let found: String = head.schema.chars().take(60).collect();
        return Err(failed(format!("it is of schema {found:?}, and this pulse-trace compares {SCHEMA:?}")));
    }
    serde_json::from_slice(&text).map_err(broken)
}

/// Refuses what would compare apples with pears.
fn comparable(read: &[Read]) -> Result<(), CompareError> {
    let first = &read[0];
    for other in &read[1..] {
        let (these, those) = (first.export.session.probes.join(","), other.export.session.probes.join(","));
        let (first_name, second) = (first.name.clone(), other.name.clone());
        if these != those {
            return Err(CompareError::Probes { first: first_name, second, these, those });
        }
        let (these, those) = (first.export.host.arch.clone(), other.export.host.arch.clone());
        if these != those {
            return Err(CompareError::Architecture { first: first_name, second, these, those });
        }
    }
    Ok(())
}

/// The groups of processes: name, and the names in the files that belong to it; `None` for all in one.
type Names = Option<Vec<(String, Vec<String>)>>;

fn names(read: &[Read], matching: &Matching) -> Result<Names, CompareError> {
    if matching.all {
        return Ok(None);
    }
    let comms = |file: &Read| -> BTreeSet<String> {
        file.export.processes.iter().map(|process| process.comm.clone()).collect()
    };
    let listed = |file: &Read| comms(file).into_iter().take(8).collect::<Vec<_>>().join(", ");
    if matching.names.is_empty() {
        let mut common = comms(&read[0]);
        read[1..].iter().for_each(|file| common = common.intersection(&comms(file)).cloned().collect());
        if common.is_empty() {
            let all: Vec<String> =
                read.iter().map(|file| format!("{}: {}", file.name, listed(file))).collect();
            return Err(CompareError::NoMatch(all.join("; ")));
        }
        return Ok(Some(common.into_iter().map(|name| (name.clone(), vec![name])).collect()));
    }
    for (name, same) in &matching.names {
        if let Some(file) = read.iter().find(|file| !comms(file).iter().any(|comm| same.contains(comm))) {
            return Err(CompareError::NoName {
                file: file.name.clone(),
                name: name.clone(),
                known: listed(file),
            });
        }
    }
    Ok(Some(matching.names.clone()))
}

fn sample(file: &Read, names: &Names) -> Result<Sample, CompareError> {
    let export = &file.export;
    let mut sample = Sample {
        start_unix_ns: export.session.start_unix_ns,
        wall_ns: export.session.duration_ns,
        tracer_cpu_percent: export.overhead.cpu_percent,
        ledger: Some(ledger(&export.ledger)),
        notes: export.notes.clone(),
        ..Sample::default()
    };
    if !export.session.finished {
        sample.notes.push(format!("{} ends early, as if pulse-trace had been killed", file.name));
    }
    let groups = match names {
        None => vec![(String::new(), Vec::new())],
        Some(groups) => groups.clone(),
    };
    for (name, same) in &groups {
        let prefix = if groups.len() > 1 { format!("{name}:") } else { String::new() };
        let chosen = (!same.is_empty()).then_some(same.as_slice());
        let duration_ns = Some(export.session.duration_ns);
        let selection = Selection { comms: chosen, prefix: &prefix, per: None, duration_ns };
        let (mut numbers, mut distributions) = measures(export, selection)
            .map_err(|cause| CompareError::Hist { name: file.name.clone(), cause })?;
        sample.measures.append(&mut numbers);
        sample.distributions.append(&mut distributions);
    }
    Ok(sample)
}

fn ledger(exported: &crate::export::json::Ledger) -> Ledger {
    let book = |book: &BTreeMap<String, u64>| book.clone();
    Ledger {
        counted: exported.counted,
        events: book(&exported.events),
        lost: book(&exported.lost),
        censored: book(&exported.censored),
        degraded: book(&exported.degraded),
        room: book(&exported.room),
    }
}

/// The file's name; its whole path where two have the same.
fn own_label(read: &[Read], nth: usize) -> String {
    let short =
        |path: &Path| path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mine = short(&read[nth].given.path);
    let same =
        read.iter().filter(|file| file.given.label.is_none() && short(&file.given.path) == mine).count();
    if same <= 1 {
        return mine;
    }
    let before = read[..nth].iter().filter(|file| file.given.path == read[nth].given.path).count();
    let path = read[nth].name.clone();
    if before == 0 { path } else { format!("{path} #{}", before + 1) }
}
