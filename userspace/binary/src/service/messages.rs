//! What is said.

use std::{path::PathBuf, sync::Arc};

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
    /// What is wanted.
    Request(Request),
    /// What it has asked for; with the files, if they are.
    Answer(Answer),
}

/// From the one who reads.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// It needs something first.
    Question(Question),
    /// What was wanted.
    Reply(Reply),
    /// It begins to read a file; nothing is answered.
    Reading {
        /// What it is called.
        name: String,
        /// Which file, where it is one.
        file: Option<Identity>,
    },
}

/// A copied piece of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Whose.
    pub pid: u32,
    /// Of the thread.
    pub registers: Registers,
    /// What its stack pointer points to.
    pub bytes: Vec<u8>,
}

/// What is wanted. With a file: of that file.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Request {
    /// Places to probe in a file.
    Plan(Origin),
    /// Instructions to replace in a file.
    Offer(PathBuf),
    /// What identifies the build of a file.
    BuildId,
    /// To note what a process has mapped: the text of it, unless that is long, and where the files begin that come with it.
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
    /// Whether they stay: code that is made at run time may be named later, or become another function.
    pub is_final: bool,
    /// True of code that was made at run time and has no names.
    pub lacks_names: bool,
}

impl Described {
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

/// What is replied.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Plan`].
    Plan(Result<Planned, Cause>),
    /// To [`Request::Offer`].
    Offer(Result<Offer, Cause>),
    /// To [`Request::BuildId`].
    BuildId(Option<String>),
    /// To [`Request::Observe`]: how many files could not be opened for want of descriptors so far, or what prevented it.
    Observed(Result<usize, String>),
    /// To [`Request::Unwind`], in its order.
    Unwound(Vec<Stack>),
    /// To [`Request::Describe`], as far as they fit in.
    Described(Vec<Described>),
    /// To [`Request::Runtime`].
    Runtime(Runtime),
    /// The request came without the file that it needs.
    Lacking,
}

/// What it needs, as [`crate::files::Files`] has it.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Question {
    /// The text of a part of what a process has mapped.
    Maps { pid: u32, from: usize },
    /// The file of the mapping that begins there.
    Mapped { pid: u32, start: u64 },
    /// Code in memory.
    Code { pid: u32, at: u64, length: usize },
    /// Where names would be written.
    WrittenNames(u32),
    /// What is written there.
    OpenNames(WrittenNames),
    /// Files that may hold debug information.
    Debug { of: Origin, wanted: Wanted },
}

/// What it gets; files come with the message.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Files, as many as there are.
    Files,
    /// Bytes.
    Bytes(Vec<u8>),
    /// A place.
    Place(Option<WrittenNames>),
    /// It is not to be had.
    Refused(Cause),
}
