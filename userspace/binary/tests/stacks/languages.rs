//! Names of other languages than C.

use binary::symbolize::{Symbolizer, caller};

use crate::{
    need,
    waiting::{Running, Shop, functions, source, stack_of},
};

#[test]
fn cpp_names_are_demangled() {
    let shop = Shop::new();
    let file = source("queue.cc");
    let arguments = ["-O2", "-pthread", file.to_str().unwrap()];
    let program = need!(shop.compile("g++", "program", &arguments), "needs g++");
    let running = Running::start(&program);
    let mut symbolizer = Symbolizer::new();
    let stack = stack_of(&mut symbolizer, &running);
    let frames = symbolizer.describe(&stack);
    let own = functions(&frames);
    assert_eq!(own[..2], ["shape::Queue<int>::enqueue", "produce"], "{frames:?}");
    let called = caller(&frames).unwrap();
    assert!(called.starts_with("shape::Queue<int>::enqueue+0x"), "{called}");
}

#[test]
fn rust_names_are_demangled_and_its_own_lock_is_internal() {
    let shop = Shop::new();
    let file = source("queue.rs");
    let arguments = ["-O", "-g", "--edition", "2024", file.to_str().unwrap()];
    let program = need!(shop.compile("rustc", "program", &arguments), "needs rustc");
    let running = Running::start(&program);
    let mut symbolizer = Symbolizer::new();
    let taken = running.waiting();
    // Rust's own library keeps its frames by their pointers.
    need!(taken.registers.bp != 0, "needs gcc and ptrace, to read a register");
    let stack = symbolizer.unwind(running.pid(), &taken.registers, &taken.bytes);
    let frames = symbolizer.describe(&stack);
    let called = caller(&frames).unwrap_or_default();
    assert!(
        called.contains("Queue") && called.contains("::enqueue+0x"),
        "{called}: {frames:?} {:?}",
        stack.end
    );
    assert!(functions(&frames).contains(&"queue::produce".to_owned()), "{frames:?}");
}
