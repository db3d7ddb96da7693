//! Names that lie in a file of their own.

use std::{fs, path::Path, process::Command};

use binary::symbolize::Symbolizer;
use pulse_trace_testing::installed;

use crate::{
    need,
    waiting::{Running, Shop, functions, stack_of},
};

fn objcopy(arguments: &[&str], directory: &Path) {
    let status = Command::new("objcopy").args(arguments).current_dir(directory).status().unwrap();
    assert!(status.success());
}

/// A program without names, whose names lie in `program.debug` beside it.
fn split(shop: &Shop, more: &[&str]) -> Option<std::path::PathBuf> {
    let program = shop.c("chain.c", &[&["-g", "-Wl,--build-id"], more].concat())?;
    let directory = shop.directory.path();
    objcopy(&["--only-keep-debug", "program", "program.debug"], directory);
    objcopy(&["--strip-all", "--add-gnu-debuglink=program.debug", "program"], directory);
    Some(program)
}

#[test]
fn a_separate_debug_file_is_found_and_one_of_another_build_is_not() {
    let shop = Shop::new();
    need!(installed("objcopy"), "needs objcopy");
    let program = need!(split(&shop, &[]), "needs gcc");
    let names = |running: &Running| {
        let mut symbolizer = Symbolizer::new();
        let stack = stack_of(&mut symbolizer, running);
        symbolizer.describe(&stack)
    };
    let running = Running::start(&program);
    let found = names(&running);
    assert_eq!(functions(&found), ["waits (inlined)", "c", "b", "a", "thread_entry"], "{found:?}");

    let other = Shop::new();
    need!(split(&other, &["-falign-functions=64"]), "needs gcc");
    fs::copy(other.path("program.debug"), shop.path("program.debug")).unwrap();
    let refused = names(&running);
    let own: Vec<_> = refused.iter().filter(|frame| &*frame.module == "program").collect();
    assert_eq!(own.len(), 4, "{refused:?}");
    assert!(own.iter().all(|frame| frame.function.is_none()), "{refused:?}");
}
