//! A separate file with symbols and debug information, found by what identifies the build.

use std::sync::Arc;

use crate::{
    files::{Files, Origin, Wanted},
    symbolize::{
        bytes::{Blob, Pool},
        elf::Elf,
    },
};

/// Location of a file, to look beside it.
pub struct Beside<'a> {
    /// Opens the files.
    pub files: &'a dyn Files,
    /// Path of the file, in its process.
    pub origin: &'a Origin,
    /// Last part of it.
    pub name: &'a str,
}

/// The file with the rest. Only one of the very same build is taken: names of another would be wrong.
pub fn find(elf: &Elf, blob: &Arc<Blob>, beside: &Beside<'_>, pool: &Pool) -> Option<(Elf, Arc<Blob>)> {
    let id = elf.build_id(blob)?;
    let link = elf.section(".gnu_debuglink").and_then(|section| elf.bytes(blob, section)?.text_at(0));
    let wanted = Wanted {
        build_id: Some(id.iter().map(|byte| format!("{byte:02x}")).collect()),
        link: link.map(|name| (name.to_string(), 0)),
    };
    let opened = |file| {
        let blob = Blob::file(file, pool)?;
        Some((Elf::parse(&blob)?, blob))
    };
    let files = beside.files.debug(beside.origin, &wanted).into_iter();
    files.filter_map(opened).find(|(elf, blob)| elf.build_id(blob).as_ref() == Some(&id))
}
