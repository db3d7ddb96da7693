//! Messages between the tool and the process that reads files for it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    channel::Cause,
    files::{Origin, Wanted, WrittenNames},
    input::Identity,
    locate::{plan::Planned, replaceable::Offer},
    symbolize::{Frame, Registers, Runtime, Spot, Stack},
};

/// To the one who reads.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToService {
    /// A request of the tool.
    Request(Request),
    /// The answer to a question; with the files, if they are.
    Answer(Answer),
}

/// From the one who reads.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// It needs something first.
    Question(Question),
    /// The reply to a request.
    Reply(Reply),
    /// It begins to read a file; nothing is answered.
    Reading {
        /// Name of the file, for people.
        name: String,
        /// Identity of the file, where it is one.
        file: Option<Identity>,
        /// A process that has it.
        pid: u32,
    },
}

/// A copied piece of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Process of the thread.
    pub pid: u32,
    /// Of the thread.
    pub registers: Registers,
    /// Bytes from its stack pointer upwards.
    pub bytes: Vec<u8>,
}

/// A request of the tool. With a file: of that file.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Request {
    /// Places to probe in a file.
    Plan(Origin),
    /// Instructions to replace in a file.
    Offer(Origin),
    /// Build id of a file.
    BuildId,
    /// To note what a process has mapped: the text of it, unless that is long, and where the files begin that
    /// come with it.
    Observe { pid: u32, maps: Vec<u8>, starts: Vec<u64> },
    /// To take it for what its parent has mapped; nothing is replied.
    Inherit { pid: u32, parent: u32 },
    /// To forget it; nothing is replied.
    Forget(u32),
    /// The stacks of these samples.
    Unwind(Vec<Sample>),
    /// The functions at these places.
    Describe(Vec<Spot>),
    /// The runtime of a process.
    Runtime(u32),
    /// To give memory back; nothing is replied.
    Rest,
}

/// The functions at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// The innermost first.
    pub frames: Arc<[Frame]>,
    /// False of code that was made at run time: it may be named later, or become another function.
    pub is_final: bool,
    /// True of code that was made at run time and has no names.
    pub lacks_names: bool,
}

/// Functions at one place: so many can be written into one another.
const MOST_FRAMES: usize = 64;
/// Longest name and path.
const LONGEST: usize = 512;

impl Described {
    /// The same with an end to what a file may claim.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let is_long = |text: &Arc<str>| text.len() > LONGEST;
        let frames = self.frames.iter();
        let long = frames.filter(|frame| {
            frame.function.as_ref().is_some_and(is_long)
                || is_long(&frame.module)
                || frame.location.as_ref().is_some_and(|(file, _)| is_long(file))
        });
        if long.count() == 0 && self.frames.len() <= MOST_FRAMES {
            return self;
        }
        let cut = |text: &Arc<str>| -> Arc<str> { text[..text.floor_char_boundary(LONGEST)].into() };
        let bounded = |frame: &Frame| Frame {
            function: frame.function.as_ref().map(cut),
            module: cut(&frame.module),
            location: frame.location.as_ref().map(|(file, line)| (cut(file), *line)),
            ..frame.clone()
        };
        self.frames = self.frames.iter().take(MOST_FRAMES).map(bounded).collect();
        self
    }

    /// Bytes that it takes in a message, and some to spare.
    pub fn size(&self) -> usize {
        let of = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let frame = |frame: &Frame| {
            let location = frame.location.as_ref().map_or(0, |(file, _)| file.len());
            64 + of(&frame.function) + frame.module.len() + location
        };
        self.frames.iter().map(frame).sum()
    }
}

/// A reply to a request.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Reply to [`Request::Plan`].
    Plan(Result<Planned, Cause>),
    /// Reply to [`Request::Offer`].
    Offer(Result<Offer, Cause>),
    /// Reply to [`Request::BuildId`].
    BuildId(Option<String>),
    /// Reply to [`Request::Observe`]: how many files could not be opened for want of descriptors so far,
    /// or what prevented it.
    Observed(Result<usize, String>),
    /// To [`Request::Unwind`], in its order.
    Unwound(Vec<Stack>),
    /// To [`Request::Describe`], as far as they fit in.
    Described(Vec<Described>),
    /// Reply to [`Request::Runtime`].
    Runtime(Runtime),
    /// There is no reply: the request came without its file, or the reply does not fit into a message.
    Lacking,
}

/// A question of the reading process, one for each function of [`crate::files::Files`].
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Question {
    /// The text of a part of what a process has mapped.
    Maps { pid: u32, from: usize },
    /// The file of the mapping that begins there.
    Mapped { pid: u32, start: u64 },
    /// Code in memory.
    Code { pid: u32, at: u64, length: usize },
    /// Place at which names would be written.
    WrittenNames(u32),
    /// Names that are written there.
    OpenNames(WrittenNames),
    /// Files that may hold debug information.
    Debug { of: Origin, wanted: Wanted },
}

/// An answer to a question; files come with the message.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Files, as many as there are.
    Files,
    /// Bytes that were read.
    Bytes(Vec<u8>),
    /// Place at which a process would write names.
    Place(Option<WrittenNames>),
    /// It is not to be had.
    Refused(Cause),
}
