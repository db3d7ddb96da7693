//! Files that the other side opens.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs::File,
    io,
    path::Path,
    rc::Rc,
};

use super::fault;
use super::messages::{Answer, Message, Question, ToService};
use crate::{
    channel::Channel,
    files::{Files, Origin, Wanted, WrittenNames},
    input::Identity,
    maps::Mapping,
};

/// Asks for each.
pub struct Asked {
    channel: Rc<RefCell<Channel>>,
    /// Name of the file that was reported last to be read.
    reading: RefCell<String>,
    file: Cell<Option<Identity>>,
    /// Data that came with a request, unasked.
    at_hand: RefCell<AtHand>,
}

/// Mappings of a process, and the files that begin there.
#[derive(Default)]
struct AtHand {
    pid: u32,
    maps: Vec<u8>,
    files: HashMap<u64, File>,
}

impl Asked {
    /// Over a channel on which nothing else is said meanwhile.
    pub fn new(channel: Rc<RefCell<Channel>>) -> Self {
        Self { channel, reading: RefCell::default(), file: Cell::default(), at_hand: RefCell::default() }
    }

    /// Another request begins: it is said anew what is read.
    pub fn next_request(&self) {
        self.reading.borrow_mut().clear();
    }

    /// Has this at hand, so that it need not be asked for.
    pub fn have(&self, pid: u32, maps: Vec<u8>, files: impl IntoIterator<Item = (u64, File)>) {
        *self.at_hand.borrow_mut() = AtHand { pid, maps, files: files.into_iter().collect() };
    }

    /// Says that a file is read that came with a request.
    pub fn begin(&self, path: &Path) {
        let name = path.file_name().unwrap_or_default();
        self.reading(&name.to_string_lossy(), None, 0);
    }

    fn ask(&self, question: Question) -> io::Result<(Answer, Vec<File>)> {
        let mut channel = self.channel.borrow_mut();
        channel.send(&Message::Question(question), &[])?;
        match channel.receive()? {
            Some((ToService::Answer(Answer::Refused(cause)), _)) => Err(cause.into()),
            Some((ToService::Answer(answer), files)) => Ok((answer, files)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn bytes(&self, question: Question) -> io::Result<Vec<u8>> {
        match self.ask(question)? {
            (Answer::Bytes(bytes), _) => Ok(bytes),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn files(&self, question: Question) -> io::Result<Vec<File>> {
        Ok(self.ask(question)?.1)
    }
}

impl Files for Asked {
    fn maps(&self, pid: u32) -> io::Result<Vec<u8>> {
        let at_hand = &mut *self.at_hand.borrow_mut();
        if at_hand.pid == pid && !at_hand.maps.is_empty() {
            return Ok(std::mem::take(&mut at_hand.maps));
        }
        let mut text = Vec::new();
        loop {
            let piece = self.bytes(Question::Maps { pid, from: text.len() })?;
            if piece.is_empty() {
                return Ok(text);
            }
            text.extend(piece);
        }
    }

    fn mapped(&self, pid: u32, mapping: &Mapping) -> io::Result<File> {
        let at_hand = &mut *self.at_hand.borrow_mut();
        if let Some(file) = at_hand.files.remove(&mapping.start).filter(|_| at_hand.pid == pid) {
            return Ok(file);
        }
        let file = self.files(Question::Mapped { pid, start: mapping.start })?.pop();
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn code(&self, pid: u32, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.bytes(Question::Code { pid, at, length })
    }

    fn written_names(&self, pid: u32) -> Option<WrittenNames> {
        match self.ask(Question::WrittenNames(pid)) {
            Ok((Answer::Place(place), _)) => place,
            _ => None,
        }
    }

    fn open_names(&self, of: WrittenNames) -> Option<File> {
        self.files(Question::OpenNames(of)).ok()?.pop()
    }

    fn debug(&self, of: &Origin, wanted: &Wanted) -> Vec<File> {
        self.files(Question::Debug { of: of.clone(), wanted: wanted.clone() }).unwrap_or_default()
    }

    fn reading(&self, name: &str, file: Option<Identity>, pid: u32) {
        if *self.reading.borrow() == name && self.file.get() == file {
            return;
        }
        name.clone_into(&mut self.reading.borrow_mut());
        self.file.set(file);
        // If the other side has gone, the next message says so.
        let _ = self.channel.borrow().send(&Message::Reading { name: name.to_owned(), file, pid }, &[]);
        fault::reading(name);
    }
}
