//! Everything that parses bytes of strangers, by name: what `fuzz/` feeds with new bytes, and what every run of the
//! tests feeds with those that were worth keeping. A target may do anything with its bytes but panic, hang or take much
//! memory.

use std::{cell::RefCell, hint::black_box};

use binary::{
    btf::Btf,
    files::Wanted,
    locate::{
        debug_file::{DebugFiles, Nowhere},
        plan::plan,
        replaceable,
    },
    maps::Maps,
    service,
    symbolize::{self, Registers, Symbolizer},
};
use model::{text, units};
use views::{
    compare::{self, Threshold},
    export,
    record::Reader,
    report,
};

/// A parser under test.
pub struct Target {
    /// Its name: that of the program in `fuzz/fuzz_targets/` and of the directory in `fuzz/corpus/`.
    pub name: &'static str,
    /// Reads some bytes with the parser.
    pub read: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 12] = [
    Target { name: "recording", read: recording },
    Target { name: "export", read: comparison },
    Target { name: "threshold", read: threshold },
    Target { name: "sites", read: sites },
    Target { name: "debug_file", read: debug_file },
    Target { name: "binary", read: symbolize::read_binary },
    Target { name: "perf_map", read: symbolize::read_perf_map },
    Target { name: "btf", read: btf },
    Target { name: "maps", read: maps },
    Target { name: "stack", read: stack },
    Target { name: "message", read: message },
    Target { name: "service", read: service::read_message },
];

fn recording(bytes: &[u8]) {
    let Ok(replay) = Reader::new(bytes, "input".to_owned()).and_then(Reader::replay) else { return };
    let session = replay.session;
    black_box(report::render(&session, &report::Options::default()));
    black_box(export::csv::csv(&session));
    let _ = black_box(export::json::encode(&session));
    let _ = black_box(export::html::session(&session, &[]));
}

fn comparison(bytes: &[u8]) {
    if let Ok(comparison) = compare::of_bytes(bytes) {
        black_box(compare::markdown(&comparison));
        black_box(compare::csv(&comparison));
    }
}

fn threshold(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = text.parse::<Threshold>();
    let _ = units::parse_duration(&text);
}

fn sites(bytes: &[u8]) {
    let plan = plan(bytes, &Nowhere);
    black_box(replaceable::find(bytes, &plan));
}

/// A source of debug files that returns the same bytes for every request.
struct Given<'a>(&'a [u8]);

impl DebugFiles for Given<'_> {
    fn candidates(&self, _wanted: &Wanted) -> Vec<Vec<u8>> {
        vec![self.0.to_vec()]
    }
}

/// The first four bytes say where the binary ends and its debug file begins.
fn debug_file(bytes: &[u8]) {
    let Some((at, rest)) = bytes.split_first_chunk::<4>() else { return };
    let at = u32::from_le_bytes(*at) as usize % (rest.len() + 1);
    let (binary, debug) = rest.split_at(at);
    black_box(plan(binary, &Given(debug)));
}

fn btf(bytes: &[u8]) {
    if let Ok(btf) = Btf::parse(bytes) {
        let _ = btf.offset("task_struct", "pid");
        let _ = btf.offset("rq", "cfs.nr_running");
    }
}

fn maps(bytes: &[u8]) {
    let maps = Maps::parse(bytes);
    for mapping in maps.all() {
        black_box((maps.at(mapping.start), mapping.name()));
    }
}

/// The stack of this very process, whose binaries are real ones.
fn stack(bytes: &[u8]) {
    thread_local! {
        static SYMBOLIZER: RefCell<Option<Symbolizer>> = const { RefCell::new(None) };
    }
    let Some((registers, copied)) = bytes.split_first_chunk::<32>() else { return };
    let word = |at: usize| registers[8 * at..8 * at + 8].try_into().map_or(0, u64::from_le_bytes);
    let own = std::process::id();
    SYMBOLIZER.with_borrow_mut(|symbolizer| {
        let symbolizer = symbolizer.get_or_insert_default();
        // An address in this program, so that there is something to follow.
        let ip = (stack as fn(&[u8]) as usize as u64).wrapping_add(word(0) % (1 << 22));
        let taken = Registers { ip, sp: word(1), bp: word(2), lr: word(3) };
        let found = symbolizer.unwind(own, &taken, copied);
        black_box(symbolizer.lacks_names(&found));
    });
}

fn message(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    black_box(text::message(&text));
    black_box(text::quiet_json(text.into_owned()));
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Inputs that were worth keeping are read again in every run of the tests.
    #[test]
    fn every_input_of_the_corpus_is_read() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for target in &TARGETS {
            let inputs = fs::read_dir(corpus.join(target.name))
                .unwrap_or_else(|_| panic!("no corpus of {}", target.name));
            let mut count = 0;
            for input in inputs {
                (target.read)(&fs::read(input.unwrap().path()).unwrap());
                count += 1;
            }
            assert!(count > 0, "{} has no inputs", target.name);
        }
    }

    #[test]
    fn every_target_has_a_program_and_no_program_lacks_a_target() {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
        let mut files: Vec<String> = fs::read_dir(programs)
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort_unstable();
        let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
    }
}
