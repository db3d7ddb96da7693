//! Benchmark of stacks: reading a process, unwinding, naming, and the memory that stays. Run it with `cargo bench -p
//! pulse-trace-binary --bench stacks`. `STACKS_OF` may name this very program built in another way: with debug
//! information, say.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

#[expect(dead_code, reason = "tests use the rest")]
#[path = "../tests/stacks/waiting.rs"]
mod waiting;

use std::{
    env, fs,
    io::{Read as _, Write as _, stdin, stdout},
    path::PathBuf,
    process::Command,
    sync::Mutex,
    thread,
    time::Instant,
};

use binary::{
    maps::Maps,
    symbolize::{Registers, Stack, Symbolizer, caller},
};
use pulse_trace_testing::need;
use waiting::{Running, Shop, Taken};

const ROUNDS: u32 = 20_000;
const PLACES: u64 = 500;

fn main() {
    if env::args().any(|argument| argument == "wait") {
        return wait();
    }
    let mut symbolizer = Symbolizer::new();
    let empty = resident();
    let shop = Shop::new();
    let program = need!(shop.c("chain.c", &[]), "gcc is not installed");
    measure("a C program, 13 KB", &mut symbolizer, &Running::start(&program));
    let after_c = resident();
    let this = env::var_os("STACKS_OF").map_or_else(|| env::current_exe().unwrap(), PathBuf::from);
    let title = format!("a Rust program, {} KB", fs::metadata(&this).unwrap().len() / 1024);
    measure(&title, &mut symbolizer, &Running::of(Command::new(this).arg("wait")));
    line("resident memory, after C", (after_c - empty) as f64, "KB");
    line("resident memory, after both", (resident() - empty) as f64, "KB");
}

/// The program that is looked at: a thread of it waits for a lock.
fn wait() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    let held = LOCK.lock().unwrap();
    thread::spawn(|| *LOCK.lock().unwrap() += 1);
    writeln!(stdout().lock(), "ready").unwrap();
    stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(held);
}

fn measure(title: &str, symbolizer: &mut Symbolizer, running: &Running) {
    writeln!(stdout().lock(), "{title}").unwrap();
    let taken = running.waiting();
    let pid = running.pid();
    let since = Instant::now();
    symbolizer.observe(pid).unwrap();
    line("observe", micros(since), "us");
    let since = Instant::now();
    let stack = symbolizer.unwind(pid, &taken.registers, &taken.bytes);
    line("first unwind", micros(since), "us");
    let since = Instant::now();
    for _ in 0..ROUNDS {
        assert_eq!(symbolizer.unwind(pid, &taken.registers, &taken.bytes), stack);
    }
    line("each further unwind", micros(since) / f64::from(ROUNDS), "us");
    line("frames", stack.frames.len() as f64, "");
    let since = Instant::now();
    let frames = symbolizer.describe(&stack);
    line("first names of a stack", micros(since), "us");
    line("functions", frames.len() as f64, "");
    let caller_is_known = |names: &mut Symbolizer, cut: &Stack| caller(&names.describe(cut)).is_some();
    line("bytes until the caller", enough(symbolizer, pid, &taken, caller_is_known), "");
    let is_whole = |_: &mut Symbolizer, cut: &Stack| *cut == stack;
    line("bytes until the thread's entry", enough(symbolizer, pid, &taken, is_whole), "");
    let before = resident();
    rest(symbolizer);
    line("resident memory given back", before as f64 - resident() as f64, "KB");
    let before = resident();
    elsewhere(symbolizer, pid, &taken);
    line("resident memory, by those", resident() as f64 - before as f64, "KB");
    rest(symbolizer);
}

/// Share of a stack that has to be copied.
fn enough(
    symbolizer: &mut Symbolizer,
    pid: u32,
    taken: &Taken,
    is_enough: impl Fn(&mut Symbolizer, &Stack) -> bool,
) -> f64 {
    let mut lens = (0..=taken.bytes.len()).step_by(8);
    let found = lens.find(|len| {
        let cut = symbolizer.unwind(pid, &taken.registers, &taken.bytes[..*len]);
        is_enough(symbolizer, &cut)
    });
    found.map_or(f64::NAN, |len| len as f64)
}

fn rest(symbolizer: &mut Symbolizer) {
    symbolizer.rest();
    give_memory_back();
}

/// Names of places all over the program.
fn elsewhere(symbolizer: &mut Symbolizer, pid: u32, taken: &Taken) {
    let maps = Maps::parse(&fs::read(format!("/proc/{pid}/maps")).unwrap());
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    let code = maps.all().iter().find(|map| map.executable && map.path() == Some(&exe)).unwrap();
    let step = (code.end - code.start) / PLACES;
    let stacks: Vec<_> = (0..PLACES)
        .map(|at| Registers { ip: code.start + at * step, ..taken.registers })
        .map(|registers| symbolizer.unwind(pid, &registers, &[]))
        .collect();
    let since = Instant::now();
    let named = stacks.iter().flat_map(|stack| symbolizer.describe(stack));
    let named = named.filter(|frame| frame.function.is_some()).count();
    line("a further name in the program", micros(since) / PLACES as f64, "us");
    line("names found", named as f64, "");
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// Resident memory of this process in KB.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
}

fn line(what: &str, value: f64, unit: &str) {
    writeln!(stdout().lock(), "  {what:<32} {value:>10.2} {unit}").unwrap();
}

/// Returns freed memory to the system, so that it does not count as memory that stays.
fn give_memory_back() {
    #[expect(unsafe_code, reason = "the C library has no safe form of this")]
    // SAFETY: only returns pages that hold nothing.
    unsafe {
        libc::malloc_trim(0);
    }
}
