//! Opens what the confined process asks for: only what belongs to processes that it was asked about, and only what is code
//! there or tells about code.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

use binary::{
    channel,
    files::{Files as _, Here, Origin, WrittenNames},
    input::{self, Identity},
    maps::{Mapping, Maps},
    service::{Answer, Question},
};

use object::elf::{ET_DYN, ET_EXEC};

use super::process::Reading;
use crate::target;

/// Longest piece of text in one answer.
const PIECE: usize = 64 << 10;
/// Places of names that one process can have: its regions of code without a file.
const MOST_NAMES: usize = 64;
/// Longest piece of memory.
const LONGEST: usize = 64 << 10;

/// Who opens, and for what.
#[derive(Default)]
pub struct Answers {
    here: Here,
    /// Processes that were asked about.
    processes: HashMap<u32, Process>,
    /// Files that were handed over: debug information is looked for beside them.
    known: HashSet<Origin>,
    /// Files that were handed over unasked.
    handed: HashSet<Identity>,
    /// Files that cannot be read.
    excluded: HashSet<Identity>,
    /// Processes of which code in memory, and names of it, cannot be read.
    nameless: HashSet<u32>,
}

/// What a process has mapped.
#[derive(Default)]
struct Process {
    /// When it started: another one may have its id later.
    started: Option<u64>,
    /// Where names of its code would be.
    names: Vec<WrittenNames>,
    /// All, for as long as it is being handed over.
    text: Vec<u8>,
    code: Vec<Mapping>,
}

impl Answers {
    /// Questions about this process are answered from now on.
    pub fn allow(&mut self, pid: u32) {
        let started = target::stat(pid).map(|stat| stat.started);
        let process = self.processes.entry(pid).or_default();
        if process.started != started {
            *process = Process { started, ..Process::default() };
        }
    }

    /// Questions about this process are answered no longer.
    pub fn forget(&mut self, pid: u32) {
        if let Some(process) = self.processes.remove(&pid) {
            process.names.into_iter().for_each(|names| self.here.forget_names(names));
        }
        self.nameless.remove(&pid);
        self.known.retain(|origin| origin.pid != pid);
    }

    /// Does not open this file any more.
    pub fn exclude(&mut self, file: Identity) {
        self.excluded.insert(file);
    }

    /// Does not open this any more.
    pub fn leave_alone(&mut self, reading: &Reading) {
        match reading.file {
            Some(file) => self.exclude(file),
            None => drop(self.nameless.insert(reading.pid)),
        }
    }

    /// This file has been handed over.
    pub fn handed_over(&mut self, origin: &Origin) {
        self.known.insert(origin.clone());
    }

    /// What a process has mapped, unless the text is long, and files that were not handed over yet: most of what
    /// would be asked for next.
    pub fn beforehand(&mut self, pid: u32) -> (Vec<u8>, Vec<(u64, File)>) {
        self.allow(pid);
        let Ok(text) = self.maps(pid, 0) else { return Default::default() };
        let Some(process) = self.processes.get_mut(&pid) else { return Default::default() };
        let is_whole = process.text.len() == text.len();
        process.text = Vec::new();
        let wanted: Vec<Mapping> = process.code.iter().filter(|it| it.inode != 0).cloned().collect();
        let mut files = Vec::new();
        for mapping in wanted {
            if files.len() == channel::FILES || self.handed.contains(&mapping.identity()) {
                continue;
            }
            if let Ok(file) = self.mapped(pid, &mapping) {
                self.handed.insert(mapping.identity());
                files.push((mapping.start, file));
            }
        }
        (if is_whole { text } else { Vec::new() }, files)
    }

    /// Another process will ask: it has no files yet.
    pub fn start_anew(&mut self) {
        self.handed.clear();
        for process in self.processes.values_mut() {
            process.names.drain(..).for_each(|names| self.here.forget_names(names));
        }
    }

    /// Answers a question; some answers come with open files.
    pub fn to(&mut self, question: Question) -> (Answer, Vec<File>) {
        self.find(question).unwrap_or_else(|error| (Answer::Refused((&error).into()), Vec::new()))
    }

