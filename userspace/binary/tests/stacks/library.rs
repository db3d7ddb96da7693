//! Files that are no longer where they were.

use std::{fs, path::PathBuf};

use binary::symbolize::Symbolizer;

use crate::{
    need,
    waiting::{Running, Shop, functions, source, stack_of},
};

/// A program whose function `c` lies in a library beside it.
pub fn with_library(shop: &Shop, more: &[&str]) -> Option<PathBuf> {
    let library = source("library.c");
    let shared = ["-O2", "-fomit-frame-pointer", "-fPIC", "-shared", library.to_str().unwrap()];
    let library = shop.compile("gcc", "libchain.so", &[&shared, more].concat())?;
    // The library wants the program's mutex.
    let more = ["-DLIBRARY", "-rdynamic", "-Wl,-rpath,$ORIGIN", library.to_str().unwrap()];
    shop.c("chain.c", &more)
}

#[test]
fn a_library_that_was_replaced_is_read_as_it_is_mapped() {
    let shop = Shop::new();
    let program = need!(with_library(&shop, &[]), "needs gcc");
    let running = Running::start(&program);
    let maps = fs::read_to_string(format!("/proc/{}/maps", running.pid())).unwrap();
    let line = maps.lines().find(|line| line.contains("libchain.so")).unwrap();
    let range = line.split(' ').next().unwrap();
    let mapped = fs::metadata(format!("/proc/{}/map_files/{range}", running.pid()));
    need!(mapped.ok(), "needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN, to follow /proc/PID/map_files");

    let other = source("other.c");
    let shared = ["-O0", "-fPIC", "-shared", other.to_str().unwrap()];
    let other = shop.compile("gcc", "other.so", &shared).unwrap();
    fs::rename(other, shop.path("libchain.so")).unwrap();

    let mut symbolizer = Symbolizer::new();
    let stack = stack_of(&mut symbolizer, &running);
    let frames = symbolizer.describe(&stack);
    assert_eq!(functions(&frames), ["c", "b", "a", "thread_entry"], "{frames:?}");
    let c = frames.iter().find(|frame| frame.function.as_deref() == Some("c")).unwrap();
    assert_eq!(&*c.module, "libchain.so");
}

#[test]
fn two_processes_of_one_program_have_equal_stacks() {
    let shop = Shop::new();
    let program = need!(with_library(&shop, &[]), "needs gcc");
    let (one, two) = (Running::start(&program), Running::start(&program));
    let mut symbolizer = Symbolizer::new();
    let first = stack_of(&mut symbolizer, &one);
    let second = stack_of(&mut symbolizer, &two);
    assert_eq!(first, second);
    assert!(first.frames.len() >= 5, "{first:?}");
}
