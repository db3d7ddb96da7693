//! The chain of callers is exact.

use std::process::Command;

use binary::symbolize::{End, Frame, Registers, Symbolizer, caller};

use crate::{
    need,
    waiting::{Running, Shop, functions, stack_of},
};

#[test]
fn a_chain_of_functions_without_frame_pointers_is_named_exactly() {
    let shop = Shop::new();
    let program = need!(shop.c("chain.c", &[]), "needs gcc");
    let running = Running::start(&program);
    let mut symbolizer = Symbolizer::new();
    let stack = stack_of(&mut symbolizer, &running);
    let frames = symbolizer.describe(&stack);
    assert_eq!(functions(&frames), ["c", "b", "a", "thread_entry"], "{frames:?}");
    assert_eq!(stack.end, End::Complete, "{frames:?}");
    assert!(frames.iter().all(|frame| frame.is_certain));
    let called = caller(&frames).unwrap();
    assert!(called.starts_with("c+0x"), "{called}");
}

#[test]
fn names_outlive_the_process() {
    let shop = Shop::new();
    let program = need!(shop.c("chain.c", &[]), "needs gcc");
    let running = Running::start(&program);
    let mut symbolizer = Symbolizer::new();
    let stack = stack_of(&mut symbolizer, &running);
    running.end();
    std::fs::remove_file(program).unwrap();
    // Nothing was named while it lived.
    let frames = symbolizer.describe(&stack);
    assert_eq!(functions(&frames), ["c", "b", "a", "thread_entry"], "{frames:?}");
}

#[test]
fn what_the_compiler_inlined_is_shown_as_inlined() {
    let shop = Shop::new();
    let program = need!(shop.c("chain.c", &["-g"]), "needs gcc");
    let running = Running::start(&program);
    let mut symbolizer = Symbolizer::new();
    let stack = stack_of(&mut symbolizer, &running);
    let frames = symbolizer.describe(&stack);
    assert_eq!(functions(&frames), ["waits (inlined)", "c", "b", "a", "thread_entry"], "{frames:?}");
    let line = |name: &str| {
        let frame = frames.iter().find(|frame| frame.function.as_deref() == Some(name)).unwrap();
        frame.location.clone().map(|(file, line)| (file.rsplit('/').next().unwrap().to_owned(), line))
    };
    assert_eq!(line("waits"), Some(("wait.h".to_owned(), 6)));
    assert_eq!(line("c"), Some(("chain.c".to_owned(), 13)));
    assert_eq!(line("b"), Some(("chain.c".to_owned(), 21)));
    let called = caller(&frames).unwrap();
    assert!(called.starts_with("waits (inlined in c+0x"), "{called}");
}

#[test]
fn a_stripped_program_gives_places_that_a_symbol_table_explains() {
    let shop = Shop::new();
    let program = need!(shop.c("chain.c", &[]), "needs gcc");
    let table = need!(Command::new("nm").arg("-S").arg(&program).output().ok(), "needs nm");
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(Command::new("strip").arg(&program).status().unwrap().success());
    let running = Running::start(&program);
    let mut symbolizer = Symbolizer::new();
    let stack = stack_of(&mut symbolizer, &running);
    let frames = symbolizer.describe(&stack);
    let own: Vec<&Frame> = frames.iter().filter(|frame| &*frame.module == "program").collect();
    assert_eq!(own.len(), 4, "{frames:?}");
    for (frame, name) in own.iter().zip(["c", "b", "a", "thread_entry"]) {
        assert_eq!(frame.to_string(), format!("program+{:#x}", frame.address));
        let (start, len) = symbol(&table, name);
        assert!((start + 1..=start + len).contains(&frame.address), "{name}: {frame}");
    }
    // The mutex is the C library's, so its caller wanted it, with a name or without.
    assert_eq!(caller(&frames), Some(own[0].to_string()));
}

fn symbol(table: &str, name: &str) -> (u64, u64) {
    let line = table.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap();
    let mut numbers = line.split_whitespace().map(|word| u64::from_str_radix(word, 16).unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn a_frame_that_its_frame_pointer_finds_is_followed() {
    let shop = Shop::new();
    let program = need!(shop.c("room.c", &[]), "needs gcc");
    let running = Running::start(&program);
    let told = u64::from_str_radix(running.said.trim_start_matches("0x"), 16).unwrap();
    let taken = running.waiting();
    let bp = need!(Some(taken.registers.bp).filter(|bp| *bp != 0), "needs ptrace, to read a register");
    assert_eq!(bp, told, "the C library changed it");
    let mut symbolizer = Symbolizer::new();
    let stack = symbolizer.unwind(running.pid(), &taken.registers, &taken.bytes);
    let frames = symbolizer.describe(&stack);
    assert_eq!(functions(&frames), ["c", "b", "a", "thread_entry"], "{frames:?} {:?}", stack.end);
    assert_eq!(stack.end, End::Complete);

    // Without the register it is not known where the frame is: only its function is named.
    let unknown = symbolizer.unwind(running.pid(), &Registers { bp: 0, ..taken.registers }, &taken.bytes);
    assert_eq!(functions(&symbolizer.describe(&unknown)), ["c"]);
    assert_ne!(unknown.end, End::Complete);
}

#[test]
fn a_signal_handler_leads_back_to_what_it_interrupted() {
    let shop = Shop::new();
    let program = need!(shop.c("signal.c", &[]), "needs gcc");
    let running = Running::start(&program);
    let mut symbolizer = Symbolizer::new();
    let stack = stack_of(&mut symbolizer, &running);
    let frames = symbolizer.describe(&stack);
    assert_eq!(functions(&frames), ["handler", "interrupted", "thread_entry"], "{frames:?} {:?}", stack.end);
    assert_eq!(stack.end, End::Complete);
}
