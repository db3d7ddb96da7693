//! A recording gives back what was written, and nothing else passes for one.

use std::{fs, io::Cursor, path::PathBuf};

use model::{
    frame::Frame,
    session::Session,
    synthetic::{self, Shape},
};
use tempfile::TempDir;

use super::*;
use crate::files;

fn recorded(seed: u64, shape: Shape, finish: bool) -> (TempDir, PathBuf) {
    recorded_frames(&synthetic::frames(seed, shape), shape, finish)
}

fn recorded_frames(frames: &[Frame], shape: Shape, finish: bool) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording");
    let mut recorder = Recorder::begin(files::create(&path).unwrap(), &synthetic::header(shape)).unwrap();
    frames.iter().for_each(|frame| recorder.frame(frame).unwrap());
    if finish {
        recorder.finish().unwrap();
    }
    (directory, path)
}

fn refusal(bytes: &[u8]) -> String {
    match Reader::new(Cursor::new(bytes), "FILE".to_owned()).and_then(Reader::replay) {
        Ok(replay) => panic!("{replay:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_replay_is_equal_to_what_was_live() {
    for seed in 0..24 {
        let threads = (seed % 3) as u32;
        let shape = Shape {
            threads,
            inline: seed % 3 == 0,
            events: seed % 4 == 1,
            lossy: seed % 2 == 0,
            processes: seed as u32 % 7,
            frames: seed as u32 % 5,
        };
        let (_directory, path) = recorded(seed, shape, true);
        let replay = Reader::open(&path).unwrap().replay().unwrap();
        assert!(!replay.cut);
        assert_eq!(replay.session, synthetic::session(seed, shape), "seed {seed}");
    }
}

#[test]
fn every_frame_comes_back_even_one_that_fills_several_lines() {
    let shape = Shape { processes: 70, threads: 5, frames: 2, lossy: true, inline: true, events: true };
    let frames = synthetic::frames(9, shape);
    assert!(frames[0].processes.iter().map(|process| process.syscalls.len()).sum::<usize>() > 2048);
    let (_directory, path) = recorded_frames(&frames, shape, true);
    let lines = fs::read_to_string(&path).unwrap().lines().count();
    assert!(lines > 2 + frames.len(), "{lines}");
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.header(), &synthetic::header(shape));
    for frame in &frames {
        assert_eq!(reader.next_frame().unwrap().as_ref(), Some(frame));
    }
    assert_eq!(reader.next_frame().unwrap(), None);
}

#[test]
fn whole_frames_of_a_truncated_recording_are_read() {
    let shape = Shape { processes: 2, frames: 3, ..Shape::default() };
    let frames = synthetic::frames(5, shape);
    let (_directory, path) = recorded(5, shape, true);
    let bytes = fs::read(&path).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').map(|at| at + 1).collect();
    for length in (header..bytes.len()).step_by(997).chain(ends.iter().copied()) {
        let replay = Reader::new(Cursor::new(&bytes[..length]), "FILE".to_owned()).unwrap().replay().unwrap();
        // A line that lacks nothing but its newline is whole.
        let whole = ends.iter().filter(|end| **end <= length + 1).count() - 1;
        let mut expected = Session::new(synthetic::header(shape));
        frames.iter().take(whole).for_each(|frame| expected.add(frame));
        expected.finished = whole > frames.len();
        assert_eq!(replay.session, expected, "{length} bytes");
        assert_eq!(
            replay.cut,
            !ends.iter().any(|end| *end == length || *end == length + 1),
            "{length} bytes"
        );
    }
}

#[test]
fn a_tool_that_was_killed_leaves_a_recording_without_end() {
    let (_directory, path) = recorded(2, Shape::default(), false);
    let replay = Reader::open(&path).unwrap().replay().unwrap();
    assert!(!replay.session.finished && !replay.cut);
}

#[test]
fn what_is_no_recording_is_refused_by_its_cause() {
    let remedy = "; name a file that --record wrote";
    assert_eq!(refusal(b""), format!("cannot read FILE: it is empty{remedy}"));
    let noise: Vec<u8> =
        (0..10_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect();
    for other in [noise.as_slice(), b"{", b"{}\n", b"\x7fELF", b"[1]\n", b"{\"header\":{}}\n", &[0; 4096]] {
        let text = format!("cannot read FILE: it is not a recording of pulse-trace{remedy}");
        assert_eq!(refusal(other), text, "{:?}", &other[..other.len().min(20)]);
    }
    let export = refusal(b"{\"schema\":\"pulse-trace/1\",\"tool\":{}}\n");
    assert!(export.contains("it is a JSON export") && export.ends_with(remedy), "{export}");
    let directory = tempfile::tempdir().unwrap();
    let open = |path: PathBuf| Reader::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(open(directory.path().to_owned()).ends_with(&format!("is a directory{remedy}")));
    assert!(open(directory.path().join("none")).ends_with(&format!("no such file or directory{remedy}")));
}

fn changed(from: &str, to: &str) -> String {
    let (_directory, path) = recorded(5, Shape::default(), true);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in the recording");
    refusal(text.replacen(from, to, 1).as_bytes())
}

#[test]
fn a_later_version_is_refused_by_name() {
    let text = changed("pulse-trace-recording/1", "pulse-trace-recording/2");
    assert!(
        text.contains("of version \"pulse-trace-recording/2\"") && text.ends_with("use a newer one"),
        "{text}"
    );
    assert!(changed("\"sub_buckets\":32", "\"sub_buckets\":64").contains("another geometry"));
}

#[test]
fn damage_in_the_middle_is_told_with_its_line() {
    assert!(
        changed("{\"frame\":{\"sequence\":1,", "{\"frame\":{\"sequence\":2,")
            .contains("line 3 is damaged (frame 1")
    );
    assert!(changed("{\"frame\":{\"sequence\":0,", "garbage").contains("line 2 is damaged"));
    assert!(changed("{\"end\":{\"frames\":5}}", "{\"end\":{\"frames\":6}}").contains("frames are missing"));
    assert!(
        changed("{\"end\":{\"frames\":5}}\n", "{\"end\":{\"frames\":5}}\n{}\n")
            .contains("stands after the end")
    );
    assert!(changed("\"buckets\":[[", "\"buckets\":[[60000,1],[").contains("outside of the histogram"));
    assert!(
        changed("\"buckets\":[[", "\"buckets\":[[3,18446744073709551615],[").contains("a count is too large")
    );
}

#[test]
fn impossible_values_of_every_part_are_refused() {
    let count = "a count is too large";
    for (from, to, cause) in [
        ("\"voluntary\":", "\"voluntary\":18446744073709551615,\"was\":", count),
        ("\"wall_ns\":", "\"wall_ns\":18446744073709551615,\"was\":", "a time is too long"),
        ("\"user_ns\":", "\"user_ns\":1152921504606846976,\"was\":", "a time is too long"),
        ("\"cpus\":[[", "\"cpus\":[[0,18446744073709551615,1],[", count),
        ("\"cpus\":[[", "\"cpus\":[[0,1,18446744073709551615],[", "a time is too long"),
        ("\"seen_ns\":[", "\"seen_ns\":[9,8],\"was\":[", "a first call comes after the last"),
        ("\"woken\":", "\"woken\":18446744073709551615,\"was\":", count),
        ("\"holders\":[[", "\"holders\":[[1,\"\",18446744073709551615],[", count),
        ("\"contended\":", "\"contended\":18446744073709551615,\"was\":", count),
        (
            "\"context_switches\":",
            "\"switches\":18446744073709551615,\"x\":",
            "a count of the ledger is too large",
        ),
        ("\"trap_ns\":", "\"trap_ns\":-1.0,\"was\":", "a cost is out of range"),
        ("\"hits\":", "\"hits\":18446744073709551615,\"was\":", count),
        ("\"missed\":", "\"missed\":18446744073709551615,\"was\":", "a count of the overhead is too large"),
        (
            "\"tool_cpu_ns\":",
            "\"tool_cpu_ns\":18446744073709551615,\"was\":",
            "a time of the overhead is too long",
        ),
        (
            "\"page-faults\":[",
            "\"page-faults\":[18446744073709551615,1,1],\"x\":[",
            "a performance counter is too large",
        ),
        ("\"interrupt\":\"timer\"", "\"interrupt\":\"tea\"", "an interrupt of an unknown kind"),
        ("\"blocked_ns\":", "\"blocked_ns\":18446744073709551615,\"was\":", "a time is too long"),
        ("\"errors\":[[", "\"errors\":[[1,18446744073709551615],[", count),
        ("\"nr\":", "\"number\":", "missing field `nr`"),
        ("\"nr\":", "\"nr\":1,\"nr\":", "duplicate field `nr`"),
        ("\"context\":\"task\"", "\"context\":\"ghost\"", "unknown variant `ghost`"),
        ("{\"private\":", "{\"elsewhere\":", "unknown variant `elsewhere`"),
    ] {
        let refusal = changed(from, to);
        assert!(refusal.contains("line 2 is damaged") && refusal.contains(cause), "{from}: {refusal}");
    }
}

#[test]
fn impossible_values_are_no_sign_of_a_line_that_was_cut_off() {
    let (_directory, path) = recorded(5, Shape::default(), false);
    let text = fs::read_to_string(path).unwrap();
    let at = text.rfind("\"voluntary\":").unwrap();
    let forged =
        text[at..].trim_end().replacen("\"voluntary\":", "\"voluntary\":18446744073709551615,\"was\":", 1);
    let refusal = refusal(format!("{}{forged}", &text[..at]).as_bytes());
    assert!(refusal.contains("line 6 is damaged (a count is too large"), "{refusal}");
}

#[test]
fn recordings_from_before_scheduling_and_locks_are_read() {
    let text = include_str!("golden/syscalls-only.rec");
    let replay = Reader::new(Cursor::new(text.as_bytes()), "FILE".to_owned()).unwrap().replay().unwrap();
    let session = &replay.session;
    assert!(session.finished && session.ledger.counted == 57, "{}", session.ledger.counted);
    assert!(session.processes.values().all(|process| process.sched.is_none() && process.futexes.is_empty()));
    assert_eq!((session.overhead.traps.as_ref(), session.notes.len()), (None, 0));
}

#[test]
fn records_of_a_later_addition_are_passed_over() {
    let (_directory, path) = recorded(5, Shape::default(), true);
    let text = fs::read_to_string(&path).unwrap();
    let text = text
        .replacen("{\"frame\":", "{\"stacks\":[1,2]}\n{\"frame\":", 1)
        .replace("\"span_ns\":", "\"new\":1,\"span_ns\":");
    let replay = Reader::new(Cursor::new(text.as_bytes()), "FILE".to_owned()).unwrap().replay().unwrap();
    assert_eq!(replay.session, synthetic::session(5, Shape::default()));
}

#[test]
fn an_endless_line_fails_after_little_of_it() {
    struct Endless(u64);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(b'{');
            self.0 += buffer.len() as u64;
            assert!(self.0 < 16 << 20, "{} bytes were read", self.0);
            Ok(buffer.len())
        }
    }
    let source = std::io::BufReader::new(Endless(0));
    let error = Reader::new(source, "FILE".to_owned()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("not a recording"), "{error}");
}

#[test]
fn a_full_disk_is_told_at_the_first_record() {
    let file = files::create(std::path::Path::new("/dev/full")).unwrap();
    let error = Recorder::begin(file, &synthetic::header(Shape::default())).unwrap_err().to_string();
    assert!(error.contains("no space left on device; free some space"), "{error}");
}