    fn find(&mut self, question: Question) -> io::Result<(Answer, Vec<File>)> {
        match question {
            Question::Maps { pid, from } => {
                self.is_the_same(pid)?;
                Ok((Answer::Bytes(self.maps(pid, from)?), Vec::new()))
            }
            Question::Mapped { pid, start } => {
                self.is_the_same(pid)?;
                let mapping = self.code_at(pid, start)?.clone();
                if mapping.start != start {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Ok((Answer::Files, vec![self.mapped(pid, &mapping)?]))
            }
            Question::Code { pid, at, length } => {
                self.is_the_same(pid)?;
                let mapping = self.code_at(pid, at)?;
                if self.nameless.contains(&pid)
                    || length > LONGEST
                    || at.saturating_add(length as u64) > mapping.end
                {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Ok((Answer::Bytes(self.here.code(pid, at, length)?), Vec::new()))
            }
            Question::WrittenNames(pid) => {
                self.is_the_same(pid)?;
                let is_allowed = self.of(pid)?.names.len() < MOST_NAMES && !self.nameless.contains(&pid);
                let names = is_allowed.then(|| self.here.written_names(pid)).flatten();
                self.processes.entry(pid).or_default().names.extend(names);
                Ok((Answer::Place(names), Vec::new()))
            }
            Question::OpenNames(of) => Ok((Answer::Files, self.here.open_names(of).into_iter().collect())),
            Question::Debug { of, wanted } => {
                if !self.known.contains(&of) {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                // What lies beside a file is the target's choice.
                let files = self.here.debug(&of, &wanted).into_iter().filter_map(|file| elf(file).ok());
                Ok((Answer::Files, files.take(channel::FILES).collect()))
            }
        }
    }

    /// Opens the file of a mapping, unless it is to be left alone.
    fn mapped(&mut self, pid: u32, mapping: &Mapping) -> io::Result<File> {
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        if self.excluded.contains(&mapping.identity()) {
            return Err(refused());
        }
        let file = elf(self.here.mapped(pid, mapping)?)?;
        // Some file systems tell of one device here and of another in what is mapped.
        if self.excluded.contains(&input::identity(&file)?) {
            return Err(refused());
        }
        let path = mapping.path().unwrap_or(Path::new("")).to_owned();
        self.known.insert(Origin { pid, path });
        Ok(file)
    }

    /// Refuses if another process has the id of the one that was asked about.
    fn is_the_same(&self, pid: u32) -> io::Result<()> {
        let started = target::stat(pid).map(|stat| stat.started);
        let is = self.of(pid)?.started == started;
        is.then_some(()).ok_or_else(|| io::ErrorKind::PermissionDenied.into())
    }

    fn of(&self, pid: u32) -> io::Result<&Process> {
        self.processes.get(&pid).ok_or_else(|| io::ErrorKind::PermissionDenied.into())
    }

    fn code_at(&self, pid: u32, address: u64) -> io::Result<&Mapping> {
        let found = self.of(pid)?.code.iter().find(|it| (it.start..it.end).contains(&address));
        found.ok_or_else(|| io::ErrorKind::PermissionDenied.into())
    }

    /// The next piece of the text.
    fn maps(&mut self, pid: u32, from: usize) -> io::Result<Vec<u8>> {
        let process = self.processes.get_mut(&pid).ok_or(io::ErrorKind::PermissionDenied)?;
        if from == 0 {
            process.text = self.here.maps(pid)?;
            let maps = Maps::parse(&process.text);
            process.code = maps.all().iter().filter(|it| it.executable).cloned().collect();
        }
        let rest = process.text.get(from..).unwrap_or_default();
        let piece = rest[..rest.len().min(PIECE)].to_vec();
        if piece.is_empty() {
            process.text = Vec::new();
        }
        Ok(piece)
    }
}

/// The file, if it is a program or a library: nothing else is handed over, and no memory of others (`/proc/kcore`, core dumps).
fn elf(file: File) -> io::Result<File> {
    let mut head = [0; 18];
    file.read_exact_at(&mut head, 0)?;
    let kind = u16::from_le_bytes([head[16], head[17]]);
    let is_code = head.starts_with(b"\x7fELF") && [ET_EXEC.0, ET_DYN.0].contains(&kind);
    is_code.then_some(file).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use binary::files::Wanted;

    use super::*;

    #[test]
    fn only_what_belongs_to_a_process_that_was_asked_about_is_opened() {
        let own = std::process::id();
        let mut answers = Answers::default();
        let mut refused = |question| matches!(answers.to(question).0, Answer::Refused(_));
        assert!(refused(Question::Maps { pid: own, from: 0 }));
        assert!(refused(Question::WrittenNames(own)));
        let mut answers = Answers::default();
        answers.allow(own);
        let (Answer::Bytes(text), _) = answers.to(Question::Maps { pid: own, from: 0 }) else { panic!() };
        let maps = Maps::parse(&text);
        let code = maps.all().iter().find(|it| it.executable && it.inode != 0).unwrap();
        let data = maps.all().iter().find(|it| !it.executable && it.inode != 0).unwrap();
        let wanted = || Wanted { build_id: Some("ab12".into()), link: None };
        let origin = Origin { pid: own, path: code.path().unwrap().into() };
        let mut refused = |question| matches!(answers.to(question).0, Answer::Refused(_));
        assert!(refused(Question::Mapped { pid: own, start: data.start }));
        assert!(refused(Question::Mapped { pid: own, start: code.start + 4096 }));
        assert!(refused(Question::Code { pid: own, at: data.start, length: 16 }));
        assert!(refused(Question::Code { pid: own, at: code.end - 8, length: 16 }));
        assert!(refused(Question::Debug { of: origin.clone(), wanted: wanted() }));
        assert!(!refused(Question::Code { pid: own, at: code.start, length: 16 }));
        let (Answer::Files, files) = answers.to(Question::Mapped { pid: own, start: code.start }) else {
            panic!()
        };
        assert_eq!(binary::input::identity(&files[0]).unwrap().1, code.inode);
        assert!(matches!(answers.to(Question::Debug { of: origin, wanted: wanted() }).0, Answer::Files));
        answers.excluded.insert(code.identity());
        assert!(matches!(answers.to(Question::Mapped { pid: own, start: code.start }).0, Answer::Refused(_)));
    }
}
