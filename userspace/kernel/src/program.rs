//! Loads a program of the object in a way that aya does not support: with the attach type that is meant for it.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    io,
    os::fd::{OwnedFd, RawFd},
};

use super::{event::owned, object::OBJECT};

/// The first part of the attributes of `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct NewProgram {
    kind: u32,
    length: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; NAME],
    device: u32,
    attach_type: u32,
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
/// Length of a program's name, with the zero at its end.
const NAME: usize = 16;

/// Has the kernel verify a program that uses these maps.
///
/// # Errors
/// When the kernel is too old, or refuses.
pub(super) fn load(
    name: &str,
    attach_type: u32,
    maps: &HashMap<String, RawFd>,
) -> Result<OwnedFd, Box<dyn Error>> {
    let mut object = aya_obj::Object::parse(OBJECT)?;
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let wanted = std::mem::take(&mut object.maps);
    let wanted = wanted.iter().filter_map(|(name, map)| Some((name.as_str(), *maps.get(name)?, map)));
    object.relocate_maps(wanted, &text)?;
    object.relocate_calls(&text)?;
    let program = object.programs.get(name).ok_or("no such program")?;
    let function = object.functions.get(&program.function_key()).ok_or("no such function")?;
    let mut new = NewProgram {
        kind: BPF_PROG_TYPE_KPROBE,
        length: function.instructions.len() as u32,
        instructions: function.instructions.as_ptr() as u64,
        license: program.license.as_ptr() as u64,
        attach_type,
        ..NewProgram::default()
    };
    new.name.iter_mut().zip(name.bytes().take(NAME - 1)).for_each(|(to, from)| *to = from);
    // SAFETY: the attributes, and what they point to, outlive the call, which is told their size; the result is a new
    // descriptor or -1.
    let loaded = owned(unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const new, size_of::<NewProgram>())
    });
    Ok(loaded.map_err(|error: io::Error| Box::new(error))?)
}

const _: () = assert!(size_of::<NewProgram>() == 72);
