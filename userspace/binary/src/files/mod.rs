//! Opening of files of other processes. The code that reads needs no rights of its own: it asks for bytes and
//! descriptors, and the implementation that answers decides.

mod debug;
mod here;
mod written_names;

use std::{fs::File, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use self::written_names::Place;
pub use self::{
    debug::{Directories, Wanted},
    here::Here,
    written_names::LARGEST_NAMES,
};
use crate::{input::Identity, maps::Mapping};

/// A file as a process has it: whose it is, and its path there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The process; 0 for a file of the machine that no process is known to have mapped.
    pub pid: u32,
    /// As that process sees it.
    #[serde(with = "bytes")]
    pub path: PathBuf,
}

/// Paths are bytes: no text has to be made of them.
mod bytes {
    use std::{
        ffi::OsString,
        os::unix::ffi::{OsStrExt as _, OsStringExt as _},
        path::{Path, PathBuf},
    };

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(OsString::from_vec(Vec::deserialize(from)?).into())
    }
}

/// A file of names that a process writes about code that it makes while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenNames(pub u32);

/// Opens files of processes.
pub trait Files {
    /// The text of what a process has mapped.
    ///
    /// # Errors
    /// When it is not to be had.
    fn maps(&self, pid: u32) -> io::Result<Vec<u8>>;

    /// The very file that is mapped.
    ///
    /// # Errors
    /// When it is not to be had.
    fn mapped(&self, pid: u32, mapping: &Mapping) -> io::Result<File>;

    /// Code in the memory of a process.
    ///
    /// # Errors
    /// When it is not to be had.
    fn code(&self, pid: u32, at: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Place at which a process would write names of code that it makes; to be asked while it lives.
    fn written_names(&self, pid: u32) -> Option<WrittenNames>;

    /// That file as it is now.
    fn open_names(&self, of: WrittenNames) -> Option<File>;

    /// Files that may hold the debug information of another, best first.
    fn debug(&self, of: &Origin, wanted: &Wanted) -> Vec<File>;

    /// Says which file is about to be read, in case that this does not end.
    fn reading(&self, _name: &str, _file: Option<Identity>, _pid: u32) {}
}
